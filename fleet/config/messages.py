"""The one line that is said of each mistake in a stack file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from fleet.config.models import Cluster, Entry, Flux, Repository, StackConfig
from fleet.config.stack_files import PROJECT_FILE, SHARED_KEYS
from fleet.config.tenant_models import (
    ExtraKinds,
    InFluxSystem,
    Limits,
    TenantConfig,
    TenantCredentials,
    TenantDefaults,
    TenantRepository,
)

_TYPE_NAMES = {
    "string_type": "must be a text; quote it",
    "tuple_type": "must be a list, `- entry` lines ([] for none)",
    "model_type": "must be a mapping, `key: value` lines",
    "dict_type": "must be a mapping, `key: value` lines",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be 1 or more; raise it to rotate the key",
    "string_too_short": "must not be empty; name it",
}


_PATTERNS = {
    "owner": "must be a GitHub name: letters, digits, '.', '_' and '-'",
    "name": "must be a GitHub name: letters, digits, '.', '_' and '-'",
    "branch": "must be a branch: letters, digits, '.', '_', '-' and '/'",
    "environment": "must be lower-case letters, digits and '-', as in prod",
    "version": "must be a release, as v2.9.2",
    "sha256": "must be 64 lower-case hexadecimal digits",
    "tenants.name": "must be lower-case letters, digits and '-', at most 50, as in billing",
    "githubTeam": "must be a team's slug: lower-case letters, digits, '-' and '_'",
    "tenants.namespace": "must be lower-case letters, digits and '-', at most 63",
    "interval": "must be a duration, as 5m",
    "apiGroup": "must be an API group, as cert-manager.io",
    "resources": "must be the plural name of a kind, as certificates; no '*', no subresource",
    "quota": "must be a quantity, as 20, 500m or 4Gi",
    "limits": "must be a quantity, as 500m or 256Mi",
}


def line(
    file: str, values: Mapping[str, Any], loc: Sequence[int | str], kind: str, message: str
) -> str:
    """One line for one finding of pydantic: file, key, value, remedy."""
    key = "fleet:" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    key = key.replace("fleet:.", "fleet:")
    if kind == "missing":
        where = f" (or {PROJECT_FILE})" if list(loc) in [[key] for key in SHARED_KEYS] else ""
        return f"{file}: {key}: missing; set it in this file{where}"
    if kind == "extra_forbidden":
        known = _known_keys(loc[:-1])
        close = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{file}: {key}: unknown key; {hint}"
    if loc[-1] == "[key]":
        key = key.removesuffix(".[key]")
        known = re.findall("'([^']+)'", message)
        close = difflib.get_close_matches(str(loc[-2]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{file}: {key}: unknown key; {hint}"
    if kind == "invalid_key":
        return f"{file}: {key}: the key is no text; quote it"
    value = _at(values, loc)
    said = _TYPE_NAMES.get(kind, message.removeprefix("Value error, "))
    if kind == "string_pattern_mismatch":
        said = _pattern(loc)
    elif kind == "literal_error":
        said = message.replace("Input should be", "must be").replace("'", "")
    elif kind == "model_type" and len(loc) > 1 and loc[0] in ("infrastructure", "apps"):
        said = "must be a path, or {path: ..., because: ...}"
    elif kind == "string_type" and isinstance(value, (dict, list)):
        said = "must be a single text"
    if value is None:
        return f"{file}: {key}: has no value; it {said.removesuffix('; quote it')}"
    if isinstance(value, str) and not value.strip():
        said = "must not be empty; name it"
    # What stands where a secret belongs may be one.
    shown = "it" if loc[0] == "tenantCredentials" else _shown(value)
    return f"{file}: {key}: {shown} {said}"


def _pattern(loc: Sequence[int | str]) -> str:
    """What a text must look like: by whole key, by its last part, by what it is a part of."""
    parts = [part for part in loc if isinstance(part, str)]
    for key in (".".join(parts), *reversed(parts)):
        if key in _PATTERNS:
            return _PATTERNS[key]
    return "must be one line without blanks around it"


def _at(values: Mapping[str, Any], loc: Sequence[int | str]) -> object:
    value: Any = values
    for part in loc:
        try:
            value = value[part]
        except (LookupError, TypeError):
            break  # an entry that is only its path is no mapping
    return value


def _shown(value: object) -> str:
    """A value as it may stand in a log: a password in a URL may not."""
    return re.sub(r"//[^/\s]*@", "//***@", repr(value))


_MODELS: Mapping[str, type[BaseModel]] = {
    "repository": Repository,
    "cluster": Cluster,
    "flux": Flux,
    "infrastructure": Entry,
    "apps": Entry,
    "tenants": TenantConfig,
    "tenants.repository": TenantRepository,
    "tenants.limits": Limits,
    "tenants.extraKinds": ExtraKinds,
    "tenants.inFluxSystem": InFluxSystem,
    "tenantDefaults": TenantDefaults,
    "tenantDefaults.limits": Limits,
    "tenantDefaults.extraKinds": ExtraKinds,
}


def _known_keys(loc: Sequence[int | str]) -> list[str]:
    if not loc:
        model: type[BaseModel] = StackConfig
    elif loc[0] == "tenantCredentials":
        model = TenantCredentials
    else:
        model = _MODELS[".".join(part for part in loc if isinstance(part, str))]
    return [field.alias or name for name, field in model.model_fields.items()]
