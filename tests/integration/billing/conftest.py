"""A fake Stripe over real HTTP for each test, and companies that pay through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest_asyncio

from saas.db import system_transaction, tenant_transaction
from saas.runtime import billing as running
from saas.tenants import TenantRow, forget_host, get_tenant
from saas.tenants.billing import Account, catalogue, checkout, dunning, store
from tests.stripe_fake import Fake, api, server, stripe_open

HOOK = "http://localhost/billing/stripe/webhook"


@dataclass
class Payer:
    """A tenant before the fake: what its administrator does, and what came of it."""

    stripe: Fake
    http: httpx.AsyncClient
    id: UUID
    slug: str
    email: str = ""

    async def row(self) -> TenantRow:
        forget_host(self.slug)
        return await get_tenant(self.id)

    async def account(self) -> Account:
        return await store.get_account(self.id)

    async def subscribe(self, plan: str = "team", seats: int = 3, *, hear: bool = True, **pay: Any) -> dict[str, Any]:
        url = await checkout.subscribe(await self.row(), plan, seats, email=self.email, locale="en")
        made = api.complete(self.stripe, url.rpartition("/")[2], **pay)
        if hear:
            await self.hear()
        return made

    async def hear(self) -> list[int]:
        """Events arrive and are applied."""
        answers = await server.deliver(self.stripe, self.http)
        assert set(answers) <= {200}
        await running.apply_events()
        return answers

    async def customer(self) -> str:
        return await store.customer_of(self.id)

    async def invoices(self) -> list[dict[str, Any]]:
        async with tenant_transaction(self.id) as conn:
            return await store.list_invoices(conn, self.id)

    async def settle(self, *, days: float = 0, at: datetime | None = None) -> str:
        return await dunning.settle(self.id, running.readers, now=(at or self.stripe.now) + timedelta(days=days))

    async def mails(self) -> list[str]:
        async with tenant_transaction(self.id) as conn:
            return [r["kind"] for r in await conn.fetch("SELECT kind FROM mail WHERE tenant_id = $1 ORDER BY created_at, id", self.id)]


@pytest_asyncio.fixture
async def stripe(database) -> AsyncIterator[Fake]:
    """A fake of this test's own; the product talks to it by HTTP, and it to the product."""
    before = database.settings
    async with stripe_open(endpoint=None) as fake:
        database.settings = replace(before, stripe_api_key=fake.key, stripe_api_base=fake.url, stripe_webhook_secret=fake.secret)
        await catalogue.sync()
        fake.unsent.clear()
        fake.events.clear()
        fake.endpoint = HOOK
        # Answers come at once and events when the test says so.
        fake.hold = True
        try:
            yield fake
        finally:
            async with system_transaction("billing") as conn:  # the next test's clock starts anew
                await conn.execute("DELETE FROM stripe_event")
                await conn.execute("DELETE FROM stripe_customer")
            database.settings = before


@pytest_asyncio.fixture
async def payer(stripe: Fake, http: httpx.AsyncClient, tenant_factory: Any) -> Callable[..., Awaitable[Payer]]:
    """`await payer()`: a company on the free plan; with `pack` its administrator can be told things."""

    async def make(*, pack: str | None = "baseline-crm", plan_key: str = "free") -> Payer:
        tenant = await tenant_factory(pack=pack, plan_key=plan_key)
        return Payer(stripe, http, tenant.id, tenant.slug, tenant.admin_email)

    return make
