from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.approval_bundles import buying_lab
from tests.factories import Lab


@pytest_asyncio.fixture(scope="session")
async def buying(database) -> AsyncIterator[Lab]:
    """One company that decides about purchases, shared by tests that make purchases of their own."""
    yield await buying_lab()
