from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.drawing_bundle import drawing_bundle
from tests.factories import Lab, make_lab


@pytest_asyncio.fixture(scope="session")
async def atelier(database) -> AsyncIterator[Lab]:
    """One tenant with drawings, shared by tests that make records of their own."""
    lab = await make_lab(drawing_bundle(), people=False)
    for role in ("worker", "reader", "guide"):
        await lab.person(role, [role])
    yield lab
