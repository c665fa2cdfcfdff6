from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.tenants import signups
from saas.tenants.mail import send_due
from tests.mailbox import Mailbox, mailed

PASSWORD = "an entirely new passphrase"


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Programs fill in forms faster than people; nobody waits for the answer."""
    monkeypatch.setattr(signups, "LEAST_SECONDS", 0)
    monkeypatch.setattr(signups, "ANSWER_SECONDS", 0.0)


@pytest_asyncio.fixture
async def superuser(settings, database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("DELETE FROM signup; DELETE FROM throttle; DELETE FROM mail; DELETE FROM platform_mail")
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def box(database, superuser) -> AsyncIterator[Mailbox]:
    async with mailed(database) as found:
        yield found


class Apex:
    """A visitor of the apex host, or of the one that is named."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str, host: str = "localhost", **headers: str) -> httpx.Response:
        return await self.http.get(f"http://localhost{path}", headers={"host": host, **headers})

    async def post(self, path: str, data: dict[str, str], host: str = "localhost", **headers: str) -> httpx.Response:
        return await self.http.post(f"http://localhost{path}", data=data, headers={"host": host, **headers})

    async def fill(self, slug: str, email: str = "", *, host: str = "localhost", headers: dict[str, str] | None = None, **more: str) -> httpx.Response:
        began = re.search(r'name="began" value="([^"]+)"', (await self.get("/signup")).text)
        assert began is not None
        values = {
            "company": f"{slug.title()} Company", "slug": slug, "email": email or f"boss@{slug}.example", "name": "Bo Boss", "pack": "baseline-crm", "locale": "en", "began": began[1],
            "website": "", **more,
        }  # fmt: skip
        return await self.post("/signup", values, host, **(headers or {}))

    async def link(self, box: Mailbox, email: str) -> str:
        """The path of the link that arrived."""
        await send_due()
        return re.sub(r"^https?://[^/]+", "", box.link(email))


@pytest.fixture
def apex(http) -> Apex:
    return Apex(http)
