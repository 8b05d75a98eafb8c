"""The kubeconfig file of a stack: that it is there and has exactly the context it names."""

from __future__ import annotations

from pathlib import Path

import yaml

from fleet.config.models import Stack
from fleet.errors import ConfigError


def path(stack: Stack) -> Path:
    """Return the absolute path of the stack's kubeconfig file. Raises ConfigError."""
    decided = stack.decisions.cluster.kubeconfig
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
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            [f"{stack.file}: fleet:cluster.kubeconfig: {file}: {error.strerror}; name a file"]
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise ConfigError(
            [f"{stack.file}: fleet:cluster.kubeconfig: {file} is no kubeconfig; name one"]
        ) from None
    contexts = content.get("contexts") if isinstance(content, dict) else None
    items = contexts if isinstance(contexts, list) else []
    names = [str(item.get("name")) for item in items if isinstance(item, dict)]
    context = stack.decisions.cluster.context
    if context not in names:
        known = ", ".join(names) or "none"
        raise ConfigError(
            [
                f"{stack.file}: fleet:cluster.context: {context!r} is not in {file}; "
                f"contexts there: {known}"
            ]
        )
