from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from saas.app import create_app


@pytest_asyncio.fixture(scope="session")
async def http(database, settings) -> AsyncIterator[httpx.AsyncClient]:
    """The application under test; send a Host header."""
    transport = httpx.ASGITransport(app=create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
