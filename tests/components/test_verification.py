"""The comparison with reality, as `__main__.py` makes it before and after a run."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

import pulumi
import pytest

from fleet.config import load
from fleet.errors import FleetError
from fleet.identity import branch, cluster, offboarding
from fleet.identity.offboarding import EndingNamespace
from fleet.identity.reality import Branch, Cluster, Unreachable, blob_sha
from fleet.render import identity_file, tree
from tests.components.conftest import agreeing_branch, agreeing_cluster
from tests.components.helpers import FILE, MANIFESTS, STACK, UID, engine_config, names, run_program
from tests.components.recording import Recording, run
from tests.support import REPOSITORY, stack_file, write

OTHER = "bbbbbbbb-0000-4000-8000-000000000002"
IDENTITY = "clusters/dev/flux-system/cluster-identity.yaml"
ROOT = "kubernetes:kustomize.toolkit.fluxcd.io/v1:Kustomization"
DOWN = Unreachable(reason="kubectl: exit 1: no route")
NOT_VERIFIED = (
    "Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' cannot be reached, so its identity is not "
    "verified: kubectl: exit 1: no route; repair the connection and run the same command again"
)


def record(root: Path, *, preview: bool = False) -> Recording:
    return run_program(engine_config(root) | {"github:token": "hunter2"}, preview=preview)


def refusal(root: Path, *, preview: bool = False) -> str:
    with pytest.raises(pulumi.RunError) as caught:
        record(root, preview=preview)
    return str(caught.value)


@pytest.mark.parametrize("preview", [False, True])
def test_the_wrong_cluster_is_refused_before_anything_is_registered(
    preview: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        branch, "read", lambda *_: dataclasses.replace(agreeing_branch(), identity=OTHER)
    )
    refusals: list[str] = []

    def program() -> None:
        with pytest.raises(pulumi.RunError) as caught:
            runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")
        refusals.append(str(caught.value))

    values = engine_config(here) | {"github:token": "hunter2"}
    recording = run(program, preview=preview, values=values)
    assert [resource.type for resource in recording.resources] == [STACK]
    (said,) = refusals
    assert said.startswith("Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' leads to the cluster")
    assert f"set fleet:cluster.replaces: {OTHER}" in said
    assert "\n" not in said


def test_an_up_without_its_cluster_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "read", lambda *_: DOWN)
    assert refusal(here) == NOT_VERIFIED


@pytest.mark.parametrize("identity", [None, UID])
def test_a_preview_without_its_cluster_goes_on_and_says_so(
    identity: str | None, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is invented: the identity file is the branch's own, or is left out."""
    warnings: list[str] = []
    monkeypatch.setattr(cluster, "read", lambda *_: DOWN)
    monkeypatch.setattr(
        branch, "read", lambda *_: dataclasses.replace(agreeing_branch(), identity=identity)
    )
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    recording = record(here, preview=True)
    assert warnings == [NOT_VERIFIED]
    files = {file.name: file.inputs["content"] for file in recording.all(FILE)}
    assert files.get(IDENTITY) == (identity_file.text(UID) if identity else None)


def test_the_readers_get_what_the_stack_names(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def read_cluster(*args: object) -> Cluster:
        asked.append(args)
        return agreeing_cluster()

    def read_branch(*args: object) -> Branch:
        asked.append(args[2])
        return agreeing_branch()

    monkeypatch.setattr(cluster, "read", read_cluster)
    monkeypatch.setattr(branch, "read", read_branch)
    record(here, preview=True)
    files = tree.render(load.stack(here, "dev"), MANIFESTS)
    assert asked == [(here / "kubeconfig", "k3d-dev"), files]


def commits_of_the_run(
    monkeypatch: pytest.MonkeyPatch, after: Cluster | Unreachable, contained: set[str | None]
) -> None:
    """Give a run another cluster at its end, whose Flux has pulled these commits."""
    answers = [after, agreeing_cluster()]
    monkeypatch.setattr(cluster, "read", lambda *_: answers.pop())
    monkeypatch.setattr(branch, "commits_since", lambda *_: contained)


def test_a_run_fails_when_flux_has_not_pulled_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits_of_the_run(monkeypatch, agreeing_cluster(), set())
    assert "which does not contain None of this run; run `pulumi up` again" in refusal(here)


def test_an_error_of_github_at_the_end_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise FleetError("https://api.github.com/: cannot be fetched")

    monkeypatch.setattr(branch, "commits_since", fail)
    assert refusal(here) == "https://api.github.com/: cannot be fetched"


def test_a_run_fails_when_its_cluster_is_another_one_at_its_end(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(agreeing_cluster(), uid=OTHER)
    commits_of_the_run(monkeypatch, other, {None})
    assert f"leads to the cluster {OTHER} now, and led to {UID} before" in refusal(here)


def test_a_run_that_commits_nothing_has_nothing_to_be_pulled(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = load.stack(here, "dev")
    files = tree.render(stack, MANIFESTS) | {IDENTITY: identity_file.text(UID)}
    pushed = agreeing_branch()
    blobs = {**pushed.files, **{path: blob_sha(text) for path, text in files.items()}}
    found = dataclasses.replace(pushed, files=blobs, identity=UID)
    monkeypatch.setattr(branch, "read", lambda *_: found)
    commits_of_the_run(monkeypatch, agreeing_cluster(), set())
    assert len(record(here).all(FILE)) == len(files)


def test_a_preview_confirms_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits_of_the_run(monkeypatch, DOWN, set())
    assert record(here, preview=True).one(STACK)


def test_a_cluster_that_is_taken_over_loses_nothing(here: Path) -> None:
    """The root Kustomization may not prune what it applied from its former place."""
    text = stack_file("dev", infrastructure="namespaces/common policies/shared")
    before = record(here)
    write(here, {"Pulumi.dev.yaml": text.replace("k3d-dev", f"k3d-dev, adopts: {UID}")})
    taking = record(here)
    root = "Kustomization/flux-system/flux-system"
    suspended = f"suspended/{root}"
    assert before.one(ROOT).inputs["spec"]["prune"] is True
    for name in (root, suspended):
        assert taking.one(ROOT, name).inputs["spec"]["prune"] is False
    assert suspended in taking.before(taking.one(ROOT, root))
    # Flux applies this file first, and the rest of the tree may fail.
    sync = taking.one(FILE, "clusters/dev/flux-system/gotk-sync.yaml").inputs["content"]
    assert "prune: false" in sync
    assert sorted(names(taking.resources)) == sorted([*names(before.resources), suspended])


def test_definitions_that_the_branch_lacks_or_has_in_another_form(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    base = "apps/podinfo/base/kustomization.yaml"
    pushed = agreeing_branch()
    other = dataclasses.replace(pushed, files={**pushed.files, base: "0" * 40})
    monkeypatch.setattr(branch, "read", lambda *_: other)
    record(here, preview=True)
    files = {path: sha for path, sha in pushed.files.items() if path != base}
    monkeypatch.setattr(branch, "read", lambda *_: dataclasses.replace(pushed, files=files))
    assert f"'podinfo/overlays/dev' needs {base}, not on main" in refusal(here)
    (warning,) = warnings
    assert f"'podinfo/overlays/dev' has {base} in another form on main" in warning


def test_namespaces_that_do_not_end_are_a_warning(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that does not answer is not asked."""
    ending = EndingNamespace(name="billing-dev", tenant="billing", since="2026-11-25T00:30:00Z")
    asked: list[list[str]] = []

    def read(kubectl: list[str]) -> list[EndingNamespace]:
        asked.append(kubectl)
        return [ending]

    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    monkeypatch.setattr(offboarding, "read", read)
    record(here)
    (warning,) = warnings
    assert "the namespace billing-dev of the tenant billing has been Terminating" in warning
    monkeypatch.setattr(cluster, "read", lambda *_: DOWN)
    record(here, preview=True)
    assert len(asked) == 1


def test_a_renamed_stack_keeps_its_resources_and_registers_both_trees(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Components are named after the stack. The engine gives their children the same aliases."""
    cluster_keys = ", environment: dev, movesFrom: {stack: old}"
    write(here, {"Pulumi.dev.yaml": stack_file("dev", cluster=cluster_keys)})
    former = {f"clusters/old/{name}": "0" * 40 for name in ("kustomization.yaml", "apps.yaml")}
    pushed = agreeing_branch()
    on_branch = dataclasses.replace(pushed, files={**pushed.files, **former}, identity=UID)
    monkeypatch.setattr(branch, "read", lambda *_: on_branch)
    recording = record(here, preview=True)
    components = [r for r in recording.resources if r.name == "dev" and not r.custom]
    assert len(components) == 5
    for component in components:
        assert component.former_names == {"old"}
    assert set(former) <= set(names(recording.all(FILE)))


@pytest.mark.parametrize("is_done", [False, True])
def test_the_file_that_leads_flux_on_is_committed_once(
    is_done: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider would commit it again after a run that was interrupted."""
    cluster_keys = ", environment: dev, movesFrom: {stack: old}"
    write(here, {"Pulumi.dev.yaml": stack_file("dev", cluster=cluster_keys)})
    text = tree.render(load.stack(here, "dev"), MANIFESTS)[
        "clusters/dev/flux-system/gotk-sync.yaml"
    ]
    redirect = "clusters/old/flux-system/gotk-sync.yaml"
    files = {
        "clusters/old/kustomization.yaml": "0" * 40,
        redirect: blob_sha(text if is_done else "former\n"),
    }
    pushed = agreeing_branch()
    on_branch = dataclasses.replace(pushed, files={**pushed.files, **files}, identity=UID)
    monkeypatch.setattr(branch, "read", lambda *_: on_branch)
    file = record(here, preview=True).one(FILE, redirect)
    assert file.ignore_changes == (("*",) if is_done else ("overwriteOnCreate",))
    assert file.inputs["content"] == ("" if is_done else text)


def test_a_file_that_the_branch_has_already_is_taken_over(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was interrupted, or a state that was lost, leads to no second commit."""
    files = tree.render(load.stack(here, "dev"), MANIFESTS)
    path, *others = files
    pushed = agreeing_branch()
    own = {path: blob_sha(files[path]), others[0]: blob_sha("other\n")}
    there = dataclasses.replace(pushed, files={**pushed.files, **own})
    monkeypatch.setattr(branch, "read", lambda *_: there)
    recording = record(here, preview=True)
    taken_over = recording.one(FILE, path)
    assert taken_over.import_id == f"platform:{path}:main"
    assert taken_over.ignore_changes == ("*",)
    for other in others:
        assert not recording.one(FILE, other).import_id
        assert not recording.one(FILE, other).ignore_changes
