"""Edits of lists: the rest of the file stays, to the byte."""

from __future__ import annotations

import pytest

from fleet.errors import FleetError
from fleet.promote.edits import ListEdit

STACK = """\
# All of dev.
config:
  fleet:infrastructure:
    - controllers/kyverno  # first of all
    # Every cluster has these.
    - namespaces/common

  # Apps come last.
  fleet:apps:
    - common
    - path: podinfo/overlays/test  # borrowed
      because: it has no other
  # fleet:tenants:
  #   - name: billing
"""


def edit(text: str, key: str = "fleet:apps") -> ListEdit:
    return ListEdit(file="Pulumi.dev.yaml", text=text, keys=("config", key))


def resources(text: str) -> ListEdit:
    return ListEdit(file="kustomization.yaml", text=text, keys=("resources",))


def test_an_item_comes_after_the_last_one() -> None:
    assert edit(STACK).with_item("foo-app/base") == STACK.replace(
        "      because: it has no other\n",
        "      because: it has no other\n    - foo-app/base\n",
    )
    assert edit(STACK, "fleet:infrastructure").with_item("namespaces/foo") == STACK.replace(
        "    - namespaces/common\n", "    - namespaces/common\n    - namespaces/foo\n"
    )


def test_an_item_has_its_reason_as_a_comment() -> None:
    text = resources("resources:\n- a\n# end\n").with_item("b", "everybody needs it")
    assert text == "resources:\n- a\n# everybody needs it\n- b\n# end\n"


def test_an_item_goes_with_the_comment_above_it() -> None:
    assert edit(STACK, "fleet:infrastructure").without_item("namespaces/common") == STACK.replace(
        "    # Every cluster has these.\n    - namespaces/common\n", ""
    )


def test_an_item_of_several_lines_goes() -> None:
    assert edit(STACK).without_item("podinfo/overlays/test") == STACK.replace(
        "    - path: podinfo/overlays/test  # borrowed\n      because: it has no other\n", ""
    )


def test_another_path_keeps_the_reason_of_an_entry() -> None:
    assert edit(STACK).with_other("podinfo/overlays/test", "podinfo/base") == STACK.replace(
        "path: podinfo/overlays/test", "path: podinfo/base"
    )
    assert edit(STACK).with_other("common", "other") == STACK.replace("- common", "- other")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resources:\n  - a\n", "resources:\n  - a\n  - b\n"),
        ("resources:\n- a\nkind: K\n", "resources:\n- a\n- b\nkind: K\n"),
        ("resources:\r\n  - a\r\n", "resources:\r\n  - a\r\n  - b\r\n"),
        ("resources:\n  - a", "resources:\n  - a\n  - b"),
        ("resources:\n  - a # why\n", "resources:\n  - a # why\n  - b\n"),
        ("resources: [a]\n", "resources: [a, b]\n"),
        ("resources: []\n", "resources: [b]\n"),
        ("resources: [\n  a,\n]\n", "resources: [\n  a,\n  b,\n]\n"),
        ("resources: [{path: a}] # x\n", "resources: [{path: a}, b] # x\n"),
        ("resources:\nkind: K\n", "resources:\n  - b\nkind: K\n"),
        ("kind: K\n# end\n", "kind: K\nresources:\n  - b\n# end\n"),
        ("kind: K", "kind: K\nresources:\n  - b"),
        ("resources:\n  - |-\n    a\n# end\n", "resources:\n  - |-\n    a\n  - b\n# end\n"),
    ],
)
def test_an_item_is_added(before: str, after: str) -> None:
    assert resources(before).with_item("b") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resources: [a]\n", "resources:\n  - a\n  # why\n  - b\n"),
        ("resources: []  # x\nkind: K\n", "resources:  # x\n  # why\n  - b\nkind: K\n"),
        ("kind: K\n", "kind: K\nresources:\n  # why\n  - b\n"),
    ],
)
def test_a_reason_needs_lines(before: str, after: str) -> None:
    assert resources(before).with_item("b", "why") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resources:\n  - b\n  - c\n", "resources:\n  - c\n"),
        ("resources:\n  - a\n  - b\n", "resources:\n  - a\n"),
        ("resources:\n  - a\n  - b", "resources:\n  - a"),
        ("resources:\r\n  - a\r\n  - b\r\n", "resources:\r\n  - a\r\n"),
        ("resources:\n  - b\nkind: K\n", "resources: []\nkind: K\n"),
        ("resources:\n  - b", "resources: []"),
        ("resources: [a, b, c]\n", "resources: [a, c]\n"),
        ("resources: [a, b]\n", "resources: [a]\n"),
        ("resources: [b]\n", "resources: []\n"),
        ("resources:\n  - a\n  # one\n\n  # two\n  - b\n", "resources:\n  - a\n  # one\n\n"),
    ],
)
def test_an_item_is_removed(before: str, after: str) -> None:
    assert resources(before).without_item("b") == after


def test_a_path_that_yaml_would_read_otherwise_gets_quotes() -> None:
    assert resources("resources:\n  - a\n").with_item("1.5") == 'resources:\n  - a\n  - "1.5"\n'


@pytest.mark.parametrize(
    "text",
    [
        "resources: &x\n  - a\nother: *x\n",
        "{resources: [a]}\n",
        "resources: a\n",
        "resources:\n  -\n    a\n",
        "? resources\n: - a\n",
    ],
)
def test_a_list_that_cannot_be_edited_alone_is_refused(text: str) -> None:
    with pytest.raises(FleetError) as caught:
        resources(text).with_item("b")
    assert str(caught.value) == (
        "kustomization.yaml: resources is written so that no line of it can be edited alone; write "
        "it as a list, one item a line"
    )


def test_a_file_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(FleetError, match=r"^kustomization\.yaml: line 2: is not YAML: "):
        resources("a: [").with_item("b")


def test_a_missing_item_is_refused() -> None:
    with pytest.raises(FleetError, match="resources has no b; add it there first"):
        resources("resources: [a]\n").without_item("b")
