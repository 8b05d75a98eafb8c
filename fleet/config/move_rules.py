"""Rules about `fleet:cluster.movesFrom`: the place that a cluster moves from is another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.config.stack_files import own_file

_KEY = "movesFrom"


def problems(stack: Stack, stacks: Collection[str]) -> Iterator[str]:
    """Yield the problem of each rule that the key breaks; `stacks` are the names of all stacks."""
    former = stack.config.cluster.moves_from
    if former is None:
        return
    branch = stack.config.repository.branch
    if (former.branch or branch, former.stack or stack.name) == (branch, stack.name):
        yield _problem(
            stack,
            f"the cluster moves to {stack.path} of the branch {branch}, and this is the same "
            "place; name the former branch or stack, or remove the key",
        )
        return
    if former.stack is None or former.stack == stack.name:
        return
    if former.stack in stacks:
        yield _problem(
            stack,
            f"{own_file(former.stack)} is still there, and it describes another cluster; "
            f"rename that stack with `pulumi stack rename {stack.name} -s {former.stack}`",
            "stack",
        )
    if stack.config.cluster.environment is None:
        # Another environment has other overlays and other namespaces of tenants.
        yield problem(
            stack.file,
            key_at(("cluster", "environment")),
            "missing, so the environment would change with the name of the stack; "
            f"set it to the one that {former.stack} had, {former.stack} if it had none",
        )


def _problem(stack: Stack, text: str, *part: str) -> str:
    return problem(stack.file, key_at(("cluster", _KEY, *part)), text)
