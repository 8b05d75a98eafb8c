"""Checks that only `pulumi up` can make: the kubeconfig, the environment, the engine's config."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fleet.config import connection, esc, stack_files
from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.errors import ConfigError


def refuse_conflicts(
    stack: Stack, root: Path, environ: Mapping[str, str], given: Callable[[str], str | None]
) -> None:
    """Refuse a run that would not do what the stack file says. Raises ConfigError.

    The error holds every problem. `given` returns the text that the engine has for a key below
    `fleet:`, or None; lists and mappings are JSON.
    """
    problems = [
        *_owner_problems(stack, environ),
        *_config_problems(stack, root, given),
        *_secret_problems(stack, root, given),
        *_connection_problems(stack),
    ]
    if problems:
        raise ConfigError(problems)


def _owner_problems(stack: Stack, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each variable that the GitHub provider would take the owner from."""
    owner = stack.config.repository.owner
    for variable in ("GITHUB_OWNER", "GITHUB_ORGANIZATION"):
        if environ.get(variable) not in (None, "", owner):
            yield (
                f"{variable}={environ[variable]} in the environment would override {stack.file}: "
                f"fleet:repository.owner {owner!r}; unset {variable}"
            )


def _config_problems(stack: Stack, root: Path, given: Callable[[str], str | None]) -> Iterator[str]:
    """Yield a problem for each key in which the engine and the stack files differ.

    They differ when somebody uses --config-file. The engine would then run what Git does not hold.
    """
    in_files = stack_files.merged_by_engine(root, stack.file)
    for key in (*stack_files.SHARED_KEYS, *stack_files.CLUSTER_KEYS):
        if in_files.get(key) != _decoded(given(key)):
            yield problem(
                stack.file,
                key_at((key,)),
                "differs from the value that the engine was given; "
                "set it in this file and run without --config-file",
            )


def _secret_problems(stack: Stack, root: Path, given: Callable[[str], str | None]) -> Iterator[str]:
    """Yield a problem for each secret that only the engine has, or only the stack's own file.

    The tree refers to the secrets of the file, so it would be wrong without a problem.
    """
    in_file = esc.secrets_in(esc.with_secrets(stack_files.own(root, stack.file)).values)
    given_values = {key: _decoded(given(key)) for key in stack_files.SECRET_KEYS}
    in_engine = esc.secrets_in(given_values)
    for location in sorted(in_file ^ in_engine):
        name = ".".join(map(str, location))
        yield problem(
            stack.file,
            key_at(location),
            "the engine has no value for it; set it here, or in an environment of Pulumi ESC"
            if location in in_file
            else "the engine has a value that is not from this file; add "
            f"{name} to fleet:escSecrets if Pulumi ESC supplies it",
        )


def _decoded(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _connection_problems(stack: Stack) -> Iterator[str]:
    """Yield a problem if the kubeconfig file is missing or lacks the stack's context."""
    try:
        connection.of(stack).context()
    except ConfigError as error:
        yield from error.problems
