"""Test that `fleet check` asks no network; the kernel counts what it and its programs send."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.check import offline_support
from tests.check.support import flux_kustomization
from tests.support import REPOSITORY, config_map, definition, stack_file, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not offline_support.is_allowed(),
        reason="this kernel forbids a network namespace of one's own",
    ),
]

REMOTE = "is remote, and Flux builds from the repository alone; copy it into the repository"
# An address needs no resolver, which may be another program with another network.
HOST = "192.0.2.1"
CONTENTS: dict[str, dict[str, Any]] = {
    "base": {"resources": [f"https://{HOST}/org/repo//path?ref=v1"]},
    "base-without-scheme": {"resources": ["github.com/org/repo//path"]},
    "base-in-other-case": {"Resources": [f"HTTPS://{HOST}/org/repo"]},
    "base-by-ssh": {"resources": [f"git@{HOST}:org/repo"]},
    "base-by-user": {"resources": [f"org-1@{HOST}:org/repo"]},
    "base-forced": {"resources": [f"git::https://{HOST}/org/repo"]},
    "bases": {"bases": [f"ssh://git@{HOST}/org/repo"]},
    "components": {"components": [f"https://{HOST}/org/repo"]},
    "resource": {"resources": [f"http://{HOST}/resource.yaml"]},
    "patches": {"patches": [{"path": f"https://{HOST}/patch.yaml"}]},
    "merge-patches": {"patchesStrategicMerge": [f"https://{HOST}/patch.yaml"]},
    "json-patches": {"patchesJson6902": [{"path": f"https://{HOST}/p", "target": {"kind": "A"}}]},
    "files": {"configMapGenerator": [{"name": "a", "files": [f"a=https://{HOST}/a.txt"]}]},
    "envs": {"secretGenerator": [{"name": "a", "envs": [f"https://{HOST}/a.env"]}]},
    "crds": {"crds": [f"https://{HOST}/crd.json"]},
    "openapi": {"openapi": {"path": f"https://{HOST}/openapi.json"}},
    "configurations": {"configurations": [f"https://{HOST}/configuration.yaml"]},
    "replacements": {"replacements": [{"path": f"https://{HOST}/replacement.yaml"}]},
    "generators": {"generators": [f"https://{HOST}/generator.yaml"]},
    "transformers": {"transformers": [f"https://{HOST}/transformer.yaml"]},
    "validators": {"Validators": [f"https://{HOST}/validator.yaml"]},
    "inline": {"transformers": [f"kind: PatchTransformer\npath: https://{HOST}/patch.yaml\n"]},
}


def test_a_connection_is_counted(tmp_path: Path) -> None:
    """The other tests could not fail without this."""
    assert offline_support.run(tmp_path, "true").sent == 0
    git = ("git", "ls-remote")
    assert offline_support.run(tmp_path, *git, f"https://{HOST}/org/repo").sent > 0
    assert offline_support.run(tmp_path, *git, f"git@{HOST}:org/repo").sent > 0


def test_no_reference_of_a_kustomization_is_fetched(checkout: Path) -> None:
    (checkout / "Pulumi.prod.yaml").unlink()
    for name, content in CONTENTS.items():
        resources = (
            {"resources": ["resource.yaml"]}
            if "resources" not in {key.casefold() for key in content}
            else {}
        )
        write(checkout, definition(f"apps/{name}", config_map(name, "common")))
        text = yaml.safe_dump({**resources, **content})
        write(checkout, {f"apps/{name}/kustomization.yaml": text})
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps=" ".join(CONTENTS))})
    ended = run_check(checkout)
    assert ended.sent == 0
    lines = ended.out.splitlines()
    assert {line.partition("/kustomization.yaml: ")[0] for line in lines[:-1]} == {
        f"apps/{name}" for name in CONTENTS
    }
    assert all(line.rpartition(" [")[0].endswith(REMOTE) for line in lines[:-1])


def test_no_component_of_a_flux_kustomization_is_fetched(checkout: Path) -> None:
    spec = f"  components: ['https://{HOST}/org/repo']\n"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
    write(checkout, definition("apps/a", flux_kustomization("a", spec)))
    ended = run_check(checkout)
    assert ended.sent == 0
    assert ended.out.startswith("apps/podinfo/base/kustomization.yaml: components: https://")


def test_no_schema_of_the_repository_is_read(checkout: Path) -> None:
    """A schema could refer to other schemas by URL."""
    evil = checkout.parent / "evil_v1.json"
    evil.write_text(f'{{"$ref": "http://{HOST}/schema.json"}}')
    kind = f"{'../' * 20}{evil.parent.relative_to('/')}/evil"
    text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a, namespace: common}}\n"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a"), **definition("apps/a", text)})
    ended = run_check(checkout)
    assert ended.sent == 0
    assert "apiVersion and kind are no names; correct them" in ended.out


def run_check(checkout: Path) -> offline_support.Counted:
    command = (sys.executable, "-m", "fleet", "check", "--root", checkout)
    return offline_support.run(REPOSITORY, *command)
