"""Checks that only `pulumi up` can make: the kubeconfig, the environment, the engine's config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fleet.config import stack_files
from fleet.config.models import Stack
from fleet.errors import ConfigError
from fleet.kube import yaml_reader


def refuse_conflicts(
    stack: Stack, root: Path, environ: Mapping[str, str], given: Callable[[str], object]
) -> None:
    """Refuse a run that would not do what the stack file says. Raises ConfigError.

    The error holds every problem. `given` returns the value that the engine has for a key below
    `fleet:`, or None.
    """
    problems = [
        *_owner_problems(stack, environ),
        *_config_problems(stack, root, given),
        *_kubeconfig_problems(stack),
    ]
    if problems:
        raise ConfigError(problems)


def kubeconfig_path(stack: Stack) -> Path:
    """Return the absolute path of the stack's kubeconfig file. Raises ConfigError."""
    path = stack.config.cluster.kubeconfig
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            [
                f"{stack.file}: fleet:cluster.kubeconfig: {path}: "
                "has a user without a home folder; write the whole path"
            ]
        ) from None


def _owner_problems(stack: Stack, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each variable that the GitHub provider would take the owner from."""
    owner = stack.config.repository.owner
    for variable in ("GITHUB_OWNER", "GITHUB_ORGANIZATION"):
        if environ.get(variable) not in (None, "", owner):
            yield (
                f"{variable}={environ[variable]} in the environment would override {stack.file}: "
                f"fleet:repository.owner {owner!r}; unset {variable}"
            )


def _config_problems(stack: Stack, root: Path, given: Callable[[str], object]) -> Iterator[str]:
    """Yield a problem for each key in which the engine and the stack files differ.

    They differ when somebody uses --config-file. The engine would then run what Git does not hold.
    """
    in_files = stack_files.merged(root, stack.file)
    for key in (*stack_files.SHARED_KEYS, *stack_files.CLUSTER_KEYS):
        if in_files.get(key) != given(key):
            yield (
                f"{stack.file}: fleet:{key}: differs from the value that the engine was given; "
                "set it in this file and run without --config-file"
            )


def _kubeconfig_problems(stack: Stack) -> Iterator[str]:
    """Yield a problem if the kubeconfig file is missing or lacks the stack's context."""
    where = f"{stack.file}: fleet:cluster"
    try:
        path = kubeconfig_path(stack)
    except ConfigError as error:
        yield from error.problems
        return
    try:
        documents = yaml_reader.documents(path.read_bytes())
    except OSError as error:
        yield f"{where}.kubeconfig: {path}: {error.strerror}; name a file that can be read"
        return
    except ValueError:
        yield f"{where}.kubeconfig: {path}: is not a kubeconfig file; name one"
        return
    content = documents[0] if documents else None
    contexts = content.get("contexts") if isinstance(content, dict) else None
    items = contexts if isinstance(contexts, list) else []
    names = [str(item.get("name")) for item in items if isinstance(item, dict)]
    context = stack.config.cluster.context
    if not names:
        yield f"{where}.kubeconfig: {path}: has no contexts; name another kubeconfig"
    elif context not in names:
        known = ", ".join(names)
        yield f"{where}.context: {context!r} is not in {path}; name a context of it: {known}"
