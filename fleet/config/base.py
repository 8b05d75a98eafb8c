"""What every decision is made of: the strict model, and the kinds of text that recur."""

from __future__ import annotations

import re
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


def git_url(url: str, secret: str) -> str:
    """Return an https:// or ssh:// URL. Raises ValueError, which names the key of the `secret`."""
    if not re.fullmatch(r"(https|ssh)://[^\s/]+/\S+", url):
        raise ValueError("must be an https:// or ssh:// URL")
    if re.match(r"https://[^/]*@", url) or re.match(r"ssh://[^/@]*:[^/@]*@", url):
        raise ValueError(
            f"must not carry a user or a password, Git would keep it for ever; use {secret}"
        )
    return url
