"""`fleet promote`: what it prints, refuses and leaves when it is interrupted."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from fleet import files
from fleet.policies import program
from fleet.promote import writing
from tests.promote.support import POLICIES, make, policy
from tests.support import Run, contents, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

ORDER = "  fleet:promotionOrder:\n    value: [dev, test, prod]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout of the examples; only its files below .git are no texts."""
    root = tmp_path / "checkout"
    root.mkdir()
    make(root)
    # A checkout need not be one of Git.
    (root / ".git").rename(tmp_path / "git")
    return root


def test_the_impact_comes_first_and_then_the_files(root: Path, fleet: Run) -> None:
    ended = fleet("promote", "foo", "--to", "dev", "--root", root)
    lines = ended.out.splitlines()
    assert (ended.code, lines[0]) == (
        0,
        "foo to dev: reaches 1 of 3 clusters: 1 added; nothing is deleted",
    )
    assert lines[lines.index("Files:") :] == [
        "Files:",
        "  ~ Pulumi.dev.yaml",
        "  + infrastructure/namespaces/foo/kustomization.yaml",
        "  + infrastructure/namespaces/foo/ns-foo.yaml",
        "  ~ infrastructure/namespaces/test-only/kustomization.yaml",
        "  - infrastructure/namespaces/test-only/ns-foo.yaml",
    ]


def test_json(root: Path, fleet: Run) -> None:
    ended = fleet("promote", "foo-app", "--to", "prod", "--json", "--root", root)
    found = json.loads(ended.out)
    assert (found["name"], found["to"], found["isDryRun"]) == ("foo-app", "prod", False)
    assert {"path": "Pulumi.prod.yaml", "change": "changed"} in found["files"]
    assert [item["name"] for item in found["impact"]["clusters"] if item["isReached"]] == ["prod"]


def test_a_dry_run_changes_nothing(root: Path, fleet: Run) -> None:
    before = contents(root)
    ended = fleet("promote", "foo-app", "--to", "prod", "--dry-run", "--root", root)
    assert "\nFiles that would change:\n" in ended.out
    assert contents(root) == before


def test_a_tree_that_does_not_change_is_not_named(root: Path, fleet: Run) -> None:
    assert fleet("promote", "foo", "--to", "dev", "--root", root).code == 0
    # The tree of dev waits for an `up` that adds foo, and then for none.
    ended = fleet("promote", "foo", "--to", "common", "--baseline", "x", "--root", root)
    assert ended.code == 0
    assert "  ~ clusters/test/infra/kustomization.yaml" in ended.out.splitlines()
    assert "clusters/dev" not in ended.out


def test_a_tree_that_is_older_and_would_not_build_after_the_merge(root: Path, fleet: Run) -> None:
    stack = root / "Pulumi.test.yaml"
    stack.write_text(stack.read_text().replace("    - foo-app/base\n", ""))
    before = contents(root)
    ended = fleet("promote", "foo-app", "--to", "common", "--baseline", "x", "--root", root)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].endswith(
        "its tree is older than Pulumi.test.yaml, so run `pulumi up -s test` first"
    )
    assert contents(root) == before


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("fooapp --to dev", "fooapp: is no app, namespace or policy here; near names: foo-app"),
        ("foo-app --to devv", "--to devv: is no cluster here; near names: dev"),
        ("foo-app --to test", "test: has foo-app already, by foo-app/base; nothing to promote"),
        ("foo --to common", "give the reason in one line with --baseline REASON"),
        ("foo-app --to prod --from dev", "--from dev: does not list foo-app"),
        (
            "foo-app --to dev --baseline x",
            "--baseline: has no effect when apps/foo-app goes to dev",
        ),
        ("second --to prod", "second.yaml is on trial there; promote it to shared first"),
        ("first --to shared", f"{POLICIES}/shared: has first already; nothing to promote"),
        ("first --to prod", "prod: enforces first already; nothing to promote"),
        ("first --to common", "so write --to shared"),
        ("foo --to dev --set x/y", "--set x/y: is no name of a named set"),
    ],
)
def test_refusals(words: str, problem: str, root: Path, fleet: Run) -> None:
    before = contents(root)
    ended = fleet("promote", *words.split(), "--root", root)
    assert (ended.code, ended.out) == (1, "")
    assert problem in ended.err.splitlines()[-1]
    assert contents(root) == before


def test_the_order_of_promotions(root: Path, fleet: Run) -> None:
    project = root / "Pulumi.yaml"
    project.write_text(project.read_text() + ORDER)
    refused = fleet("promote", "foo-app", "--to", "prod", "--root", root)
    assert refused.code == 1
    assert refused.err.splitlines()[-1] == (
        "foo-app: dev comes before prod in fleet:promotionOrder and does not have it; promote it "
        "to dev first, or add --force"
    )
    assert fleet("promote", "foo-app", "--to", "dev", "--root", root).code == 0
    assert fleet("promote", "foo-app", "--to", "prod", "--root", root).code == 0


def test_the_order_can_be_overruled(root: Path, fleet: Run) -> None:
    project = root / "Pulumi.yaml"
    project.write_text(project.read_text() + ORDER)
    assert fleet("promote", "foo-app", "--to", "prod", "--force", "--root", root).code == 0


def test_an_overlay_for_presence(root: Path, fleet: Run) -> None:
    overlay = root / "apps/podinfo/overlays/prod/kustomization.yaml"
    patch = "$patch: delete\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: podinfo}"
    overlay.write_text(overlay.read_text() + f"patches: [{{patch: {json.dumps(patch)}}}]\n")
    stack = root / "Pulumi.prod.yaml"
    stack.write_text(stack.read_text().replace("    - podinfo/overlays/prod\n", ""))
    ended = fleet("promote", "podinfo", "--to", "prod", "--root", root)
    assert ended.code == 1
    assert "deletes objects, but an overlay is for differences and not for presence" in ended.err


def test_a_policy_that_would_refuse_objects(root: Path, fleet: Run) -> None:
    if program.find() is None:
        pytest.skip("Kyverno's command line is not here")
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bare, namespace: team-x}\n"
        "spec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n"
        "    spec: {containers: [{name: a, image: 'a:1'}]}\n"
    )
    shared = f"{POLICIES}/shared"
    listed = (root / shared / "kustomization.yaml").read_text() + "  - second\n"
    write(
        root,
        {
            "apps/podinfo/base/resource.yaml": deployment,
            f"{shared}/kustomization.yaml": listed,
            f"{shared}/second/kustomization.yaml": "resources: [policy.yaml]\n",
            f"{shared}/second/policy.yaml": policy("second", "Audit"),
        },
    )
    (root / f"{POLICIES}/test-only/second.yaml").unlink()
    trial = root / f"{POLICIES}/test-only/kustomization.yaml"
    trial.write_text(trial.read_text().replace("  - second.yaml\n", ""))
    before = contents(root)
    ended = fleet("promote", "second", "--to", "prod", "--root", root)
    assert ended.code == 1
    assert "second-enforced would refuse 1 object: Deployment team-x/bare" in ended.out
    assert ended.err.splitlines()[-1] == (
        "second: policies of prod would refuse objects, see above; correct these first, or add "
        "--force"
    )
    assert contents(root) == before
    assert fleet("promote", "second", "--to", "prod", "--force", "--root", root).code == 0


def test_the_same_command_completes_an_interrupted_promotion(
    root: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("promote", "foo", "--to", "common", "--baseline", "all need it", "--root", root)
    write_file = files.write
    written: list[Path] = []

    def interrupted(path: Path, content: bytes, mode: int = 0o644) -> None:
        if path.is_relative_to(root):
            if len(written) == limit:
                raise KeyboardInterrupt
            written.append(path)
        write_file(path, content, mode)

    before = contents(root)
    monkeypatch.setattr(files, "write", interrupted)
    for number in itertools.count(1):
        limit = number
        written.clear()
        try:
            fleet(*words)
        except KeyboardInterrupt:
            other = fleet("promote", "foo", "--to", "dev", "--root", root)
            assert "the promotion of foo to common was interrupted" in other.err
            limit = -1
            assert fleet(*words).out == "Completed the interrupted promotion of foo.\n"
        else:
            break
        after = contents(root)
        assert not (root / writing.JOURNAL).exists()
        assert after != before
        write(root, {path: text for path, text in before.items() if after.get(path) != text})
        for path in after.keys() - before.keys():
            (root / path).unlink()
    # The journal is written, and each of four files; the others are removed.
    assert number == 5
    assert contents(root) == after
