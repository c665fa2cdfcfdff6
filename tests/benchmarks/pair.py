"""The product and the baseline side by side: loaded, served, signed in."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import close_database, open_database
from saas.settings import Settings
from saas.tenants import find_tenant, find_user, open_session
from tests.benchmarks import data
from tests.benchmarks.baseline import fill
from tests.benchmarks.client import Client, Login
from tests.benchmarks.place import Process, baseline, product


@dataclass(slots=True)
class Side:
    name: str
    process: Process
    client: Client


@dataclass(slots=True)
class Pair:
    product: Side
    baseline: Side
    conn: asyncpg.Connection  # the administrator's, for looking up what to ask for
    tenant_id: UUID
    user_id: UUID
    numbers: dict[str, int]  # entity key -> its number in the product

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.product, self.baseline


async def make_alike(settings: Settings, say: data.Say) -> None:
    """The baseline's tables from the product's, unless they are there; then statistics for both."""
    conn = await data.connect(settings.database_url or "")
    try:
        if not await fill.is_filled(conn):
            tenant_id = await conn.fetchval("SELECT id FROM public.tenant WHERE slug = $1", data.LARGE)
            await fill.fill(conn, tenant_id, say)
            say("Vacuum and statistics")
            await conn.execute("VACUUM (ANALYZE)", timeout=3600)
            await conn.execute("CHECKPOINT")
    finally:
        await conn.close()


async def sign_in(settings: Settings, slug: str = data.LARGE, email: str = data.EMAIL) -> tuple[UUID, UUID, Login]:
    """A token for programs and a cookie for pages, both in the product."""
    await open_database(settings)
    try:
        tenant = await find_tenant(slug)
        user = await find_user(tenant.id, email=email)
        token, _, _ = await open_session(tenant.id, user["id"], "api")
        cookie, csrf, _ = await open_session(tenant.id, user["id"], "web")
    finally:
        await close_database()
    return tenant.id, user["id"], Login(token, cookie, csrf)


@asynccontextmanager
async def pair(settings: Settings) -> AsyncIterator[Pair]:
    """Both systems served, with the same person signed in to both."""
    tenant_id, user_id, login = await sign_in(settings)
    conn = await data.connect(settings.database_url or "")
    try:
        for kind, token in (("api", login.token), ("web", login.cookie)):
            await conn.execute(
                "INSERT INTO baseline.session (tenant_id, token_hash, user_id, kind, csrf_secret, expires_at) VALUES ($1, $2, $3, $4, $5, now() + interval '14 days')",
                tenant_id, hashlib.sha256(token.encode()).digest(), user_id, kind, login.csrf,
            )  # fmt: skip
        numbers: dict[str, Any] = dict(await conn.fetch("SELECT key, id FROM public.entity WHERE tenant_id = $1", tenant_id))
        async with product(settings) as one, baseline(settings) as other:
            sides = [
                Side(name, process, Client(process.port, f"{data.LARGE}.localhost:{process.port}", login)) for name, process in (("product", one), ("baseline", other))
            ]
            yield Pair(sides[0], sides[1], conn, tenant_id, user_id, numbers)
            for side in sides:
                side.client.close()
    finally:
        await conn.close()
