"""The pool, and one transaction a request: tenant, session and work in it."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.baseline.fill import PASSWORD, ROLE

HOST_SECONDS = 5.0
pool: asyncpg.Pool
_hosts: dict[str, tuple[float, UUID]] = {}


class Refused(Exception):
    def __init__(self, status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors or []


@dataclass(frozen=True, slots=True)
class Who:
    tenant_id: UUID
    user_id: UUID
    name: str
    role: str
    department_id: UUID | None
    csrf: str


async def open_pool() -> None:
    global pool
    pool = await asyncpg.create_pool(
        os.environ["BASELINE_DATABASE"], user=ROLE, password=PASSWORD, min_size=0, max_size=10, reset=_keep, statement_cache_size=500, server_settings={"search_path": "baseline"}
    )


async def _keep(_connection: Any) -> None:
    """Nothing of a session outlives a transaction."""


async def tenant_of(host: str) -> UUID:
    slug = host.partition(".")[0]
    known = _hosts.get(slug)
    if known and known[0] > time.monotonic():
        return known[1]
    found = await pool.fetchval("SELECT id FROM tenant WHERE slug = $1", slug)
    if found is None:
        raise Refused(404, "not_found", "There is no workspace at this address.")
    _hosts[slug] = (time.monotonic() + HOST_SECONDS, found)
    return found


_SESSION = """
WITH visit AS (UPDATE session SET last_seen_at = now() WHERE tenant_id = $1 AND token_hash = $2 AND last_seen_at < now() - interval '5 minutes')
SELECT s.kind, s.csrf_secret, u.id, u.name, u.role, u.department_id FROM session s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
WHERE s.tenant_id = $1 AND s.token_hash = $2 AND s.expires_at > now() AND u.status = 'active'
"""


@asynccontextmanager
async def work(tenant_id: UUID, *, planned: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that sees one tenant only. `planned`: for what filters, sorts or adds up, whose best plan depends on the values."""
    plans = "; SET LOCAL plan_cache_mode = force_custom_plan" if planned else ""
    async with pool.acquire() as conn:
        await conn.execute(f"BEGIN; SET LOCAL app.tenant_id = '{tenant_id}'{plans}")
        try:
            yield conn
        except BaseException:
            await conn.execute("ROLLBACK")
            raise
        await conn.execute("COMMIT")


@asynccontextmanager
async def asked(request: Any, *, page: bool = False, planned: bool = False) -> AsyncIterator[tuple[asyncpg.Connection, Who]]:
    """The request's transaction and who is behind it: a bearer token for the API, the session cookie for pages."""
    tenant_id = await tenant_of(request.headers.get("host", ""))
    if page:
        token = request.cookies.get("session", "")
    else:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if scheme.lower() == "bearer" else ""
    async with work(tenant_id, planned=planned) as conn:
        row = await conn.fetchrow(_SESSION, tenant_id, hashlib.sha256(token.encode()).digest())
        if row is None or row[0] != ("web" if page else "api"):
            raise Refused(401, "not_authenticated", "Sign in first.")
        yield conn, Who(tenant_id, row[2], row[3], row[4], row[5], row[1])


def new_id() -> UUID:
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
