"""The promotions that the articles behind fleet describe: files before, command, files after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.inventory.support import write_tree
from tests.promote.support import FILES, NAMESPACES, POLICIES, make, objects, policy, stack_file
from tests.support import Run, kustomization, namespace

# These tests run programs or servers.
pytestmark = pytest.mark.slow

# The new text of each file, None for one that is gone.
Changes = Mapping[str, str | None]
Promote = Callable[..., Changes]
DEV = FILES["Pulumi.dev.yaml"]
TEST = FILES["Pulumi.test.yaml"]
PROD = FILES["Pulumi.prod.yaml"]
FOO_ALONE: Changes = {
    f"{NAMESPACES}/foo/kustomization.yaml": kustomization("ns-foo.yaml"),
    f"{NAMESPACES}/foo/ns-foo.yaml": namespace("foo"),
    f"{NAMESPACES}/test-only/ns-foo.yaml": None,
    f"{NAMESPACES}/test-only/kustomization.yaml": kustomization("../foo"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path)
    return tmp_path


def texts(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


@pytest.fixture
def promote(root: Path, fleet: Run) -> Promote:
    """Return a function that promotes, and returns the files that changed outside of trees."""

    def run(*words: str) -> Changes:
        before = texts(root)
        ended = fleet("promote", *words, "--root", root)
        assert ended.code == 0, ended.err
        # The impact knows the state after the merge and the one after the next `up`.
        assert "; nothing is deleted" in ended.out
        after = texts(root)
        return {
            path: after.get(path)
            for path in sorted(before.keys() | after.keys())
            if before.get(path) != after.get(path) and not path.startswith("clusters/")
        }

    return run


def with_lines(text: str, after: str, *lines: str) -> str:
    """Return a text with lines after one of its lines."""
    return text.replace(f"{after}\n", f"{after}\n" + "".join(f"{line}\n" for line in lines))


class TestPromotionWorkflow:
    def test_first_dev_then_prod(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        dev = with_lines(DEV, "    - podinfo/overlays/dev", "    - foo-app/base")
        dev = with_lines(dev, "    - namespaces/team-x", "    - namespaces/foo")
        assert promote("foo-app", "--to", "dev") == {**FOO_ALONE, "Pulumi.dev.yaml": dev}
        foo = {"Namespace foo", "ConfigMap foo/foo-app"}
        assert objects(root) == {**before, "dev": before["dev"] | foo}

        prod = with_lines(PROD, "    - podinfo/overlays/prod", "    - foo-app/base")
        prod = with_lines(prod, "    - namespaces/team-x", "    - namespaces/foo")
        assert promote("foo-app", "--to", "prod") == {"Pulumi.prod.yaml": prod}
        assert objects(root) == {name: found | foo for name, found in before.items()}

    def test_prod_with_values_of_its_own(self, promote: Promote, root: Path) -> None:
        """An overlay comes first; who listed the base gets one too."""
        changed = promote("foo-app", "--to", "prod", "--overlay")
        assert changed["apps/foo-app/overlays/prod/kustomization.yaml"] == kustomization(
            "../../base"
        )
        assert "    - foo-app/overlays/prod\n" in str(changed["Pulumi.prod.yaml"])
        assert "Namespace foo" in objects(root)["prod"]


class TestMoveATestAppToAllClusters:
    def test_no_baseline_app(self, promote: Promote, root: Path) -> None:
        promote("foo-app", "--to", "dev")
        promote("foo-app", "--to", "prod")
        assert all("ConfigMap foo/foo-app" in found for found in objects(root).values())
        assert (root / "Pulumi.test.yaml").read_text() == TEST

    def test_a_baseline_app(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        changed = promote("foo-app", "--to", "common", "--baseline", "all clusters need foo")
        listed = with_lines(
            FILES["apps/common/kustomization.yaml"],
            "  - agent",
            "  # all clusters need foo",
            "  - ../foo-app/base",
        )
        namespaces = ("    - namespaces/team-x", "    - namespaces/foo")
        assert changed == {
            **FOO_ALONE,
            "apps/common/kustomization.yaml": listed,
            "Pulumi.test.yaml": TEST.replace("    - foo-app/base\n", ""),
            "Pulumi.dev.yaml": with_lines(DEV, *namespaces),
            "Pulumi.prod.yaml": with_lines(PROD, *namespaces),
        }
        foo = {"Namespace foo", "ConfigMap foo/foo-app"}
        assert objects(root) == {name: found | foo for name, found in before.items()}

    def test_an_overlay_for_each_cluster(self, promote: Promote, root: Path) -> None:
        for name in ("dev", "prod"):
            promote("foo-app", "--to", name, "--overlay")
        for name in ("dev", "test", "prod"):
            entry = f"foo-app/overlays/{name}"
            assert f"    - {entry}\n" in (root / f"Pulumi.{name}.yaml").read_text()
            file = root / f"apps/{entry}/kustomization.yaml"
            assert file.read_text() == kustomization("../../base")
        assert "foo-app/base" not in (root / "Pulumi.test.yaml").read_text()
        assert all("ConfigMap foo/foo-app" in found for found in objects(root).values())


class TestMoveATestNamespaceToAllClusters:
    def test_a_common_namespace(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        common = f"{NAMESPACES}/common"
        assert promote("foo", "--to", "common", "--baseline", "agents run there") == {
            f"{common}/kustomization.yaml": with_lines(
                FILES[f"{common}/kustomization.yaml"],
                "  - ns-monitoring.yaml",
                "  # agents run there",
                "  - ns-foo.yaml",
            ),
            f"{common}/ns-foo.yaml": namespace("foo"),
            f"{NAMESPACES}/test-only/kustomization.yaml": None,
            f"{NAMESPACES}/test-only/ns-foo.yaml": None,
            "Pulumi.test.yaml": TEST.replace("    - namespaces/test-only\n", ""),
        }
        # Definitions are live at merge, so the tree of test changes with them.
        tree = (root / "clusters/test/infra/kustomization.yaml").read_text()
        assert "namespaces/test-only" not in tree
        assert objects(root) == {name: found | {"Namespace foo"} for name, found in before.items()}

    def test_a_named_set(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        for name in ("dev", "prod"):
            promote("foo", "--to", name, "--set", "internal-tools")
            file = root / f"Pulumi.{name}.yaml"
            assert "    - namespaces/internal-tools\n" in file.read_text()
        listed = root / f"{NAMESPACES}/internal-tools/kustomization.yaml"
        assert listed.read_text() == kustomization("../foo")
        assert objects(root) == {name: found | {"Namespace foo"} for name, found in before.items()}

    def test_explicitly(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        dev = with_lines(DEV, "    - namespaces/team-x", "    - namespaces/foo")
        assert promote("namespaces/foo", "--to", "dev") == {**FOO_ALONE, "Pulumi.dev.yaml": dev}
        assert objects(root) == {**before, "dev": before["dev"] | {"Namespace foo"}}

    def test_an_overlay_for_each_environment(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        for name in ("dev", "prod"):
            promote("namespaces/foo", "--to", name, "--overlay")
        for name in ("dev", "prod"):
            file = root / f"Pulumi.{name}.yaml"
            assert f"    - namespaces/foo/overlays/{name}\n" in file.read_text()
        assert objects(root) == {name: found | {"Namespace foo"} for name, found in before.items()}


class TestPolicyFlow:
    def test_from_test_only_to_shared_to_deny_in_prod(self, promote: Promote, root: Path) -> None:
        before = objects(root)
        shared = f"{POLICIES}/shared"
        assert promote("second", "--to", "shared") == {
            f"{POLICIES}/test-only/second.yaml": None,
            f"{POLICIES}/test-only/kustomization.yaml": kustomization("third.yaml"),
            f"{shared}/kustomization.yaml": kustomization("first", "second"),
            f"{shared}/second/kustomization.yaml": kustomization("policy.yaml"),
            f"{shared}/second/policy.yaml": policy("second", "Audit"),
        }
        name = "ValidatingPolicy second"
        assert objects(root) == {stack: found | {name} for stack, found in before.items()}

        prod = f"{POLICIES}/prod/kustomization.yaml"
        assert promote("second", "--to", "prod") == {
            prod: with_lines(FILES[prod], "  - ../shared/first", "  - ../shared/second")
        }
        enforced = {name, f"{name}-enforced"}
        assert objects(root)["prod"] == before["prod"] | enforced


def test_the_tree_of_a_rendered_cluster_stays(root: Path, promote: Promote) -> None:
    """It holds no definition that a merge could change; its own `up` makes it anew."""
    stack = root / "Pulumi.test.yaml"
    stack.write_text(f"{TEST}  fleet:definitions: rendered\n")
    write_tree(root, "test")
    before = {path: text for path, text in texts(root).items() if path.startswith("clusters/")}
    promote("foo", "--to", "common", "--baseline", "agents run there")
    after = {path: text for path, text in texts(root).items() if path.startswith("clusters/")}
    assert after == before
    assert "Namespace foo" in objects(root)["test"]


def test_a_stack_file_keeps_its_comments(root: Path, promote: Promote) -> None:
    text = stack_file("dev", "namespaces/common namespaces/team-x", "common podinfo/overlays/dev")
    (root / "Pulumi.dev.yaml").write_text(
        text.replace("    - common\n", "    # Everybody has these.\n    - common  # all\n")
    )
    changed = promote("foo-app", "--to", "dev")
    assert "    # Everybody has these.\n    - common  # all\n" in str(changed["Pulumi.dev.yaml"])
