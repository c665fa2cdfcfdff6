"""Two tenants side by side: A with something of everything, B with the people who try to reach it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from saas.db import tenant_transaction
from saas.runtime import jobs
from saas.runtime.contexts import context_for_user
from saas.tenants import (
    ask_support_access,
    create_operator,
    create_user,
    decide_support_access,
    find_operator_session,
    find_tenant,
    integrations,
    new_id,
    open_operator_session,
    open_session,
    support_ticket,
)
from saas.tenants.mail import list_mail
from tests.acceptance.api import Person
from tests.conftest import PASSWORD, TenantHandle

WORD = "zqaurora"  # stands in every text of A and nowhere else
UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NOISE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?|[0-9a-f]{16}\b|[A-Za-z0-9_-]{32,}|\bu_[0-9a-f]{12}\b|\d+ (second|minute)s? ago")


@dataclass
class World:
    """`things`: {name: id, key or token} of what a tenant has; `web`: a browser's session (token, csrf)."""

    tenant: TenantHandle
    admin: Person
    low: Person
    things: dict[str, Any] = field(default_factory=dict)
    web: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.admin.host


async def make_world(http: httpx.AsyncClient, tenant_factory: Any, word: str) -> World:
    tenant = await tenant_factory(pack="baseline-crm")
    host = f"{tenant.slug}.localhost"
    low_email = f"low-{word}@{tenant.slug}.example"
    low_id = await create_user(tenant.id, low_email, PASSWORD, f"Low {word}", ["service"])
    admin = await Person(http, host, language="en").sign_in(tenant.admin_email, PASSWORD)
    low = await Person(http, host, language="en").sign_in(low_email, PASSWORD)
    world = World(tenant, admin, low, {"user": str(low_id), "low_email": low_email, "slug": tenant.slug})
    for name, user_id in (("admin", tenant.admin_id), ("low", low_id)):
        token, csrf, _expires = await open_session(tenant.id, user_id, "web")
        world.web[name] = (token, csrf)
    await _fill(world, word)
    return world


async def _fill(world: World, word: str) -> None:
    admin, things = world.admin, world.things
    made = await admin.send("POST", "/records/customer", {"values": {"name": f"{word} Ltd", "background": f"{word} background"}}, headers={"idempotency-key": "the-key"})
    assert made.status_code == 201, made.text
    things["record"] = made.json()["id"]
    second = await admin.create("customer", name=f"{word} Second")
    things["gone"] = second["id"]
    await admin.call("DELETE", f"/records/customer/{second['id']}", expect=204)
    await admin.create("customer", name=f"{word} Third")
    things["cursor"] = (await admin.get("/records/customer", limit=1))["next"]
    things["opportunity"] = (await admin.create("opportunity", name=f"{word} deal", customer=things["record"], expected_amount="1000"))["id"]
    await admin.create("task", subject=f"{word} task", assignee=world.low.id, due="2030-01-01")
    twins = [(await admin.create("customer", name=f"{word} Twin {i}"))["id"] for i in (1, 2)]
    things["merge"] = (await admin.call("POST", "/records/customer/merge", {"survivor": twins[0], "losers": twins[1:]}))["merge"]
    headers = {"host": world.host, "authorization": f"Bearer {admin.token}"}
    upload = await admin.client.post("/api/v1/files", files={"file": (f"{word}.txt", f"{word} content".encode())}, data={"entity": "interaction", "field": "attachments"}, headers=headers)
    assert upload.status_code == 201, upload.text
    things["file"] = upload.json()["id"]
    things["interaction"] = (await admin.create("interaction", customer=things["record"], channel="phone", subject=f"{word} call", content=word, attachments=[things["file"]]))["id"]
    export = await admin.call("POST", "/exports", {"entity": "customer", "format": "csv"})
    things["job"], things["export"] = export["id"], export["result"]["file_id"]
    waiting = await admin.call("POST", "/records/customer/bulk", {"action": "update", "ids": [things["record"]], "values": {"background": f"{word} changed"}})
    assert waiting["done"] == 1
    plan = await admin.call("POST", "/config/plan", {"patch": {"pack": {**(await admin.get("/config"))["bundle"]["pack"], "version": "9.9.9" if word == WORD else "9.9.8"}}})
    things["plan"] = plan["plan_id"]
    invited = await admin.call("POST", "/invitations", {"email": f"{word}@x.example", "name": f"{word} guest", "roles": ["sales"]}, expect=201)
    things["invitation"] = invited["id"]
    things["mail"] = str((await list_mail(world.tenant.id))[0]["id"])
    ctx = await context_for_user(world.tenant.id, UUID(admin.id))
    from saas.runtime import outbox
    from saas.runtime.archive import start_archive
    from saas.runtime.views import save_view
    from saas.runtime.worker import run_now

    made_archive = await run_now(ctx, (await start_archive(ctx)).id)
    assert made_archive.status == "done", made_archive
    things["archive"] = str(made_archive.id)

    async with tenant_transaction(world.tenant.id) as conn:
        things["view"] = await save_view(conn, ctx, ctx.config.entity("customer"), f"{word} view", {"filter": {"field": "name", "op": "contains", "value": word}}, shared=True)
        things["queued"] = str(await jobs.enqueue(conn, ctx, "bulk_edit", {"plan": {"entity": "customer", "action": "update", "values": {"needs": word}, "key": None}, "ids": [things["record"]], "locale": "en"}))
        things["message"] = str(await outbox.put(conn, kind="http", key=f"{word} effect", payload={"url": f"https://{word}.example/"}, due_at=datetime.now(UTC) + timedelta(hours=1)))
        run = new_id()
        entity = ctx.config.entity("customer")
        state = {"place": [0], "began": None, "attempt": 0, "steps": [], "results": {}, "depth": 1, "running": [], "deleted": False, "old": None}
        await conn.execute(
            "INSERT INTO automation_log (tenant_id, id, automation_key, entity_id, record_id, status, error, state) VALUES ($1, $2, 'low_rating', $3, $4, 'failed', $5, $6::jsonb)",
            world.tenant.id, run, entity.number, UUID(things["record"]), f"{word} went wrong", json.dumps(state),
        )  # fmt: skip
        things["run"] = str(run)
        things["sent"] = str(await conn.fetchval(
            "INSERT INTO message (tenant_id, id, created_at, template_key, channel, recipient, locale, subject, body, status, provider_ref) "
            "VALUES ($1, $2, now(), 'greeting', 'sms', $3, 'en', $4, $4, 'failed', 'ref') RETURNING id",
            world.tenant.id, new_id(), f"{word}@x.example", f"{word} subject",
        ))  # fmt: skip
        await integrations.save_integration(conn, world.tenant.id, "sms", "sms", "SMS", {"mode": "recorded"})
        things["note"] = str(await conn.fetchval("SELECT id FROM notification WHERE tenant_id = $1 LIMIT 1", world.tenant.id) or things["record"])
        await conn.execute("UPDATE job SET run_at = now() + interval '1 hour' WHERE tenant_id = $1 AND id = $2", world.tenant.id, UUID(things["queued"]))


    await _ask_to_decide(world, word)
    await _ask_for_support(world, word)


async def _ask_to_decide(world: World, word: str) -> None:
    """An approval of the record that waits for a person, who has a deputy."""
    from saas.metadata.models import ApprovalDef, ApprovalStepDef, ApproverDef
    from saas.runtime.approvals import store
    from saas.runtime.approvals.deputies import set_deputy

    ctx = await context_for_user(world.tenant.id, UUID(world.low.id))
    step = ApprovalStepDef("one", {"en": f"{word} step"}, (ApproverDef("person", person=f"{word}@x.example"),))
    definition = ApprovalDef("agree", {"en": f"{word} approval"}, "customer", steps=(step,))
    number, record_id = ctx.config.entity("customer").number, UUID(world.things["record"])
    flow = store.Flow(new_id(), "agree", number, record_id, "running", definition, "", UUID(world.admin.id), ctx.now, None, 1, 0, 1, word)
    async with tenant_transaction(world.tenant.id) as conn:
        await store.insert_flow(conn, ctx, flow)
        world.things["decision"] = str(await store.ask(conn, ctx, flow, [UUID(world.low.id)]))
        await store.note(conn, ctx, flow, "started", comment=word)
        world.things["department"] = str(await conn.fetchval("SELECT id FROM department WHERE tenant_id = $1 LIMIT 1", world.tenant.id))
    world.things["flow"] = str(flow.id)
    world.things["deputy"] = str(await set_deputy(ctx, UUID(world.admin.id), ctx.today, ctx.today))


async def _ask_for_support(world: World, word: str) -> None:
    """A request that waits for an answer, and one with a ticket nobody has used yet."""
    row = await find_tenant(world.tenant.slug)
    for mode, name in (("write", "support"), ("read", "support_ready")):
        operator_id = await create_operator(f"{name}-{world.tenant.slug}@platform.example", PASSWORD, name=f"{word} helper")
        operator = await find_operator_session((await open_operator_session(operator_id))[0])
        assert operator is not None
        access, _ready = await ask_support_access(row, operator, mode=mode, reason=f"{word} reason")
        world.things[name] = str(access)
    await decide_support_access(row.id, UUID(world.things["support_ready"]), approve=True, actor_id=UUID(world.admin.id))
    world.things["ticket"] = await support_ticket(row, operator, UUID(world.things["support_ready"]))


class Ledger:
    """The superuser's view of the tables: what a tenant has, told by checksums."""

    def __init__(self, connection: asyncpg.Connection, tables: list[str]) -> None:
        self.connection, self.tables, self._questions = connection, tables, dict[UUID, Any]()
        self.known: dict[UUID, dict[str, str]] = {}  # checksums that were true when last looked

    @classmethod
    async def open(cls, url: str) -> Ledger:
        connection = await asyncpg.connect(url)
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
            "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        return cls(connection, [r[0] for r in rows])

    @staticmethod
    def _checksum_sql(table: str, tenant_id: UUID) -> str:
        column = "id" if table == "tenant" else "tenant_id"
        of_acts = " AND meter <> 'api_requests'" if table == "usage_delta" else ""  # those are told every few seconds, when nobody asks
        digest = "count(*) || ':' || coalesce(sum(hashtext(tableoid::text || ctid::text || xmin::text)), 0)"  # where each version of a row is, and who wrote it
        return f"SELECT '{table}', {digest} FROM \"{table}\" t WHERE {column} = '{tenant_id}'{of_acts}"  # noqa: S608  names of the catalogue

    async def checksum(self, tenant_id: UUID) -> dict[str, str]:
        """{table: count and digest of the tenant's rows}: another one after any write, even of the same values."""
        question = self._questions.get(tenant_id)
        if question is None:  # one for all tables, with the tenant in its text: planned once, without the partitions of others; asked many thousand times
            text = " UNION ALL ".join(self._checksum_sql(table, tenant_id) for table in [*self.tables, "tenant"])
            question = self._questions[tenant_id] = await self.connection.prepare(text)
        self.known[tenant_id] = dict(await question.fetch())
        return dict(self.known[tenant_id])

    async def before(self, tenant_id: UUID) -> dict[str, str]:
        """As `checksum`, without looking again at a tenant whose last look is still true: nothing was sent to it since."""
        return dict(self.known[tenant_id]) if tenant_id in self.known else await self.checksum(tenant_id)

    async def identifiers(self, tenant_id: UUID) -> set[str]:
        """Every id that stands anywhere in the tenant's rows."""
        found: set[str] = {str(tenant_id)}
        for table in self.tables:
            for row in await self.connection.fetch(f'SELECT to_jsonb(t)::text FROM "{table}" t WHERE tenant_id = $1', tenant_id):  # noqa: S608  names of the catalogue
                found.update(UUIDS.findall(row[0]))
        return found


def plain(answer: httpx.Response, *words: str) -> str:
    """What an answer says, without the ids that were sent, moments and random marks."""
    text = answer.text
    for word in words:
        text = text.replace(word, "…")
    return NOISE.sub("…", UUIDS.sub("…", text))


