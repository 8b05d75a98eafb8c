"""The tree of a cluster: golden trees, and rules for every file of any tree.

`make golden` writes the golden trees anew after an intended change; review their diff.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleet.config import load
from fleet.config.models import Stack
from fleet.errors import ConfigError
from fleet.render import header, tree
from tests.render.support import (
    GOLDEN,
    HEADER,
    SHIPPED,
    manifests_in,
    resources_in,
    stack_of,
)
from tests.support import INSTALL_MANIFESTS, REPOSITORY, TENANCY, contents, stack_file


def test_golden(shipped: Stack) -> None:
    expected = contents(GOLDEN / shipped.path)
    assert tree.render(shipped, None) == {f"{shipped.path}/{k}": v for k, v in expected.items()}


def test_golden_has_no_other_cluster() -> None:
    assert {path.name for path in (GOLDEN / "clusters").iterdir()} == set(SHIPPED)


def test_golden_of_a_cluster_with_tenants(tenancy: Stack) -> None:
    expected = contents(TENANCY / tenancy.path)
    assert tree.render(tenancy, None) == {f"{tenancy.path}/{k}": v for k, v in expected.items()}


def test_rendering_twice_gives_the_same(shipped: Stack) -> None:
    """A stack that is loaded again renders the same texts, in the same order of paths."""
    again = tree.render(load.stack(REPOSITORY, shipped.name), INSTALL_MANIFESTS)
    files = tree.render(shipped, INSTALL_MANIFESTS)
    assert list(files.items()) == list(again.items())
    assert list(files) == sorted(files)


def test_every_file_is_yaml_and_names_its_stack_file(rendered: Stack) -> None:
    for path, text in tree.render(rendered, INSTALL_MANIFESTS).items():
        assert text.startswith(HEADER.format(rendered.file)), path
        assert header.fits(text), path
        assert text.endswith("\n"), path
        assert all(item["apiVersion"] and item["kind"] for item in manifests_in(text)), path


def test_every_file_is_below_the_clusters_own_folder(rendered: Stack) -> None:
    """No file names another cluster either."""
    for path, text in tree.render(rendered, INSTALL_MANIFESTS).items():
        assert path.startswith(f"clusters/{rendered.name}/")
        assert set(re.findall(r"clusters/([\w-]+)", text)) <= {rendered.name}, path


def test_the_reason_for_an_entry_is_a_comment_above_it(checkout: Path) -> None:
    entry = "{path: podinfo/overlays/prod, because: 'prod''s load test: #42'}"
    text = stack_file("dev").replace("podinfo/overlays/dev", entry)
    rendered = tree.render(stack_of(checkout, text), None)["clusters/dev/apps/kustomization.yaml"]
    assert rendered.splitlines()[-2:] == [
        "  # prod's load test: #42",
        "  - ../../../apps/podinfo/overlays/prod",
    ]
    assert resources_in(rendered) == ["../../../apps/podinfo/overlays/prod"]


@pytest.mark.parametrize("end", ["\\r", "\\x85", "\\u2028", "\\u2029", "\\e", "\\0", "\\v", "\\n"])
def test_no_reason_gets_out_of_its_comment(end: str, checkout: Path) -> None:
    """Some readers of YAML end a line at more characters than others."""
    reason = f'"x{end}  - ../../../apps/foo-app/base"'
    entry = f"{{path: podinfo/overlays/prod, because: {reason}}}"
    text = stack_file("dev").replace("podinfo/overlays/dev", entry)
    with pytest.raises(ConfigError, match=r"fleet:apps\[0\]\.because: .* (one line|characters)"):
        stack_of(checkout, text)
    tenant = (
        "  fleet:tenants:\n    - name: billing\n"
        "      repository: {url: https://github.com/acme/billing}\n"
        f"      inFluxSystem: {{because: {reason}}}\n"
    )
    with pytest.raises(ConfigError, match=r"inFluxSystem\.because: .* (one line|characters)"):
        stack_of(checkout, stack_file("dev", more=tenant))


def test_names_that_look_like_numbers_are_texts(checkout: Path) -> None:
    tenant = (
        "  fleet:tenants:\n"
        "    - name: '1e3'\n"
        "      namespace: 0o17\n"
        "      repository: {url: https://github.com/acme/billing, branch: y}\n"
    )
    stack = stack_of(checkout, stack_file("dev", more=tenant))
    text = tree.render(stack, None)["clusters/dev/tenants/1e3/tenant.yaml"]
    assert "platform.example.com/tenant: '1e3'\n" in text
    assert "namespace: '0o17'\n" in text
    assert "branch: 'y'\n" in text
    assert not re.search(r": (1e3|0o17|y)$", text, re.MULTILINE)


def test_components_are_the_install_manifests(shipped: Stack) -> None:
    """Without them, all other files stay the same."""
    path = f"{shipped.path}/flux-system/gotk-components.yaml"
    with_them = tree.render(shipped, INSTALL_MANIFESTS)
    assert with_them.pop(path) == header.with_header(shipped.file, INSTALL_MANIFESTS)
    assert with_them == tree.render(shipped, None)
    assert resources_in(with_them[f"{shipped.path}/flux-system/kustomization.yaml"]) == [
        "gotk-components.yaml",
        "platform-account.yaml",
        "gotk-sync.yaml",
        "cluster-facts.yaml",
    ]
