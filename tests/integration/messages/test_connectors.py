"""Connectors: rows of another system become read-only records and stay fresh, records are sent once and take the answer, and what a record has
there is asked for when somebody looks; the same with sample answers."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from saas.db import only_read, own_limits, tenant_transaction
from saas.errors import PermissionDenied
from saas.i18n import use_locale
from saas.metadata.parse import problems_of
from saas.runtime import connectors, execute, outbox, timers
from saas.runtime import operations as ops
from saas.runtime.connectors import mirrors
from saas.runtime.contexts import system_context
from saas.runtime.jobs import job_kinds
from saas.runtime.worker import run_now
from saas.settings import HOME
from saas.tenants import integrations
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab
from tests.integration.test_pages import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


def trade_bundle():
    """A small trader whose ERP has products and orders."""
    customer = {
        "key": "customer", "label": label("Customer"), "plural": label("Customers"), "title": "name",
        "fields": [
            fld("name", "text", required=True), fld("code", "text", unique=True), fld("ordered", "rollup", of="orders", fn="sum", field="amount"), fld("count", "rollup", of="orders", fn="count"),
        ],
    }  # fmt: skip
    contract = {
        "key": "contract", "label": label("Contract"), "plural": label("Contracts"), "title": "name",
        "fields": [
            fld("name", "text", required=True), fld("customer", "ref", to="customer", inverse={"key": "contracts", "label": label("Contracts")}), fld("amount", "money"), fld("erp_number", "text", read_only=True),
            fld("progress", "text", read_only=True), fld("fetched", "bool"),
        ],
    }  # fmt: skip
    line = {
        "key": "line", "label": label("Line"), "plural": label("Lines"), "title": "name", "owned": False,
        "fields": [fld("name", "text"), fld("pieces", "int"), fld("contract", "ref", to="contract", detail=True, inverse={"key": "lines", "label": label("Lines")})],
    }  # fmt: skip
    order = {
        "key": "order", "label": label("Order"), "plural": label("Orders"), "title": "number", "owned": False, "read_only": True,
        "fields": [
            fld("number", "text", unique=True), fld("customer", "ref", to="customer", inverse={"key": "orders", "label": label("Orders")}), fld("amount", "money"), fld("day", "date"),
            fld("state", "option", options=[{"key": "open", "label": {"en": "Open", "zh_CN": "未发货"}}, {"key": "shipped", "label": {"en": "Shipped", "zh_CN": "已发货"}}]),
        ],
    }  # fmt: skip
    return {
        "format": 1, "pack": {"key": "trade", "version": "1.0.0", "label": label("Trade")}, "entities": [customer, contract, line, order],
        "roles": [
            {"key": "admin", "label": label("Administrator"), "admin": True},
            {"key": "clerk", "label": label("Clerk"), "entities": {
                "customer": {"create": True, "read": "all", "update": "all", "delete": "all"}, "contract": {"create": True, "read": "all", "update": "all"}, "line": {"create": True, "read": "all"},
                "order": {"create": True, "read": "all", "update": "all", "delete": "all"},
            }},
            {"key": "guest", "label": label("Guest"), "entities": {"customer": {"read": "none"}}},
        ],
        "connectors": [{
            "key": "erp", "label": label("The ERP"), "mode": "live",
            "samples": [{"path": "/orders", "rows": [{"no": "A1", "cust": "C1", "total": 100, "on": "2026-01-05", "status": "已发货", "from": {"en": "Works 1", "zh_CN": "一厂"}}], "number": "no", "pattern": "SO-{seq:4}", "adds": {"status": "Open", "on": "{today}"}}],
        }],
        "mirrors": [{
            "key": "orders", "label": label("Orders"), "entity": "order", "connector": "erp", "path": "/orders", "rows": "data.items", "match": ["number"],
            "map": {"number": "no", "customer": "cust", "amount": "total", "day": "on", "state": "status"}, "lookup": {"customer": "code"}, "minutes": 60, "since": "since", "mark": "changed", "next": "data.next", "page": "page",
        }],
        "live_lists": [{
            "key": "history", "label": label("Orders there"), "entity": "customer", "connector": "erp", "path": "/orders", "query": {"cust": "code"}, "rows": "data.items",
            "columns": [{"key": "number", "label": label("Number"), "path": "no"}, {"key": "total", "label": label("Total"), "path": "total", "type": "money"}, {"key": "on", "label": label("Day"), "path": "on", "type": "date"}],
        }],
        "calls": [{
            "key": "make_order", "label": label("Make an order"), "entity": "contract", "connector": "erp", "path": "/orders", "body": {"cust": "customer.code", "total": "amount", "about": "name"},
            "lines": "lines", "line": {"item": "name", "pieces": "pieces"}, "answer": {"erp_number": "no", "progress": "status"},
        }],
        "automations": [
            {"key": "send", "label": label("Send to the ERP"), "entity": "contract", "on": {"trigger": "button"}, "do": [{"action": "call", "call": "make_order"}]},
            {"key": "answered", "label": label("Answered"), "entity": "contract", "on": {"trigger": "update", "fields": ["erp_number"]}, "do": [{"action": "set", "values": {"fetched": "true"}}]},
        ],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def trade(database):
    lab = await make_lab(trade_bundle(), people=False)
    await lab.person("clerk", ["clerk"])
    await lab.person("guest", ["guest"])
    return lab


@pytest_asyncio.fixture(scope="module")
async def acme(trade):
    return await trade.make("customer", name="Acme", code="C1")


async def connect(lab, **settings):
    async with tenant_transaction(lab.tenant_id) as conn:
        await integrations.save_integration(conn, lab.tenant_id, "connector", "erp", "The ERP", settings, secret="our secret")
        await conn.execute("UPDATE outbox SET status = 'cancelled' WHERE tenant_id = $1 AND status IN ('queued', 'sending')", lab.tenant_id)
        await conn.execute("DELETE FROM connector_state WHERE tenant_id = $1", lab.tenant_id)


async def fetch(lab, **later):
    ctx = await system_context(lab.tenant_id)
    [done] = await connectors.pull_connector(ctx.replace(fixed_now=ctx.now + timedelta(**later)) if later else ctx, "erp")
    return done


async def orders(lab):
    page = await execute(await lab.ctx("clerk"), ops.List(entity="order", sort=("number",)))
    return page.records


def row(no, **more):
    return {"no": no, "cust": "C1", "total": 10, "on": "2026-02-03T10:00:00Z", "status": "open", "changed": "2026-02-03T10:00:00Z", **more}


async def test_rows_become_records_once_and_only_what_changed_is_fetched(trade, acme, receiver):
    await connect(trade, mode="live", url=f"{receiver.url}/api/", auth="bearer")
    pages = {"": [row("B1"), row("B2", total="20.5", changed="2026-02-04T10:00:00Z")], "2": [row("B3", cust="unknown", status="Shipped")]}
    receiver.content = lambda asked: json.dumps({"data": {"items": pages[parse_qs(urlsplit(asked.path).query).get("page", [""])[0]], "next": None if "page=" in asked.path else 2}})
    done = await fetch(trade)
    assert (done.created, done.changed, done.same, done.failed, done.error) == (3, 0, 0, 0, "")
    assert [a.path for a in receiver.asked] == ["/api/orders", "/api/orders?page=2"] and receiver.asked[0].headers["authorization"] == "Bearer our secret"
    b1, b2, b3 = await orders(trade)
    assert b1.values["customer"] == str(acme) and b1.values["day"] == "2026-02-03" and b1.values["state"] == "open" and b2.values["amount"]["amount"] == "20.50"
    assert b3.values["customer"] is None and b3.values["state"] == "shipped"
    customer = await execute(await trade.ctx("clerk"), ops.Get(entity="customer", id=acme))
    assert customer.values["count"] == 2 and customer.values["ordered"] == {"amount": "30.50", "currency": "CNY"}  # lookups and rollups use them

    pages = {"": [row("B1"), row("B2", total=30, changed="2026-02-05T10:00:00Z")]}
    receiver.content = lambda _asked: json.dumps({"data": {"items": pages[""]}})
    done = await fetch(trade)
    assert (done.created, done.changed, done.same) == (0, 1, 1) and receiver.asked[-1].path == "/api/orders?since=2026-02-04T10%3A00%3A00Z"
    assert [r.version for r in await orders(trade)] == [1, 2, 1]

    # A row that cannot be taken is told, the others are, and it comes again: nothing moves on without it.
    receiver.content = lambda _asked: json.dumps({"data": {"items": [row("B4", total="a lot", changed="2026-03-01T00:00:00Z"), row("B5", changed="2026-03-01T00:00:00Z")]}})
    done = await fetch(trade)
    assert (done.created, done.failed) == (1, 1) and "B4" in str(done.problems[0])
    await fetch(trade)
    assert receiver.asked[-1].path == "/api/orders?since=2026-02-05T10%3A00%3A00Z"


async def test_one_odd_row_stops_neither_the_others_nor_other_timed_work(trade, receiver, monkeypatch):
    await connect(trade, mode="live", url=receiver.url)
    ctx, ran, real = await system_context(trade.tenant_id), [], mirrors.values_of
    receiver.content = lambda _asked: json.dumps({"data": {"items": [row("O1"), row("O\x002"), row("O\ud8003"), row({"a": 1}), row("O4"), row("O5", total="a lot")]}})

    async def odd(ctx, entity, mirror, one, lookups):
        if one["no"] == "O4":  # what nobody thought of: the database itself refuses it, and the transaction is over
            await lookups.act.conn.execute("SELECT $1::text", "\x00")
        return await real(ctx, entity, mirror, one, lookups)

    async def breaks(_ctx):
        raise ZeroDivisionError

    async def after(_ctx):
        ran.append("after")
        return []

    async def nothing(*_args):
        return None

    monkeypatch.setattr(mirrors, "values_of", odd)
    monkeypatch.setitem(timers._timers, "a", timers.Timer(nothing, breaks, nothing))
    monkeypatch.setitem(timers._timers, "z", timers.Timer(nothing, after, nothing))
    done = {r.what: r for r in await timers.run_all(ctx)}
    assert ran == ["after"] and done["a"].failed == 1 and (done["orders"].done, done["orders"].failed) == (1, 5)
    assert await trade.fetch("SELECT 1 FROM connector_state WHERE tenant_id = $1 AND busy_until IS NULL AND tried_at IS NOT NULL")
    async with tenant_transaction(trade.tenant_id) as conn:
        [fresh] = await connectors.freshness_of(conn, ctx)
        with use_locale("zh_CN"):
            [chinese] = await connectors.freshness_of(conn, ctx)
    assert len(fresh.counts["problems"]) == 5 and not set(fresh.counts["problems"]) & set(chinese.counts["problems"])  # told in the reader's language


async def test_a_fetch_is_one_at_a_time_and_does_not_hold_up_the_clock(trade, receiver, monkeypatch):
    await connect(trade, mode="live", url=receiver.url)
    ctx = await system_context(trade.tenant_id)
    [mirror], real = ctx.config.bundle.mirrors, mirrors._take
    receiver.content = lambda asked: json.dumps({"data": {"items": [row("T1")], "next": None if "page=" in asked.path else 2}})
    late = await mirrors.pull(ctx, mirror, ends=time.monotonic())
    assert late.is_late and len(receiver.asked) == 1
    monkeypatch.setattr(mirrors, "TURN_SECONDS", -1.0)
    assert not [r for r in await timers.run_all(ctx) if r.kind == "mirror"] and len(receiver.asked) == 1 and not await mirrors._is_due(ctx)
    [(job_id,)] = await trade.fetch("SELECT id FROM job WHERE tenant_id = $1 AND kind = 'pull_mirrors' AND status = 'queued'")
    assert (await run_now(ctx, job_id)).result["mirrors"][0]["error"] == "" and len(receiver.asked) == 3

    async def meanwhile(*args):
        await real(*args)
        await trade.fetch("UPDATE connector_state SET busy_until = now() + interval '1 hour' WHERE tenant_id = $1 RETURNING 1")

    monkeypatch.setattr(mirrors, "_take", meanwhile)  # another one has begun, because this one took so long
    assert await mirrors.pull(ctx, mirror) is None and len(receiver.asked) == 4
    assert await trade.fetch("SELECT 1 FROM connector_state WHERE tenant_id = $1 AND busy_until > now()")


async def test_other_systems_are_asked_by_real_time(trade, receiver):
    await connect(trade, mode="live", url=receiver.url)
    ctx = await system_context(trade.tenant_id)
    mirror = replace(ctx.config.bundle.mirrors[0], mark=None)
    receiver.content = lambda _asked: json.dumps({"data": {"items": []}})
    for days in (900, 901):
        await mirrors.pull(ctx.replace(fixed_now=ctx.now + timedelta(days=days)), mirror)
    since = parse_qs(urlsplit(receiver.asked[-1].path).query)["since"][0]
    assert timedelta(minutes=4) < ctx.real_now - type(ctx.now).fromisoformat(since) < timedelta(minutes=6)


async def test_values_lead_to_no_other_address(trade, receiver):
    await connect(trade, mode="live", url=f"{receiver.url}/api")
    ctx = await system_context(trade.tenant_id)
    connector, found = ctx.config.bundle.connectors[0], await connectors.connection_of(trade.tenant_id, "erp")
    for path, query in (("/c/{a}", {"a": ".."}), ("/c/{a}/x", {"a": "."}), ("/c/{a}{b}", {"a": ".", "b": "."}), ("/c/{a}", {"a": "x/../y"})):
        with pytest.raises(connectors.NoAnswer) as error:
            await connectors.ask(ctx, connector, found, "GET", path, query=query)
        assert error.value.for_good
    receiver.content = lambda _asked: "[]"
    await connectors.ask(ctx, connector, found, "GET", "/c/{a}", query={"a": "a..b/1", "b": ".."})
    assert [a.path for a in receiver.asked] == ["/api/c/a..b%2F1?b=.."]


async def test_people_read_what_is_mirrored_and_change_nothing(trade, receiver):
    await connect(trade, mode="live", url=receiver.url)
    receiver.content = lambda _asked: json.dumps({"data": {"items": [row("Read")]}})
    assert (await fetch(trade)).error == ""
    clerk, [one, *_] = await trade.ctx("clerk"), await orders(trade)
    for operation in (ops.Create(entity="order", values={"number": "X"}), ops.Update(entity="order", id=one.id, values={"amount": 1}), ops.Delete(entity="order", id=one.id)):
        with pytest.raises(PermissionDenied):
            await execute(clerk, operation)
    history = await execute(clerk, ops.History(entity="order", id=one.id))
    assert history[0].origin == "connector" and history[0].actor == "Connector"


async def test_trouble_is_told_tried_again_and_never_breaks_what_is_there(trade, receiver, http):
    await connect(trade, mode="live", url=receiver.url)
    ctx = await system_context(trade.tenant_id)
    assert await timers.is_due(ctx)
    receiver.answer = lambda _asked: "503 down"
    before = len(await orders(trade))
    ran = [r for r in await timers.run_all(ctx) if r.kind == "mirror"]
    assert [r.errors for r in ran] == [["The other system has a problem of its own."]] and len(await orders(trade)) == before
    later = ctx.replace(fixed_now=ctx.now + timedelta(seconds=30))
    assert not [r for r in await timers.run_all(later) if r.kind == "mirror"]
    receiver.answer, receiver.content = (lambda _asked: "200 OK"), (lambda _asked: "<html>")
    later = ctx.replace(fixed_now=ctx.now + timedelta(minutes=2))
    ran = [r for r in await timers.run_all(later) if r.kind == "mirror"]
    assert ran[0].errors == ["The other system did not answer in JSON."]
    receiver.content = lambda _asked: json.dumps({"data": {"items": []}})
    later = ctx.replace(fixed_now=ctx.now + timedelta(minutes=10))
    assert [r.errors for r in await timers.run_all(later) if r.kind == "mirror"] == [[]]
    assert not [r for r in await timers.run_all(later.replace(fixed_now=later.now + timedelta(minutes=59))) if r.kind == "mirror"]
    assert [r.what for r in await timers.run_all(later.replace(fixed_now=later.now + timedelta(minutes=61))) if r.kind == "mirror"] == ["orders"]

    # Two at once: one of them does it. An address of our own network is never asked.
    async with tenant_transaction(trade.tenant_id) as conn:
        await conn.execute("UPDATE connector_state SET busy_until = now() + interval '1 minute' WHERE tenant_id = $1", trade.tenant_id)
    assert await connectors.pull_connector(ctx, "erp") == []
    await connect(trade, mode="live", url="http://169.254.169.254/")
    assert (await fetch(trade)).error == "This address leads into a private network, which is not asked."
    clerk = Browser(http, f"{trade.slug}.localhost")
    await clerk.sign_in(f"clerk@{trade.slug}.example")
    page = await clerk.get("/r/order")
    assert "From The ERP: not fetched yet" in page.text and "/settings/connections" not in page.text


async def test_a_record_is_sent_once_and_takes_the_answer(trade, acme, receiver, http):
    await connect(trade, mode="live", url=receiver.url, auth="signature")
    clerk = await trade.ctx("clerk")
    deal = await trade.make("contract", name="Pumps", customer=str(acme), amount="780000")
    for n in (1, 2):
        await trade.make("line", name=f"Pump {n}", pieces=n, contract=str(deal))
    answers = ["503 down", "200 OK"]
    receiver.answer, receiver.content = (lambda _asked: answers.pop(0) if answers else "200 OK"), (lambda _asked: json.dumps({"no": "SO-77", "status": "accepted"}))
    for _twice in range(2):
        await execute(clerk, ops.Press(entity="contract", id=deal, key="send"))
    await outbox.send_due()
    async with tenant_transaction(trade.tenant_id) as conn:
        await conn.execute("UPDATE outbox SET due_at = now() WHERE tenant_id = $1 AND status = 'queued'", trade.tenant_id)
    await outbox.send_due()
    assert [json.loads(a.body) for a in receiver.effects.values()] == [{"cust": "C1", "total": 780000, "about": "Pumps", "lines": [{"item": "Pump 1", "pieces": 1}, {"item": "Pump 2", "pieces": 2}]}]
    assert len(receiver.asked) == 2 and len({a.headers["idempotency-key"] for a in receiver.asked}) == 1 and "x-signature" in receiver.asked[0].headers
    values = (await execute(clerk, ops.Get(entity="contract", id=deal))).values
    assert (values["erp_number"], values["progress"], values["fetched"]) == ("SO-77", "accepted", True)  # and what follows a change follows this one

    # Refused for good: told, and sent again when somebody says so after mending it.
    other = await trade.make("contract", name="Valves", customer=str(acme), amount="1")
    receiver.answer = lambda _asked: "422 no"
    await execute(clerk, ops.Press(entity="contract", id=other, key="send"))
    await outbox.send_due()
    assert (await execute(clerk, ops.Get(entity="contract", id=other))).values["erp_number"] is None
    receiver.answer, receiver.content = (lambda _asked: "200 OK"), (lambda _asked: json.dumps({"no": "SO-78"}))
    await execute(clerk, ops.Press(entity="contract", id=other, key="send"))
    await outbox.send_due()
    assert (await execute(clerk, ops.Get(entity="contract", id=other))).values["erp_number"] == "SO-78"
    admin = Browser(http, f"{trade.slug}.localhost")
    await admin.sign_in(f"admin@{trade.slug}.example")
    page = await admin.get("/settings/connections/connector/erp")
    assert "SO-78" in page.text and "The other system refused this." in page.text and "our secret" not in page.text and "Valves" in page.text


async def test_what_was_answered_is_not_sent_again_because_we_refuse_the_answer(trade, receiver, http):
    await connect(trade, mode="live", url=receiver.url)
    clerk = await trade.ctx("clerk")
    for content in ({"no": "SO-9\x00"}, {"no": ["SO-9"]}, {"no": "SO-9\ud800"}):
        deal = await trade.make("contract", name="Refused", amount="1")
        receiver.asked.clear()
        receiver.content = lambda _asked, content=content: json.dumps(content)
        await execute(clerk, ops.Press(entity="contract", id=deal, key="send"))
        await outbox.send_due()
        found = await trade.fetch("SELECT status, error, reply FROM outbox WHERE tenant_id = $1 AND origin->>'record' = $2", str(deal))
        assert [f["status"] for f in found] == ["failed"] and "SO-9" in found[0]["reply"] and found[0]["error"] and len(receiver.asked) == 1
        log = await trade.fetch("SELECT status, answer, error FROM exchange WHERE tenant_id = $1 AND record_id = $2", deal)
        assert [(x["status"], "SO-9" in x["answer"], bool(x["error"])) for x in log] == [("failed", True, True)]
    assert await trade.fetch("SELECT 1 FROM integration WHERE tenant_id = $1 AND key = 'erp' AND failing_since IS NULL")  # it is not the connection that fails


async def test_looking_holds_no_connection_and_writes_nothing_where_only_reading_is_allowed(trade, acme, receiver, http, database):
    await connect(trade, mode="live", url=receiver.url)
    admin, held = await trade.ctx("clerk"), []
    pool = database.cells[HOME].app

    def down(_asked):
        held.append(pool.get_size() - pool.get_idle_size())
        return "500 down"

    receiver.answer = down
    browser = Browser(http, f"{trade.slug}.localhost")
    await browser.sign_in(f"clerk@{trade.slug}.example")
    for url in (f"/r/customer/{acme}/live/history", f"/api/v1/records/customer/{acme}/live/history"):
        assert (await browser.get(url)).status_code == 200
    assert held == [0, 0]
    noted = "SELECT 1 FROM exchange WHERE tenant_id = $1 AND event = 'history'"
    before = len(await trade.fetch(noted))
    entity = admin.config.entity("customer")
    assert (await connectors.look_up(admin.replace(viewer=admin), entity, acme, "history")).error is not None
    with own_limits():
        only_read()
        assert (await connectors.look_up(admin, entity, acme, "history")).error is not None
    assert len(await trade.fetch(noted)) == before
    assert (await connectors.look_up(admin, entity, acme, "history")).error is not None and len(await trade.fetch(noted)) == before + 1


async def test_what_a_record_has_there_is_asked_when_somebody_looks(trade, acme, receiver, http):
    await connect(trade, mode="live", url=receiver.url)
    receiver.content = lambda _asked: json.dumps({"data": {"items": [{"no": "Z<1>", "total": 1234.5, "on": "2026-05-06"}]}})
    clerk = Browser(http, f"{trade.slug}.localhost")
    await clerk.sign_in(f"clerk@{trade.slug}.example")
    page = await clerk.get(f"/r/customer/{acme}")
    assert "Orders there" in page.text and not receiver.asked  # not before it is opened
    page = await clerk.get(f"/r/customer/{acme}?tab=live:history")
    assert f'hx-get="/r/customer/{acme}/live/history"' in page.text and not receiver.asked
    part = await clerk.get(f"/r/customer/{acme}/live/history")
    assert "Z&lt;1&gt;" in part.text and "1,234.50" in part.text and receiver.asked[-1].path == "/orders?cust=C1"
    receiver.answer = lambda _asked: "500 down"
    part = await clerk.get(f"/r/customer/{acme}/live/history")
    assert part.status_code == 200 and 'data-live="error"' in part.text and "has a problem of its own" in part.text and "Ask again" in part.text
    asked = len(receiver.asked)
    bare = await trade.make("customer", name="New here")
    part = await clerk.get(f"/r/customer/{bare}/live/history")
    assert "has nothing about this record" in part.text and len(receiver.asked) == asked  # no number there, nothing to ask
    guest = Browser(http, f"{trade.slug}.localhost")
    await guest.sign_in(f"guest@{trade.slug}.example")
    assert (await guest.get(f"/r/customer/{acme}/live/history")).status_code == 404 and len(receiver.asked) == asked
    assert (await clerk.get(f"/r/customer/{acme}/live/other")).status_code == 404


async def test_a_stub_remembers_what_it_was_sent_and_asks_nobody(trade, acme, receiver):
    await connect(trade, mode="stub", url=receiver.url)
    clerk = await trade.ctx("clerk")
    deal = await trade.make("contract", name="Stub", customer=str(acme), amount="5")
    await execute(clerk, ops.Press(entity="contract", id=deal, key="send"))
    await outbox.send_due()
    assert (await execute(clerk, ops.Get(entity="contract", id=deal))).values["erp_number"] == "SO-0001"
    ctx = await system_context(trade.tenant_id)
    config = ctx.config.bundle.connectors[0]
    again = await connectors.ask(ctx, config, await connectors.connection_of(trade.tenant_id, "erp"), "POST", "/orders", body={"cust": "C1"}, key="one key")
    assert again == await connectors.ask(ctx, config, await connectors.connection_of(trade.tenant_id, "erp"), "POST", "/orders", body={"cust": "C1"}, key="one key") and again["no"] == "SO-0002"
    first = (await connectors.ask(ctx, config, await connectors.connection_of(trade.tenant_id, "erp"), "GET", "/orders"))[0]
    assert first["from"] == "Works 1", "a text in several languages is answered in the company's"
    done = await fetch(trade)
    assert done.created == 3 and not receiver.asked
    found = {r.values["number"]: r.values for r in await orders(trade)}
    assert found["A1"]["state"] == "shipped" and found["SO-0001"]["customer"] == str(acme) and found["SO-0001"]["state"] == "open"
    rows = await connectors.look_up(clerk, ctx.config.entity("customer"), acme, "history")
    assert [r[0] for r in rows.rows] == ["A1", "SO-0001", "SO-0002"] and rows.mode == "stub"


async def test_settings_and_the_api(trade, http, receiver):
    admin, clerk = (Browser(http, f"{trade.slug}.localhost") for _ in range(2))
    await admin.sign_in(f"admin@{trade.slug}.example")
    await clerk.sign_in(f"clerk@{trade.slug}.example")
    page = await admin.get("/settings/connections/connector/erp")
    assert page.status_code == 200 and 'data-mirror="orders"' in page.text
    assert (await clerk.get("/settings/connections/connector/erp")).status_code == 403
    answer = await admin.post("/settings/connections/connector/erp", {"mode": "live", "url": "ftp://x", "auth": "bearer", "active": "on"})
    assert answer.status_code == 422
    answer = await admin.post("/settings/connections/connector/erp", {"mode": "stub", "url": "", "auth": "bearer", "active": "on", "secret": "another"})
    assert answer.status_code == 303
    answer = await admin.post("/settings/connections/connector/erp/pull", {})
    assert answer.status_code == 303 and answer.headers["location"].startswith("/jobs/")
    assert "pull_mirrors" in job_kinds
    listing = await admin.get("/settings/connections")
    assert "The ERP" in listing.text and "gives sample answers" in listing.text
    for url in ("/settings/connectors", "/settings/connectors/erp", "/settings/connectors/new", "/settings/mirrors/orders", "/settings/live-lists/history", "/settings/calls/make_order", "/settings/mirrors/new?entity=order"):
        assert (await admin.get(url)).status_code == 200, url
    assert "not JSON" in (await admin.post("/settings/connectors/new", {"label.en": "Bank", "label.zh_CN": "银行", "mode": "stub", "samples": "[{", "active": "on"})).text


async def test_what_does_not_fit_is_said_before_it_is_published():
    def wrong(change):
        raw = trade_bundle()
        change(raw)
        return {(p.path, p.code) for p in problems_of(raw)}

    assert problems_of(trade_bundle()) == []
    assert ("mirrors[orders].entity", "not_read_only") in wrong(lambda b: b["entities"][3].pop("read_only"))
    assert ("mirrors[orders].match", "no_unique_rule") in wrong(lambda b: b["entities"][3]["fields"][0].pop("unique"))
    assert ("mirrors[orders].map[customer]", "no_lookup") in wrong(lambda b: b["mirrors"][0].pop("lookup"))
    assert any(path == "mirrors[orders].connector" for path, _ in wrong(lambda b: b["mirrors"][0].update(connector="bank")))
    assert any(path == "calls[make_order].body.cust" for path, _ in wrong(lambda b: b["calls"][0]["body"].update(cust="customer.nothing")))
    assert any(path == "calls[make_order].line.item" for path, _ in wrong(lambda b: b["calls"][0]["line"].update(item="amount")))
    assert ("calls[make_order].line", "half_said") in wrong(lambda b: b["calls"][0].pop("line"))
    assert ("live_lists[history].path", "unknown_parameter") in wrong(lambda b: b["live_lists"][0].update(path="/c/{code}"))
    assert any("automations[send]" in path for path, _ in wrong(lambda b: b["calls"].clear()))
    assert ("calls[make_order].answer[count]", "not_writable") in wrong(lambda b: (b["calls"][0].update(entity="customer", body={"a": "name"}, answer={"count": "x"}), b["calls"][0].pop("lines"), b["calls"][0].pop("line"), b["automations"].pop(0)))


async def test_removing_a_field_tells_what_uses_it():
    from saas.metadata.mentions import Mentions

    found = Mentions(trade_bundle())
    assert {m.kind for m in found.of("entities[contract].fields[amount]")} == {"call"}
    assert {m.kind for m in found.of("entities[line].fields[pieces]")} == {"call"}
    assert {m.kind for m in found.of("entities[order].fields[amount]")} == {"mirror", "field"}
    assert {m.kind for m in found.of("connectors[erp]")} == {"mirror", "live_list", "call"} and {m.kind for m in found.of("calls[make_order]")} == {"action"}


async def test_how_far_one_source_got_says_nothing_about_another(trade, receiver):
    """The samples, or a system at another address: what was fetched there is not passed over here."""

    async def source(**settings):
        async with tenant_transaction(trade.tenant_id) as conn:
            await integrations.save_integration(conn, trade.tenant_id, "connector", "erp", "The ERP", settings)

    await connect(trade, mode="live", url=receiver.url)
    receiver.content = lambda _asked: json.dumps({"data": {"items": [row("S1", changed="2099-01-01T00:00:00Z")]}})
    await fetch(trade)
    await fetch(trade)
    assert receiver.asked[-1].path == "/orders?since=2099-01-01T00%3A00%3A00Z"
    await source(mode="live", url=f"{receiver.url}/new")
    await fetch(trade)
    assert receiver.asked[-1].path == "/new/orders"
    kept = await trade.fetch("SELECT counts::text AS counts FROM connector_state WHERE tenant_id = $1")
    assert not [row for row in kept if receiver.url in row["counts"]], "an address stands with its connection alone"
    await fetch(trade)
    assert receiver.asked[-1].path == "/new/orders?since=2099-01-01T00%3A00%3A00Z"
    await trade.fetch("UPDATE connector_state SET counts = counts || jsonb_build_object('source', $2::text) WHERE tenant_id = $1 RETURNING part", f"{receiver.url}/new")
    await fetch(trade)
    assert receiver.asked[-1].path.startswith("/new/orders?since="), "as it was kept before there were marks"
    await source(mode="live", url=f"{receiver.url}/mistyped")
    receiver.answer = lambda _asked: "404 nothing here"
    assert (await fetch(trade)).error and receiver.asked[-1].path == "/mistyped/orders"
    receiver.answer = lambda _asked: "200 OK"
    await source(mode="live", url=f"{receiver.url}/new")
    await fetch(trade)
    assert receiver.asked[-1].path.startswith("/new/orders?since="), "an address that never answered changes nothing"
    await source(mode="stub", url=f"{receiver.url}/new")
    await fetch(trade)
    await source(mode="live", url=f"{receiver.url}/new")
    await fetch(trade)
    assert receiver.asked[-1].path == "/new/orders"
