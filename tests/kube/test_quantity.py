"""Tests of fleet/kube/quantity.py."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fleet.kube import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", Fraction(2)),
        ("0.5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("1k", Fraction(1000)),
        ("1Ki", Fraction(1024)),
        ("2Gi", Fraction(2 * 1024**3)),
        # Stack files may not use these, but manifests may.
        ("1.", Fraction(1)),
        (".5", Fraction(1, 2)),
        ("5n", Fraction(5, 10**9)),
        ("5u", Fraction(5, 10**6)),
        ("1P", Fraction(10**15)),
        ("1Ei", Fraction(1024**6)),
        ("2E", Fraction(2 * 10**18)),
        ("2E1", Fraction(20)),
        ("1e-3", Fraction(1, 1000)),
    ],
)
def test_quantity(text: str, number: Fraction) -> None:
    assert quantity.parse(text) == number


@pytest.mark.parametrize("text", ["", ".", "m", "1 Gi", "-1", "1gb", "1e999999999", "1_0", "1.2.3"])
def test_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity.parse(text)
