"""The kubeconfig file of a stack: that it is there and has exactly the context it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.config import stack_files
from fleet.config.models import Stack
from fleet.errors import ConfigError
from fleet.kube import yaml_reader


def path(stack: Stack) -> Path:
    """Return the absolute path of the stack's kubeconfig file. Raises ConfigError."""
    decided = stack.config.cluster.kubeconfig
    try:
        return Path(decided).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            [f"{stack.file}: fleet:cluster.kubeconfig: {decided}: has no home folder; name a file"]
        ) from None


def require_context(stack: Stack) -> None:
    """Refuse a kubeconfig that is missing or lacks the stack's context. Raises ConfigError."""
    file = path(stack)
    try:
        documents = yaml_reader.documents(file.read_bytes())
    except OSError as error:
        raise ConfigError(
            [f"{stack.file}: fleet:cluster.kubeconfig: {file}: {error.strerror}; name a file"]
        ) from None
    except ValueError:
        raise ConfigError(
            [f"{stack.file}: fleet:cluster.kubeconfig: {file} is no kubeconfig; name one"]
        ) from None
    content = documents[0] if documents else None
    contexts = content.get("contexts") if isinstance(content, dict) else None
    items = contexts if isinstance(contexts, list) else []
    names = [str(item.get("name")) for item in items if isinstance(item, dict)]
    context = stack.config.cluster.context
    if context not in names:
        known = ", ".join(names) or "none"
        raise ConfigError(
            [
                f"{stack.file}: fleet:cluster.context: {context!r} is not in {file}; "
                f"contexts there: {known}"
            ]
        )


def refuse_ambient(environ: Mapping[str, str], stack: Stack) -> None:
    """Refuse surroundings that would beat what the stack says. Raises ConfigError.

    The GitHub provider lets these variables win over its own `owner` argument.
    """
    owner = stack.config.repository.owner
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
    files = stack_files.merged(root, stack.file)
    problems = [
        f"{stack.file}: fleet:{key}: is not what the engine was given; decide in this file and "
        "run without --config-file"
        for key, value in engine.items()
        if files.get(key) != value
    ]
    if problems:
        raise ConfigError(problems)
