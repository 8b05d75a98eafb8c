"""`Pulumi.yaml` and `Pulumi.<stack>.yaml`: which there are, and what they say of `fleet:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fleet.errors import ConfigError

PROJECT = "fleet"
PROJECT_FILE = "Pulumi.yaml"
# Keys of which a cluster's own file is the only place: membership is never implicit.
CLUSTER_KEYS = ("cluster", "infrastructure", "apps", "tenants")
# Keys that Pulumi.yaml may set for all clusters.
SHARED_KEYS = ("repository", "flux", "tenantDefaults")
# Keys that hold secrets, each with how one is set.
SECRET_KEYS = {
    "pullToken": "pulumi config set --secret fleet:pullToken",
    "deployKeySeed": "openssl rand -base64 32 | pulumi config set --secret fleet:deployKeySeed",
    "tenantCredentials": "pulumi config set --secret --path fleet:tenantCredentials.<team>.token",
}
# The rest of what `pulumi` itself keeps in a stack file.
ENGINE_KEYS = ("encryptionsalt", "secretsprovider", "encryptedkey", "environment")

_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>.+)\.ya?ml")


def names(root: Path) -> list[str]:
    """Return the names of all stack files in `root`, sorted, valid or not."""
    files = root.iterdir() if root.is_dir() else ()
    matches = (_STACK_FILE.fullmatch(file.name) for file in files if file.is_file())
    return sorted({match["stack"] for match in matches if match})


def shared(root: Path, problems: list[str]) -> dict[str, Any]:
    """Return what Pulumi.yaml sets for all clusters, by key below `fleet:`.

    Adds to `problems`; raises ConfigError when the file cannot be read as a mapping.
    """
    content = _read(root / PROJECT_FILE)
    values: dict[str, Any] = {}
    for key, item in _mapping(content.get("config"), PROJECT_FILE, "config").items():
        name = _name(key, PROJECT_FILE, problems)
        if name is None:
            continue
        if name in CLUSTER_KEYS:
            problems.append(
                f"{PROJECT_FILE}: {key}: would reach every cluster unseen; "
                "set it in each Pulumi.<stack>.yaml"
            )
        elif name in SECRET_KEYS:
            problems.append(
                f"{PROJECT_FILE}: {key}: a secret is one stack's; use "
                f"`{SECRET_KEYS[name]} -s <stack>` for each"
            )
        elif not isinstance(item, dict) or set(item) != {"value"}:
            problems.append(f"{PROJECT_FILE}: {key}: write the shared value below `value:`")
        else:
            values[name] = item["value"]
    return values


def own(root: Path, file: str, problems: list[str]) -> dict[str, Any]:
    """Return what a stack's own file sets, by key below `fleet:`; else as `shared`."""
    content = _read(root / file)
    for key in content:
        if key not in ("config", *ENGINE_KEYS):
            problems.append(f"{file}: {key}: unknown key; decisions go below `config:`")
    values: dict[str, Any] = {}
    for key, value in _mapping(content.get("config"), file, "config").items():
        name = _name(key, file, problems)
        if name is not None:
            values[name] = value
    for key in ("pullToken", "deployKeySeed"):
        _conceal(values, key, f"{file}: fleet:{key}", key, problems)
    credentials = values.get("tenantCredentials")
    if isinstance(credentials, dict):
        values["tenantCredentials"] = credentials = {
            tenant: dict(given) if isinstance(given, dict) else given
            for tenant, given in credentials.items()
        }
        for tenant, given in credentials.items():
            for key in ("token", "privateKey"):
                if isinstance(given, dict):
                    where = f"{file}: fleet:tenantCredentials.{tenant}.{key}"
                    _conceal(given, key, where, "tenantCredentials", problems)
    return values


def _conceal(
    values: dict[str, Any], key: str, where: str, secret: str, problems: list[str]
) -> None:
    """Replace an encrypted value by the word `secure`; refuse one that all can read."""
    value = values.get(key)
    if value is None:
        return
    values[key] = "secure"
    if not (isinstance(value, dict) and set(value) == {"secure"}):
        command = SECRET_KEYS[secret].replace("<team>.token", ".".join(where.split(".")[-2:]))
        problems.append(
            f"{where}: is readable by all who read this file; revoke it and use `{command}`"
        )


def _name(key: object, file: str, problems: list[str]) -> str | None:
    """The part of a key of `config:` behind `fleet:`, None for another namespace's."""
    namespace, colon, name = str(key).partition(":")
    if not colon:
        problems.append(f"{file}: {key}: has no namespace; write {PROJECT}:{key}")
    return name if colon and namespace == PROJECT else None


class _TwiceError(yaml.MarkedYAMLError):
    """A mapping has a key twice."""


class _UniqueKeyLoader(yaml.CSafeLoader):
    """Refuses a mapping that has a key twice, where YAML would drop the first one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            if key_node.value in seen:
                raise _TwiceError(
                    problem=f"key {key_node.value!r} is there twice; keep one",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(
            [f"{path.name}: cannot be read: {error.strerror}; it belongs in {path.parent}"]
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path.name}: is not UTF-8 text; save it as UTF-8"]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        said = getattr(error, "problem", None) or "has characters that YAML does not allow"
        if not isinstance(error, _TwiceError):
            said = f"is not YAML: {said}; mend it there or just before"
        raise ConfigError([f"{path.name}:{line} {said}"]) from None
    return _mapping(content, path.name, "the file")


def _mapping(value: object, file: str, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError([f"{file}: {what}: must be a mapping, `key: value` lines"])
    return value


# What a stack's own file sets, by key below `fleet:`.
Values = Mapping[str, Any]


def all_own(root: Path) -> dict[str, Values]:
    """Return what every stack's own file sets, by stack; nothing of one that cannot be read."""
    found: dict[str, Values] = {}
    for name in names(root):
        found[name] = {}
        try:
            found[name] = own(root, f"Pulumi.{name}.yaml", [])
        except ConfigError:
            continue  # told where that stack is loaded
    return found
