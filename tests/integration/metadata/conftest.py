from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.factories import Lab, make_lab


@pytest_asyncio.fixture
async def fresh_lab(database) -> AsyncIterator[Lab]:
    """A tenant of the test's own, with the administrator only."""
    yield await make_lab(people=False)
