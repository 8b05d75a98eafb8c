"""Objects and their fields as JSON, the same in all commands."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.inventory.field_diff import FieldDifference
from fleet.kube.manifest import ObjectId


def of_id(found: ObjectId) -> dict[str, str]:
    """Return the identity of an object; a part that it does not have is an empty text."""
    return dict(found._asdict())


def of_fields(fields: Sequence[FieldDifference]) -> list[dict[str, str | None]]:
    """Return the differences of fields; null stands for a field that is not there."""
    return [{"path": field.path, "before": field.before, "after": field.after} for field in fields]
