"""A workshop whose configuration is reshaped while people work: orders of customers, published and followed step by step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest_asyncio

from saas.db import tenant_transaction
from saas.metadata import store
from saas.runtime.backfill import Step, derive, enqueue_steps
from saas.runtime.jobs import JobInfo, get_job
from saas.runtime.worker import run_now
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab, options

ALL = {"create": True, "read": "all", "update": "all", "delete": "all", "export": True, "import": True, "bulk": True}


def workshop() -> dict[str, Any]:
    return {
        "format": 1,
        "pack": {"key": "workshop", "version": "1.0.0", "label": label("Workshop"), "icon": "briefcase"},
        "settings": [{"key": "limit", "label": label("Limit"), "type": "int", "default": 10}],
        "option_sets": [{"key": "grade", "label": label("Grade"), "options": options("gold", "silver", "vip")}],
        "entities": [
            {"key": "customer", "label": label("Customer"), "plural": label("Customers"), "title": "name", "search": ["name"],
             "fields": [fld("name", "text", required=True), fld("code", "text"), fld("grade", "option", set="grade"), fld("kinds", "multi", set="grade"), fld("note", "longtext"),
                        fld("total", "rollup", of="orders", fn="sum", field="amount"), fld("double", "formula", returns="number", expr="total * 2")]},
            {"key": "order", "label": label("Order"), "plural": label("Orders"), "title": "name", "search": ["name"],
             "fields": [fld("name", "text", required=True), fld("amount", "number"), fld("status", "text"), fld("place", "text"), fld("customer", "ref", to="customer",
                        inverse={"key": "orders", "label": label("Orders")}, on_delete="cascade"), fld("partner", "m2m", to="customer", inverse={"key": "partner_orders", "label": label("Orders")})]},
        ],
        "roles": [{"key": "admin", "label": label("Administrator"), "admin": True},
                  {"key": "clerk", "label": label("Clerk"), "entities": {"customer": ALL, "order": ALL}}],
    }  # fmt: skip


class Shop:
    """A tenant with the workshop's configuration; `raw` is what was published last."""

    def __init__(self, lab: Lab, raw: dict[str, Any]) -> None:
        self.lab, self.raw = lab, raw

    def entity(self, key: str) -> dict[str, Any]:
        return next(e for e in self.raw["entities"] if e["key"] == key)

    def field(self, entity: str, key: str) -> dict[str, Any]:
        return next(f for f in self.entity(entity)["fields"] if f["key"] == key)

    def put(self, entity: str, definition: dict[str, Any]) -> None:
        """The field in the place of the one with its key, or as a new one."""
        fields = self.entity(entity)["fields"]
        found = next((i for i, f in enumerate(fields) if f["key"] == definition["key"]), len(fields))
        fields[found : found + 1] = [definition]

    def drop(self, entity: str, key: str) -> None:
        self.entity(entity)["fields"] = [f for f in self.entity(entity)["fields"] if f["key"] != key]

    async def publish(self, data: Sequence[dict[str, Any]] = (), raw: dict[str, Any] | None = None) -> UUID | None:
        """Publish; the records wait."""
        job_id, _ = await self.publish_steps(data, raw)
        return job_id

    async def publish_steps(self, data: Sequence[dict[str, Any]] = (), raw: dict[str, Any] | None = None) -> tuple[UUID | None, list[Step]]:
        self.raw = copy.deepcopy(raw or self.raw)
        ctx = await self.lab.ctx("admin")
        async with tenant_transaction(self.lab.tenant_id) as conn:
            made = await store.publish(self.lab.tenant_id, self.raw, base_revision=ctx.config.revision, author_id=ctx.user_id)
            money = {"currency": ctx.tenant.currency, "country": ctx.tenant.country, "time_zone": ctx.tenant.time_zone}
            steps = derive(ctx.config, await store.current(self.lab.tenant_id, made.number, **money), data)
            job_id = await enqueue_steps(conn, ctx, steps, made.number)
        return job_id, steps

    async def follow(self, data: Sequence[dict[str, Any]] = (), raw: dict[str, Any] | None = None) -> JobInfo | None:
        """Publish, and let the records follow."""
        job_id = await self.publish(data, raw)
        return await self.finish(job_id) if job_id else None

    async def finish(self, job_id: UUID) -> JobInfo:
        ctx = await self.lab.ctx("admin")
        info = await run_now(ctx, job_id)
        assert info.status == "done", (info.status, info.error)
        return await get_job(ctx, job_id)

    async def values(self, entity: str, key: str) -> dict[str, Any]:
        """{name: value} as the administrator sees them."""
        from saas.runtime import execute
        from saas.runtime import operations as ops

        page = await execute(await self.lab.ctx("admin"), ops.List(entity=entity, limit=200, sort=["name"]))
        return {r.values["name"]: r.values.get(key) for r in page.records}


@pytest_asyncio.fixture
async def shop(database) -> Shop:
    raw = workshop()
    lab = await make_lab(raw, people=False)
    await lab.person("clerk", ["clerk"])
    return Shop(lab, copy.deepcopy(raw))
