"""The decisions: `Pulumi.yaml` and `Pulumi.<stack>.yaml`, read and validated once, strictly.

The files are read here and not through the engine, so that `fleet render` and `fleet check` decide
from the very same text as `pulumi up`, without engine, network or credentials.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fleet.config import definitions, entry_rules, stack_files, tenant_rules
from fleet.config.base import DNS_LABEL
from fleet.config.models import Cluster, Decisions, Entry, Flux, Repository, Stack
from fleet.config.stack_files import PROJECT_FILE, SHARED_KEYS
from fleet.config.tenant_models import (
    ExtraKinds,
    InFluxSystem,
    Limits,
    TenantCredentials,
    TenantDecisions,
    TenantDefaults,
    TenantRepository,
)
from fleet.errors import ConfigError

# What a stack's own file sets, by key below `fleet:`.
Values = Mapping[str, Any]


def stack(root: Path, name: str) -> Stack:
    """Read and validate one stack. Raises ConfigError with every problem found."""
    return _load(root, name, all_own(root), definitions.namespace_homes(root))


def stacks(root: Path) -> list[Stack]:
    """Read and validate every stack in `root`. Raises ConfigError with every problem of all."""
    owns = all_own(root)
    if not owns:
        raise ConfigError([f"{root}: no Pulumi.<stack>.yaml here; add one for each cluster"])
    homes = definitions.namespace_homes(root)
    stacks: list[Stack] = []
    problems: list[str] = []
    for name in owns:
        try:
            stacks.append(_load(root, name, owns, homes))
        except ConfigError as error:
            problems += error.problems
    if problems:
        # Problems of the shared file would otherwise be told once a stack.
        raise ConfigError(list(dict.fromkeys(problems)))
    return stacks


def _load(root: Path, name: str, owns: Mapping[str, Values], homes: Mapping[str, str]) -> Stack:
    file = f"Pulumi.{name}.yaml"
    if not re.fullmatch(DNS_LABEL, name):
        raise ConfigError(
            [
                f"{file}: stack name {name!r} cannot be a folder and a DNS label; "
                "use lower-case letters, digits and '-', at most 63, as in prod-us-east-1"
            ]
        )
    if not (root / file).is_file():
        if (root / f"Pulumi.{name}.yml").is_file():
            raise ConfigError([f"Pulumi.{name}.yml: is not read; rename it to {file}"])
        known = ", ".join(owns) or "none"
        raise ConfigError([f"{file}: no such file in {root}; stacks here: {known}"])
    problems: list[str] = []
    try:
        shared = stack_files.shared(root, problems)
        own = stack_files.own(root, file, problems)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    values = shared | own
    files = dict.fromkeys(shared, PROJECT_FILE) | dict.fromkeys(own, file)
    decisions = _validate(values, file, files, problems)
    problems += entry_rules.problems(root, name, file, values)
    others = {other: theirs for other, theirs in owns.items() if other != name}
    problems += tenant_rules.problems(name, file, values, homes, _creators(others))
    problems += _collisions(file, own, others)
    if decisions is None or problems:
        raise ConfigError(problems)
    return Stack(name=name, file=file, decisions=decisions)


def refuse_ambient(environ: Mapping[str, str], stack: Stack) -> None:
    """Refuse surroundings that would beat what the stack says. Raises ConfigError.

    The GitHub provider lets these variables win over its own `owner` argument.
    """
    owner = stack.decisions.repository.owner
    problems = [
        f"{variable}={environ[variable]} in the environment would beat {stack.file}: "
        f"fleet:repository.owner {owner!r}; unset {variable}"
        for variable in ("GITHUB_OWNER", "GITHUB_ORGANIZATION")
        if environ.get(variable) not in (None, "", owner)
    ]
    if problems:
        raise ConfigError(problems)


def same_as_engine(stack: Stack, root: Path, engine: Mapping[str, Any]) -> None:
    """Refuse an engine that was given other decisions than the files hold. Raises ConfigError.

    `engine` maps every key of SHARED_KEYS and CLUSTER_KEYS to the engine's value, None where it
    has none. They differ when somebody uses --config-file: what runs would not be what Git says.
    """
    files = stack_files.shared(root, []) | stack_files.own(root, stack.file, [])
    problems = [
        f"{stack.file}: fleet:{key}: is not what the engine was given; decide in this file and "
        "run without --config-file"
        for key, value in engine.items()
        if files.get(key) != value
    ]
    if problems:
        raise ConfigError(problems)


def _validate(
    values: Mapping[str, Any], file: str, files: Mapping[str, str], problems: list[str]
) -> Decisions | None:
    """The model, or None and its problems. `files` tells which file set a key."""
    try:
        return Decisions.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = files.get(str(detail["loc"][0]), file)
            problems.append(_say(where, values, detail["loc"], detail["type"], detail["msg"]))
        return None


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


def _say(
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
    "tenants": TenantDecisions,
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
        model: type[BaseModel] = Decisions
    elif loc[0] == "tenantCredentials":
        model = TenantCredentials
    else:
        model = _MODELS[".".join(part for part in loc if isinstance(part, str))]
    return [field.alias or name for name, field in model.model_fields.items()]


def _collisions(file: str, own: Values, others: Mapping[str, Values]) -> list[str]:
    """Two stacks on one cluster would take turns in making it theirs."""
    mine = _address(own)
    return [
        f"{file}: fleet:cluster.context: {mine[1]!r} is also Pulumi.{other}.yaml's; "
        "one cluster has one stack"
        for other, theirs in others.items()
        if mine is not None and _address(theirs) == mine
    ]


def _address(own: Values) -> tuple[str, str] | None:
    """Kubeconfig and context of a stack, None of one that does not tell."""
    cluster = own.get("cluster")
    if isinstance(cluster, dict):
        kubeconfig, context = cluster.get("kubeconfig"), cluster.get("context")
        if isinstance(kubeconfig, str) and isinstance(context, str):
            return os.path.expanduser(kubeconfig), context  # noqa: PTH111 - never raises
    return None


def _creators(others: Mapping[str, Values]) -> dict[str, str]:
    """The repositories that stacks create, as `tenants.same_repository` has them: to the file."""
    found: dict[str, str] = {}
    for name, own in others.items():
        teams = own.get("tenants")
        for team in teams if isinstance(teams, list) else ():
            if isinstance(team, dict) and team.get("create") is True:
                repository = team.get("repository")
                url = repository.get("url") if isinstance(repository, dict) else None
                found[tenant_rules.same_repository(str(url))] = f"Pulumi.{name}.yaml"
    return found


def all_own(root: Path) -> dict[str, Values]:
    """Return what every stack's own file sets, by stack; nothing of one that cannot be read."""
    found: dict[str, Values] = {}
    for name in stack_files.names(root):
        found[name] = {}
        try:
            found[name] = stack_files.own(root, f"Pulumi.{name}.yaml", [])
        except ConfigError:
            continue  # told where that stack is loaded
    return found
