"""Test that the attacks of the end-to-end tests are found in a clone, before they are pushed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.check import tenant_findings
from fleet.config import load
from tests.check.end_to_end import ATTACKS, FOLDER, HOSTILE, Attack, hostile_files
from tests.check.tenant_support import write_clone
from tests.support import stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_found_and_nothing_else(
    attack: Attack, checkout: Path, tmp_path: Path
) -> None:
    url = f"https://a.example/m/{HOSTILE}"
    more = f"  fleet:tenants:\n    - {{name: {HOSTILE}, repository: {{url: {url}}}}}\n"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    write_clone(tmp_path / "clones" / HOSTILE, hostile_files(attack))
    result = tenant_findings.check_tenants(tmp_path / "clones", [load.stack(checkout, "dev")])
    assert result.findings
    names = {
        *(f"{item['kind']} " for item in attack.objects),
        *(f"{FOLDER}/kustomization.yaml: resources: {r}" for r in attack.resources),
        "ResourceQuota tenant",
    }
    for finding in result.findings:
        assert finding.file == f"{HOSTILE}/{FOLDER}"
        assert any(finding.object.startswith(name) for name in names)
