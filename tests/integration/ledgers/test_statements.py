"""Statements: counted at the price of the day, frozen when closed, and partners see their own figures only."""

from __future__ import annotations

import io
from types import SimpleNamespace
from uuid import UUID

import pytest
import python_calamine

from saas.errors import Conflict, PermissionDenied
from saas.metadata import edits
from saas.metadata.parse import problems_of
from saas.runtime import execute, statements
from saas.runtime import operations as ops
from saas.tenants import list_audit
from tests.acceptance.api import Person, refused
from tests.factories import PASSWORD
from tests.integration.designer.conftest import Designer
from tests.ledger_bundle import ledger_bundle


async def referral(trade, agent: str, day: str, person=None) -> UUID:
    return await trade.make("referral", name="Lead", agent=agent, approved_on=f"{day}T09:00:00+08:00", person=str(person) if person else None)


async def test_a_month_is_settled_at_the_price_of_the_day_and_frozen(trade, http):
    partner = trade.people["partner"]
    a, b = str(await trade.make("agent", name="Jiayuan", person=str(partner))), str(await trade.make("agent", name="Lihua"))
    for price, since, agent in (("50", "2020-01-01", None), ("60", "2020-03-16", None), ("70", "2020-01-01", b)):
        await trade.make("lead_price", name="p", price=price, since=since, agent=agent)
    for day in ("2020-03-01", "2020-03-15", "2020-03-16"):
        await referral(trade, a, day, partner)
    for day in ("2020-03-31", "2020-04-01"):
        await referral(trade, b, day)
    await trade.make("referral", name="Open", agent=a, person=str(partner))  # not approved
    ctx = await trade.ctx()

    async def figures(who=ctx, **asked) -> dict[str, tuple]:
        found = await statements.make(who, "leads", **{"period": "2020-03", **asked})
        return {x.name: (int(x.count), x.amount["amount"], x.closed is not None) for x in (*found.lines, found.total)}

    assert await figures() == {"Jiayuan": (3, "160.00", False), "Lihua": (1, "70.00", False), "Total": (4, "230.00", False)}
    assert await figures(party=UUID(b)) == {"Lihua": (1, "70.00", False), "Total": (1, "70.00", False)}
    mine = await trade.ctx("partner")
    assert await figures(mine) == {"Jiayuan": (3, "160.00", False), "Total": (3, "160.00", False)}
    assert await figures(mine, party=UUID(b)) == {"Total": (0, "0.00", False)}
    for who, error in ((mine, PermissionDenied), (ctx, Conflict)):
        with pytest.raises(error):
            await statements.close(who, "leads", statements.period_of(statements.statement_called(ctx, "leads"), ctx.today))
    await statements.close(ctx, "leads", "2020-03")
    await statements.close(ctx, "leads", "2020-03")  # again changes nothing
    await referral(trade, a, "2020-03-20", partner)
    assert await figures() == {"Jiayuan": (3, "160.00", True), "Lihua": (1, "70.00", True), "Total": (4, "230.00", False)}
    closings = (await execute(ctx, ops.List(entity="closing", filter={"field": "period", "op": "eq", "value": "2020-03"}))).records
    assert len(closings) == 2 and not (await trade.get("closing", closings[0].id)).can.update

    boss = await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"admin@{trade.slug}.example", PASSWORD)
    found = await boss.get("/statements/leads", period="2020-03")
    assert (found["total"], found["data"][0]["name"]) == ({"count": 4.0, "amount": {"amount": "230.00", "currency": "CNY"}}, "Jiayuan")
    assert (await boss.get("/statements/leads", period="2020-04"))["total"]["amount"]["amount"] == "70.00"
    refused(await boss.send("GET", "/statements/leads", period="2020-13"), 400)
    refused(await boss.send("GET", "/statements/nothing"), 404)
    quarter = await boss.get("/statements/worth", period="2020-Q1")
    assert quarter["first"] == "2020-01-01" and quarter["last"] == "2020-03-31"
    assert {"/statements/leads", "/statements/leads/close"} <= set((await boss.get("/openapi.json"))["paths"])

    desk = Designer(http, SimpleNamespace(slug=trade.slug, id=trade.tenant_id, admin_id=trade.people["admin"]))
    await desk.sign_in(f"admin@{trade.slug}.example", PASSWORD)
    page = (await desk.get("/statements/leads?period=2020-03")).text
    assert "230.00" in page and "period=2020-02" in page and 'data-period="2020-03"' in page and "Lihua" in page
    file = await desk.get("/statements/leads/export?period=2020-03")
    rows = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0).to_python()
    assert [r[:3] for r in rows[1:4]] == [["Jiayuan", 3.0, 160.0], ["Lihua", 1.0, 70.0], ["Total", 4.0, 230.0]]
    assert len([r for r in rows[5:] if r[0] == "Lead"]) == 5 and [e["target"] for e in await list_audit(trade.tenant_id) if e["kind"] == "records.exported"] == ["referral"]
    own = Designer(http, desk.tenant)
    await own.sign_in(f"partner@{trade.slug}.example", PASSWORD)
    assert "220.00" in (await own.get("/statements/leads?period=2020-03")).text
    file = await own.get("/statements/leads/export?period=2020-03")  # who may not export gets the figures, not the records
    rows = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0).to_python()
    assert [r[:3] for r in rows[1:]] == [["Jiayuan", 4.0, 220.0], ["Total", 4.0, 220.0]]
    closed = await desk.post("/statements/leads/close", {"period": "2020-04"})
    assert closed.status_code == 303 and (await figures(period="2020-04"))["Lihua"][2]
    assert "/statements/leads" in (await desk.get("/reports")).text


def test_what_a_statement_needs_is_checked():
    for path, value, where in (
        ("entities[closing].append_only", False, "statements[leads].closings"), ("entities[closing].unique", [], "statements[leads].closings"),
        ("statements[leads].closed_amount", None, "statements[leads].closed_amount"), ("statements[leads].date", "name", "statements[leads].date"),
    ):  # fmt: skip
        raw = edits.put(ledger_bundle(), path, value)
        if value is None:
            del next(s for s in raw["statements"] if s["key"] == "leads")["closed_amount"]
        assert where in {p.path for p in problems_of(raw)}, path
