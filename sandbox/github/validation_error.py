"""GitHub's answers about a field that is not valid."""

from __future__ import annotations

from sandbox.internet.web import RequestError


def field_error(
    field: str, code: str, message: str = "", *, resource: str = "Repository"
) -> dict[str, str]:
    """Return one item of the list `errors` in GitHub's answer."""
    error = {"resource": resource, "field": field, "code": code}
    return {**error, "message": message} if message else error


def validation_failed(
    field: str, code: str, message: str = "", *, resource: str = "Repository"
) -> RequestError:
    """Return GitHub's refusal of a resource because of one field."""
    error = field_error(field, code, message, resource=resource)
    return RequestError(422, "Validation Failed", [error])
