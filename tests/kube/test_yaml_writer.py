"""The writer of YAML: its texts are those of PyYAML, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.kube import yaml_writer

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="aeynof0179xX._-+:=@/ #~'\n", max_size=12),
    st.lists(st.sampled_from(["word", "a: b", "https://x.example.com/y"]), max_size=30).map(
        " ".join
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(TEXTS, st.integers(), st.text("k", min_size=95)), inner, max_size=4
        ),
    ),
    max_leaves=10,
)


def plain_yaml(manifest: dict[str, Any]) -> str:
    return yaml.dump(manifest, Dumper=yaml_writer._Dumper, sort_keys=False)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_every_text_is_that_of_pyyaml(manifest: dict[str, Any]) -> None:
    assert yaml_writer.to_yaml(manifest) == plain_yaml(manifest)


@pytest.mark.parametrize(
    "text", ["1e3", "y", "on", "0o7", "12:30:45", "2026-01-01", "1_0", ".5", ".", "=", "a:", "null"]
)
def test_a_text_that_could_be_something_else_has_quotes(text: str) -> None:
    manifest = {"key": text, text: "value", "list": [text, [text]]}
    assert yaml_writer.to_yaml(manifest) == plain_yaml(manifest)
    assert yaml.safe_load(yaml_writer.to_yaml(manifest)) == manifest
