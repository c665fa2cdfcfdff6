from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from tests.factories import Lab, make_lab
from tests.integration.messages.club import club_bundle
from tests.integration.outbox.receiver import Receiver, receiving
from tests.integration.test_pages import Browser
from tests.mailbox import Mailbox, mailed


@pytest_asyncio.fixture(scope="module")
async def club(database) -> Lab:
    lab = await make_lab(club_bundle(), people=False)
    await lab.person("clerk", ["clerk"])
    await lab.person("reader", ["reader"])
    return lab


@pytest_asyncio.fixture
async def box(database) -> AsyncIterator[Mailbox]:
    async with mailed(database) as found:
        yield found


@pytest_asyncio.fixture
async def receiver(database) -> AsyncIterator[Receiver]:
    """Somebody else's server, which the operator lets tenants reach."""
    async with receiving() as found:
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", found.port)}))
        yield found
        database.settings = before


@pytest_asyncio.fixture
async def admin(http, club) -> Browser:
    browser = Browser(http, f"{club.slug}.localhost")
    assert (await browser.sign_in(f"admin@{club.slug}.example")).status_code == 303
    return browser
