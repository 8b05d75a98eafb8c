"""The moments at which changes reach clusters, and the lines that cause them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.changes import impact
from fleet.changes.impact import Impact
from fleet.errors import FleetError
from tests.inventory.support import (
    cluster,
    commit,
    git,
    impact_of,
    notes,
    only,
    shown,
    sources,
    write_tree,
)
from tests.support import config_map, definition, kustomization, namespace, stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

PODINFO = "ConfigMap common/podinfo"
EDITED = config_map("podinfo", "common").replace("value", "other")
BASE = "apps/podinfo/base/resource.yaml"
RENDERED = "  fleet:definitions: rendered\n"
WITH_TEAM = "namespaces/common namespaces/team"


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a committed checkout with the stacks dev and prod, and a namespace that none has."""
    commit(checkout, definition("infrastructure/namespaces/team", namespace("team")))
    return checkout


def reached(found: Impact) -> dict[str, list[str]]:
    return {item.name: shown(item) for item in found.clusters if item.is_reached}


def test_no_change(root: Path) -> None:
    found = impact_of(root)
    assert reached(found) == {}
    assert [item.name for item in found.clusters] == ["dev", "prod"]
    assert found.files == ()


def test_a_shared_base_is_live_at_merge_in_all_clusters_that_list_it(root: Path) -> None:
    write(root, {BASE: EDITED})
    found = impact_of(root)
    assert reached(found) == {name: [f"merge changed {PODINFO}"] for name in ("dev", "prod")}
    change = only(cluster(found))
    assert [str(field) for field in change.found.fields] == ["data.key: value -> other"]
    assert sources(change) == [f"{BASE}:7"]
    (file,) = found.files
    assert (file.path, file.line) == (BASE, 7)
    assert file.readers == ("apps/podinfo/overlays/dev", "apps/podinfo/overlays/prod")
    assert (file.at_merge, file.at_up) == (("dev", "prod"), ())
    assert file.environments == ("dev", "prod")


def test_a_rendered_cluster_is_reached_at_its_next_up(root: Path) -> None:
    commit(root, {"Pulumi.prod.yaml": stack_file("prod", more=RENDERED)})
    write(root, {BASE: EDITED})
    found = impact_of(root)
    assert reached(found) == {
        "dev": [f"merge changed {PODINFO}"],
        "prod": [f"up changed {PODINFO}"],
    }
    assert cluster(found, "prod").is_rendered
    assert sources(only(cluster(found, "prod"))) == [f"{BASE}:7"]
    (file,) = found.files
    assert (file.at_merge, file.at_up) == (("dev",), ("prod",))


def test_an_entry_is_live_at_the_next_up(root: Path) -> None:
    write(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    found = impact_of(root)
    assert reached(found) == {"dev": ["up added Namespace team"]}
    assert sources(only(cluster(found))) == ["Pulumi.dev.yaml:3"]


def test_an_entry_in_a_list_of_lines_is_found_by_its_line(root: Path) -> None:
    text = stack_file("dev").replace(
        "[namespaces/common]", "\n    - namespaces/common\n    - namespaces/team"
    )
    write(root, {"Pulumi.dev.yaml": text})
    assert sources(only(cluster(impact_of(root)))) == ["Pulumi.dev.yaml:5"]


def test_an_entry_that_leaves_is_deleted_at_the_next_up(root: Path) -> None:
    commit(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    write(root, {"Pulumi.dev.yaml": stack_file("dev")})
    found = impact_of(root)
    assert reached(found) == {"dev": ["up removed Namespace team"]}
    change = only(cluster(found))
    assert change.found.is_deleted
    assert notes(change) == [
        "Flux deletes it",
        "everything in the namespace goes, also what is not in this repository",
    ]
    assert found.deletions == 1


def test_a_definition_and_a_list_that_change_together(root: Path) -> None:
    """A listed entry is live at merge, and the new entry at the next `up`."""
    write(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM), BASE: EDITED})
    assert reached(impact_of(root)) == {
        "dev": [f"merge changed {PODINFO}", "up added Namespace team"],
        "prod": [f"merge changed {PODINFO}"],
    }


def test_a_definition_that_is_not_listed_reaches_nothing(root: Path) -> None:
    write(root, definition("infrastructure/namespaces/team", namespace("other")))
    assert reached(impact_of(root)) == {}


def test_a_comment_changes_nothing(root: Path) -> None:
    write(root, {BASE: f"# A comment.\n{config_map('podinfo', 'common')}"})
    found = impact_of(root)
    assert reached(found) == {}
    assert [file.path for file in found.files] == [BASE]
    assert found.files[0].environments == ()


def test_a_tree_that_is_edited_by_hand_is_live_at_merge(root: Path) -> None:
    write_tree(root, "dev")
    commit(root)
    listed = root / "clusters/dev/apps/kustomization.yaml"
    listed.write_text(listed.read_text().replace("overlays/dev", "overlays/test"))
    assert reached(impact_of(root))["dev"] == []
    write(root, {"apps/podinfo/overlays/test/kustomization.yaml": kustomization("resource.yaml")})
    write(root, {"apps/podinfo/overlays/test/resource.yaml": EDITED})
    found = cluster(impact_of(root))
    # The next `up` would change it back.
    assert shown(found) == [f"merge changed {PODINFO}", f"up changed {PODINFO}"]
    assert sources(found.changes[0])[0].startswith("clusters/dev/apps/kustomization.yaml:")
    assert found.problems == (
        "clusters/dev/apps/kustomization.yaml is edited by hand, so `pulumi up` refuses it; "
        "change the stack file instead",
    )


def test_what_the_next_up_changes_anyway_is_not_of_this_change(root: Path) -> None:
    """The tree on the branch is behind its stack file already."""
    write_tree(root, "dev")
    commit(root)
    commit(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    write(root, {BASE: EDITED})
    assert reached(impact_of(root))["dev"] == [f"merge changed {PODINFO}"]


def test_a_committed_tree_lists_what_is_live(root: Path) -> None:
    """The stack file has dropped the entry, but its tree still names it."""
    commit(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    write_tree(root, "dev")
    commit(root)
    commit(root, {"Pulumi.dev.yaml": stack_file("dev")})
    labelled = namespace("team") + "  labels: {a: b}\n"
    write(root, definition("infrastructure/namespaces/team", labelled))
    assert reached(impact_of(root)) == {"dev": ["merge changed Namespace team"]}


def test_the_commit_of_a_tree_is_live_at_merge(root: Path) -> None:
    write_tree(root, "dev")
    commit(root)
    commit(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    write_tree(root, "dev")
    found = impact_of(root)
    assert reached(found) == {"dev": ["merge added Namespace team"]}


def test_a_tree_that_is_removed(root: Path) -> None:
    write_tree(root, "dev")
    commit(root)
    git(root, "rm", "-r", "--quiet", "clusters/dev")
    found = cluster(impact_of(root))
    assert shown(found) == []
    assert found.problems == (
        "clusters/dev is removed by this change: its Flux finds nothing to apply, and fails until "
        "`pulumi up` commits the tree",
    )


def test_a_new_cluster_gets_everything_at_its_first_up(root: Path) -> None:
    write(root, {"Pulumi.test.yaml": stack_file("test")})
    found = cluster(impact_of(root), "test")
    assert found.is_new
    assert f"up added {PODINFO}" in shown(found)
    assert {change.moment.value for change in found.changes} == {"up"}
    assert sources(next(c for c in found.changes if str(c.found.object) == PODINFO)) == [
        "Pulumi.test.yaml:4"
    ]


def test_a_stack_file_that_is_removed(root: Path) -> None:
    (root / "Pulumi.dev.yaml").unlink()
    found = cluster(impact_of(root))
    assert (found.is_removed, found.is_reached, found.changes) == (True, True, ())


@pytest.mark.parametrize("has_tree", [False, True])
def test_a_cluster_without_a_stack_file_still_follows_the_definitions(
    has_tree: bool, root: Path
) -> None:
    if has_tree:
        write_tree(root, "dev")
        commit(root)
    (root / "Pulumi.dev.yaml").unlink()
    write(root, {BASE: EDITED})
    found = cluster(impact_of(root))
    assert found.is_removed
    assert shown(found) == [f"merge changed {PODINFO}"]
    (root / BASE).unlink()
    (problem,) = cluster(impact_of(root)).problems
    assert problem.endswith("; what it applies is not compared")


def test_two_commits_and_their_common_ancestor(root: Path) -> None:
    """Three dots leave out what the other branch has got in the meantime."""
    git(root, "switch", "--quiet", "--create", "feature")
    commit(root, {BASE: EDITED})
    git(root, "switch", "--quiet", "main")
    commit(root, {"Pulumi.prod.yaml": stack_file("prod", infrastructure=WITH_TEAM)})
    assert reached(impact_of(root, "main...feature")) == {
        "dev": [f"merge changed {PODINFO}"],
        "prod": [f"merge changed {PODINFO}"],
    }
    assert reached(impact_of(root, "main..feature"))["prod"] == [
        f"merge changed {PODINFO}",
        "up removed Namespace team",
    ]
    assert reached(impact_of(root, "feature..feature")) == {}


def test_a_definition_that_does_not_build_deletes_nothing(root: Path) -> None:
    write(root, {"apps/podinfo/base/kustomization.yaml": kustomization("nothing.yaml")})
    found = impact_of(root)
    assert found.deletions == 0
    assert reached(found) == {"dev": [], "prod": []}
    (problem,) = cluster(found).problems
    assert problem.endswith("; what it applies is not compared")


def test_names_that_a_limit_stands_for(root: Path) -> None:
    write(root, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    found = impact_of(root)
    assert [item.name for item in impact.named(found, ["dev", "prod"])] == ["dev"]
    with pytest.raises(FleetError) as refused:
        impact.named(found, ["prd"])
    assert str(refused.value) == (
        "--fail-on prd: is no environment and no cluster here; near names: prod"
    )


def test_a_commit_that_does_not_exist(root: Path) -> None:
    with pytest.raises(FleetError, match="nowhere: is no commit of"):
        impact_of(root, "nowhere..HEAD")
    with pytest.raises(FleetError, match="has no common commit"):
        impact_of(root, "nowhere...HEAD")
