"""Each test here has servers of its own, so the database of the test process is closed meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy

import httpx

from saas.app import create_app
from saas.db import pools
from saas.settings import Settings


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The application with these settings, in this process; what was open before is open again afterwards."""
    before, pools._database = pools._database, None
    try:
        await pools.open_database(settings)
        try:
            transport = httpx.ASGITransport(app=create_app(settings))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
                yield client
        finally:
            await pools.close_database()
    finally:
        pools._database = before
