"""`fleet schema`: output."""

from __future__ import annotations

from tests.support import REPOSITORY, Run


def test_prints_the_schema_of_this_repository(fleet: Run) -> None:
    ended = fleet("schema")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (REPOSITORY / "stack.schema.json").read_text(encoding="utf-8")
