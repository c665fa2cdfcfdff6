from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.factories import Lab, make_lab
from tests.ledger_bundle import ledger_bundle


@pytest_asyncio.fixture(scope="session")
async def trade(database) -> AsyncIterator[Lab]:
    """One tenant with ledgers, shared by tests that make records of their own."""
    lab = await make_lab(ledger_bundle(), people=False)
    for role in ("chief", "clerk", "partner", "reader"):
        await lab.person(role, [role])
    yield lab
