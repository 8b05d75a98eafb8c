"""`Pulumi.yaml` and `Pulumi.<stack>.yaml`: their names, and their values below `fleet:`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.config import keys
from fleet.config.base import MergedByKey, Scope, is_encrypted
from fleet.config.keys import Location
from fleet.config.problem import problem, shown_key
from fleet.kube import yaml_reader

PROJECT = keys.PROJECT
PROJECT_FILE = "Pulumi.yaml"
CLUSTER_KEYS = keys.keys_of(Scope.CLUSTER)
SHARED_KEYS = keys.keys_of(Scope.SHARED)
PROJECT_KEYS = keys.keys_of(Scope.PROJECT)
SECRET_KEYS = keys.keys_of(Scope.SECRET)
# A stack file has the same keys with their namespace, such as fleet:pullToken.
SECRETS = tuple(keys.key_at((key,)) for key in SECRET_KEYS)
# Pulumi itself keeps these keys in a stack file, beside `config`.
ENGINE_KEYS = ("encryptionsalt", "secretsprovider", "encryptedkey", "environment")
# The token that commits to the repository, in both forms that the engine reads.
_GITHUB_TOKEN = ("github:token", "github:config:token")

_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>.+)\.ya?ml")


@dataclass(frozen=True, kw_only=True)
class FileValues:
    """The values of one file by key below `fleet:`, None if it cannot be read, and its problems.

    `uses_esc` says whether the file names environments of Pulumi ESC, which supply more values.
    """

    file: str
    values: Mapping[str, Any] | None
    problems: tuple[str, ...]
    uses_esc: bool = False


def names(root: Path) -> list[str]:
    """Return the names of all stack files in `root`, sorted, valid or not."""
    files = root.iterdir() if root.is_dir() else ()
    matches = (_STACK_FILE.fullmatch(file.name) for file in files if file.is_file())
    return sorted({match["stack"] for match in matches if match})


def are_in(root: Path) -> bool:
    """Tell whether files in `root` set something below `fleet:`, well or not.

    Other programs of Pulumi have files of the same names.
    """
    files = [PROJECT_FILE, *(own_file(name) for name in names(root))]
    found = [root / file for file in files if (root / file).is_file()]
    return any(f"{PROJECT}:".encode() in file.read_bytes() for file in found)


def own_file(stack: str) -> str:
    """Return the name of a stack's own file."""
    return f"Pulumi.{stack}.yaml"


def shared(root: Path) -> FileValues:
    """Read what Pulumi.yaml sets for all clusters."""
    found = _read(root / PROJECT_FILE)
    if found.values is None:
        return found
    values: dict[str, Any] = {}
    problems = [*found.problems]
    for name, item in found.values.items():
        if (
            name not in CLUSTER_KEYS + SECRET_KEYS
            and isinstance(item, dict)
            and [*item] == ["value"]
        ):
            values[name] = item["value"]
        else:
            problems.append(problem(PROJECT_FILE, keys.key_at((name,)), _shared_problem(name)))
    return FileValues(file=PROJECT_FILE, values=values, problems=tuple(problems))


def _shared_problem(name: str) -> str:
    if name in CLUSTER_KEYS:
        return "would apply to every cluster; set it in each Pulumi.<stack>.yaml"
    if name in SECRET_KEYS:
        command = keys.secret_command(keys.secret_below(name))
        return f"a secret belongs to one stack; use `{command} -s <stack>` for each"
    return "has no `value:`; write the shared value below it"


def own(root: Path, file: str) -> FileValues:
    """Read what a stack's own file sets."""
    found = _read(root / file, ("config", *ENGINE_KEYS))
    if not {*PROJECT_KEYS} & {*(found.values or {})}:
        return found
    text = f"is about all clusters; set it in {PROJECT_FILE}, with the list below `value:`"
    values = {key: value for key, value in (found.values or {}).items() if key not in PROJECT_KEYS}
    wrong = [problem(file, keys.key_at((key,)), text) for key in PROJECT_KEYS]
    return dataclasses.replace(found, values=values, problems=(*found.problems, *wrong))


def merged_by_engine(root: Path, file: str) -> dict[str, Any]:
    """Return what Pulumi's engine makes of Pulumi.yaml and a stack's own file; the latter wins."""
    return {**(shared(root).values or {}), **(own(root, file).values or {})}


def merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a stack; its own win, and some mappings are merged key by key."""
    return {**shared, **own, **_merged_mappings(shared, own)}


def files_of(shared: Mapping[str, Any], own: Mapping[str, Any], file: str) -> dict[Location, str]:
    """Return the file that sets each value of `merged`; `file` is the stack's own."""
    files: dict[Location, str] = {(key,): PROJECT_FILE for key in shared}
    files |= {(key,): file for key in own}
    for key in _merged_mappings(shared, own):
        files |= {(key, name): PROJECT_FILE for name in shared[key] if name not in own[key]}
    return files


def _merged_mappings(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    pairs = {key: (shared.get(key), own.get(key)) for key in keys.keys_of(MergedByKey())}
    return {
        key: {**default, **value}
        for key, (default, value) in pairs.items()
        if isinstance(default, dict) and isinstance(value, dict)
    }


def line_of(path: Path, key: str, name: str) -> int:
    """Return the line of a file that sets a name of a mapping, the key's own if none does."""
    lines = [*enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)]
    first = next((number for number, line in lines if f"{PROJECT}:{key}" in line), 1)
    pattern = re.compile(rf"""(^|[\s{{,"']){re.escape(name)}["']?\s*:""")
    found = (number for number, line in lines if number >= first and pattern.search(line))
    return next(found, first)


def _read(path: Path, known: tuple[str, ...] = ()) -> FileValues:
    """Read the values of `fleet:` in a file; `known` are its top-level keys, empty for any."""
    file = path.name
    try:
        content = _mapping(_document(path), "the file")
        config = _mapping(content.get("config"), "config")
    except ValueError as error:
        return FileValues(file=file, values=None, problems=(f"{file}: {error}",))
    environment = content.get("environment") if known else None
    problems = [
        *_unknown_keys(file, content, known),
        *_keys_without_namespace(file, config),
        *_readable_secrets(file, config, environment),
    ]
    prefix = f"{PROJECT}:"
    values = {
        key.removeprefix(prefix): value
        for key, value in config.items()
        if isinstance(key, str) and key.startswith(prefix)
    }
    return FileValues(
        file=file, values=values, problems=tuple(problems), uses_esc=bool(environment)
    )


def _unknown_keys(file: str, content: Mapping[Any, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in content:
        if known and key not in known:
            text = "unknown key; configuration goes below `config:`"
            yield problem(file, shown_key(key), text)


def _keys_without_namespace(file: str, config: Mapping[Any, Any]) -> Iterator[str]:
    for key in config:
        if not isinstance(key, str) or ":" not in key:
            name = shown_key(key)
            yield problem(file, name, f"has no namespace; write {PROJECT}:{name}")


def _readable_secrets(file: str, config: Mapping[Any, Any], environment: object) -> Iterator[str]:
    """Yield a problem for each value of Pulumi's own that could be a secret in plain text."""
    command = f"pulumi config set --secret {_GITHUB_TOKEN[0]}"
    for key in _GITHUB_TOKEN:
        if file == PROJECT_FILE and key in config:
            text = f"a secret belongs to one stack; use `{command} -s <stack>` for each"
            yield problem(file, key, text)
        elif config.get(key) is not None and not is_encrypted(config[key]):
            text = f"is readable by everybody who reads this file; revoke it and use `{command}`"
            yield problem(file, key, text)
    if isinstance(environment, dict) and set(environment) - {"imports"}:
        text = "has values, which everybody can read; keep them in Pulumi ESC and list names here"
        yield problem(file, "environment", text)


def _document(path: Path) -> object:
    try:
        return yaml_reader.document_with_unique_keys(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; add it to {path.parent}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text; save it as UTF-8") from None


def _mapping(value: object, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{what}: must be a mapping, `key: value` lines")
    return value
