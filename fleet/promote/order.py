"""The order in which clusters get a thing: `fleet:promotionOrder`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fleet.config.models import Stack
from fleet.errors import FleetError


def check(stack: Stack, holders: Collection[str], stacks: Mapping[str, Stack], name: str) -> None:
    """Raise FleetError if a cluster gets a thing before one that the order puts before it.

    An environment has the thing if one of its clusters has it.
    """
    order = stack.config.promotion_order
    for earlier in order[: _position(stack, order)]:
        named = {found.name for found in stacks.values() if earlier in _names(found)}
        if not named:
            raise FleetError(
                f"Pulumi.yaml: fleet:promotionOrder: {earlier!r} is no environment and no cluster "
                "here; remove it"
            )
        if not named & {*holders}:
            raise FleetError(
                f"{name}: {earlier} comes before {stack.name} in fleet:promotionOrder and does not "
                f"have it; promote it to {earlier} first, or add --force"
            )


def _position(stack: Stack, order: Collection[str]) -> int:
    places = [place for place, name in enumerate(order) if name in _names(stack)]
    return min(places, default=0)


def _names(stack: Stack) -> tuple[str, str]:
    return stack.name, stack.environment
