"""Cluster facts in the tree, and the order in which they are committed."""

from __future__ import annotations

from pathlib import Path

import yaml

from fleet.config import load
from fleet.config.models import Stack
from fleet.render import commit_order, facts, tree
from tests.render.support import no_objects
from tests.support import stack_file, write

FILE = "clusters/dev/flux-system/cluster-facts.yaml"
LIST = "clusters/dev/flux-system/kustomization.yaml"
STAGE = "clusters/dev/apps.yaml"
APPS = "clusters/dev/apps/kustomization.yaml"


def stack_with(root: Path, text: str, apps: str = "podinfo/overlays/dev") -> Stack:
    more = f"  fleet:facts: {text}\n" if text else ""
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps=apps, more=more)})
    return load.stack(root, "dev")


def commits(stack: Stack, former: dict[str, str]) -> list[tuple[str, str]]:
    """Return the path and the text of each commit that changes something, in order."""
    files, now = tree.render(stack, None), dict(former)
    found = []
    for wave in commit_order.commit_waves(stack, files, former, no_objects):
        for commit in wave:
            if now.get(commit.path) != commit.text:
                found.append((commit.path, commit.text))
                now[commit.path] = commit.text
    assert {path: now[path] for path in files} == files
    return found


def test_the_own_values_of_a_cluster_win_key_by_key(checkout: Path) -> None:
    shared = (checkout / "Pulumi.yaml").read_text()
    default = "  fleet:facts: {value: {domain: example.com, region: eu}}\n"
    write(checkout, {"Pulumi.yaml": shared.replace("config:\n", f"config:\n{default}")})
    stack = stack_with(checkout, "{domain: dev.example.com, zone: a}")
    assert facts.of_stack(stack) == {
        "cluster": "dev",
        "domain": "dev.example.com",
        "environment": "dev",
        "region": "eu",
        "zone": "a",
    }


def test_a_cluster_without_facts_has_nothing_of_them(checkout: Path) -> None:
    files = tree.render(stack_with(checkout, ""), None)
    assert FILE not in files
    assert "postBuild" not in "".join(files.values())


def test_stages_take_the_facts_and_change_with_them(checkout: Path) -> None:
    old, new = (tree.render(stack_with(checkout, f"{{domain: {d}}}"), None) for d in ("a", "b"))
    changed = {path for path, text in new.items() if old[path] != text}
    assert changed == {FILE, STAGE, "clusters/dev/infra.yaml"}
    found = yaml.safe_load(new[STAGE])["spec"]["postBuild"]
    assert found["substituteFrom"] == [{"kind": "ConfigMap", "name": "cluster-facts"}]
    assert [*found["substitute"]] == ["cluster_facts_sha256"]
    labels = yaml.safe_load(new[FILE])["metadata"]["labels"]
    assert labels == {"reconcile.fluxcd.io/watch": "Enabled"}


def test_the_first_fact_comes_before_what_takes_it(checkout: Path) -> None:
    former = tree.render(stack_with(checkout, ""), None)
    paths = [path for path, _ in commits(stack_with(checkout, "{domain: a}"), former)]
    assert paths[:2] == [FILE, LIST]
    assert STAGE in paths


def test_the_last_fact_goes_after_what_takes_it(checkout: Path) -> None:
    former = tree.render(stack_with(checkout, "{domain: a}"), None)
    paths = [path for path, _ in commits(stack_with(checkout, ""), former)]
    assert paths[-1] == LIST
    assert FILE not in paths
    assert STAGE in paths


def test_a_fact_that_goes_stays_until_its_definition_has_gone(checkout: Path) -> None:
    before = stack_with(checkout, "{domain: a, zone: z}", "podinfo/base podinfo/overlays/dev")
    former = tree.render(before, None)
    stack = stack_with(checkout, "{domain: b}")
    found = commits(stack, former)
    texts = [yaml.safe_load(text)["data"] for path, text in found if path == FILE]
    own = {"cluster": "dev", "environment": "dev", "domain": "b"}
    assert texts == [own | {"zone": "z"}, own]
    paths = [path for path, _ in found]
    assert paths[0] == paths[-1] == FILE
    assert APPS in paths
