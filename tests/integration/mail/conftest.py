from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from tests.mailbox import Mailbox, mailed


@pytest_asyncio.fixture
async def box(database) -> AsyncIterator[Mailbox]:
    """A mail server that everything of this test goes to; nothing of other tests waits."""
    connection = await asyncpg.connect(database.settings.database_url)
    await connection.execute("DELETE FROM mail")
    await connection.execute("DELETE FROM platform_mail")
    await connection.close()
    async with mailed(database) as found:
        yield found


@pytest_asyncio.fixture
async def superuser(settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()
