"""The strict model of every stack key, and the annotations that its fields may have."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


class Strict(BaseModel):
    """Refuses unknown keys and converts nothing; its keys are camelCase in YAML."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


class Scope(enum.Enum):
    """The files in which a top-level key may be set."""

    # A cluster's own file is the only place, so that no cluster receives anything by accident.
    CLUSTER = "Pulumi.<stack>.yaml"
    SHARED = "Pulumi.yaml, or Pulumi.<stack>.yaml to override it"
    # It is about all clusters together, so no cluster can have a value of its own.
    PROJECT = "Pulumi.yaml"
    SECRET = "Pulumi.<stack>.yaml, by `pulumi config set --secret`"  # noqa: S105 - no secret itself


@dataclass(frozen=True)
class Matches:
    """Accepts only a text that all of `pattern` matches; `message` tells how it must look."""

    pattern: str
    message: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core)
        # Keys that also accept a number have a schema without a type, and a pattern is for texts.
        return {**schema, "pattern": self.pattern} if schema.get("type") == "string" else schema

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(self.message)
        return text


def is_encrypted(value: object) -> bool:
    """Say whether a value is one that `pulumi config set --secret` has written."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


@dataclass(frozen=True)
class MergedByKey:
    """Lets a stack file add to a mapping of Pulumi.yaml; of a key in both, its own value wins."""


@dataclass(frozen=True)
class Hidden:
    """Keeps a value out of all messages, because a secret could be in it by mistake."""


PLAIN_SECRET = "plain_secret"  # noqa: S105 - the type of an error


@dataclass(frozen=True)
class Secret:
    """Accepts only an encrypted value, `{secure: ...}`; the model has the text "secure" instead.

    `made_by` is a command that makes a new value.
    """

    made_by: str = ""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._conceal, handler(source))

    def _conceal(self, value: object) -> str | None:
        if value is None:
            return None
        if is_encrypted(value):
            return "secure"
        # The caller knows the key, so it fills in `{command}`.
        raise PydanticCustomError(
            PLAIN_SECRET,
            "is readable by everybody who reads this file; revoke it and use `{command}`",
        )


def broken_rules(model: BaseModel, messages: Mapping[tuple[str, ...], str]) -> ValidationError:
    """Return the error of a model that breaks rules about several keys, each with its message."""
    return ValidationError.from_exception_data(
        type(model).__name__,
        [
            InitErrorDetails(type=PydanticCustomError("rule", message), loc=loc, input=None)
            for loc, message in messages.items()
        ],
    )


def _printable(text: str) -> str:
    # Such texts reach comments of YAML, where a line break of any kind would begin new content.
    if not text.isprintable():
        raise ValueError("has control characters; remove them")
    return text


NonEmpty = Annotated[
    str,
    Field(min_length=1),
    Matches(r"^\S(.*\S)?$", "must be one line without blanks around it"),
    AfterValidator(_printable),
]


def _short_path(path: str) -> str:
    # File systems take no longer names, and Flux could not unpack them.
    if len(path) > 1024 or any(len(part) > 255 for part in path.split("/")):
        raise ValueError("is too long; use at most 255 characters a folder and 1024 in all")
    return path


ShortPath = Annotated[NonEmpty, AfterValidator(_short_path)]
# A line of any other form is refused, such as one of a private key.
_KNOWN_HOST = re.compile(
    r"(@(cert-authority|revoked) )?[!-~]+ (ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [ -~]*)?"
)


def _known_hosts(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not lines or not all(_KNOWN_HOST.fullmatch(line) for line in lines):
        raise ValueError("must be lines of known_hosts: host names, kind of key, key")
    return text


KnownHosts = Annotated[str, AfterValidator(_known_hosts), Hidden()]
Branch = Annotated[
    str,
    Matches(
        # `git check-ref-format` refuses everything else that these characters allow.
        r"^(?!.*(\.\.|//|/\.|\.lock(/|$)|[./]$))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$",
        "must be a branch that Git allows, of letters, digits, '.', '_', '-' and '/', at most 200",
    ),
]
