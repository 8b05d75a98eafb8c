"""Stacks of which trees are rendered."""

from __future__ import annotations

import pytest

from fleet.config import load
from fleet.config.models import Stack
from tests.render.support import SHIPPED, TENANCY_STACK
from tests.support import REPOSITORY, TENANCY


@pytest.fixture(params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> Stack:
    """Each shipped stack."""
    return load.stack(REPOSITORY, request.param)


@pytest.fixture
def tenancy() -> Stack:
    """The stack with tenants."""
    return load.stack(TENANCY, TENANCY_STACK)


@pytest.fixture(params=[*SHIPPED, TENANCY_STACK])
def rendered(request: pytest.FixtureRequest) -> Stack:
    """Each shipped stack, and the one with tenants."""
    return load.stack(REPOSITORY if request.param in SHIPPED else TENANCY, request.param)
