"""What every decision is made of: the strict model, and the kinds of text that recur."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

NonEmpty = Annotated[str, Field(min_length=1, pattern=r"^\S(.*\S)?$")]
Branch = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class Strict(BaseModel):
    """Refuses unknown keys and converts nothing; camelCase in YAML."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )
