"""Triggers and actions of automations, the log of runs, letting a failed one go on, rehearsals; by the door, the pages and the API."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute, logins, outbox, rehearsal, resuming, run_log
from saas.runtime import operations as ops
from saas.runtime.worker import drain
from tests.acceptance.api import Person
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, make_lab
from tests.integration.runtime.test_flows import bundle, entry

QUOTE = {"key": "quote", "label": label("Quote"), "plural": label("Quotes"), "title": "name", "fields": [fld("name", "text", required=True)]}
QUOTE_LINE = {
    "key": "quote_line", "label": label("Quote line"), "plural": label("Quote lines"), "title": "name",
    "fields": [fld("name", "text", required=True), fld("price", "int"), fld("quote", "ref", to="quote", inverse={"key": "lines", "label": label("Lines")}, on_delete="cascade")],
}  # fmt: skip


def rule(key: str, on: Any, do: list[Any], entity: str = "order", **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key.title()), "entity": entity, "on": on, "do": do, **more}


ON = {"trigger": "update", "fields": ["note"]}
RULES = [
    rule("lines_changed", {"trigger": "child_change", "of": "lines"}, [{"action": "set", "values": {"count": "count(lines)", "amount": "sum(lines.price)"}}]),
    rule("dear", {"trigger": "child_change", "of": "lines", "kinds": ["update"], "changed": ["price"]}, [entry("price")]),
    rule("stamp", {"trigger": "button", "text": label("Stamp it"), "roles": ["clerk"], "confirm": label("Really?")}, [{"action": "set", "values": {"note": "'stamped'"}}], **{"if": "not paid"}),
    rule("anyone", {"trigger": "button"}, [{"action": "tag", "field": "tags", "add": ["hot", "new"], "remove": ["cold"]}]),
    rule("welcome", {"trigger": "login", "person": "owner"}, [{"action": "score", "field": "count", "by": "2", "max": 5}]),
    rule("call", ON, [{"action": "http", "url": "https://erp.example/orders", "query": {"n": "name"}, "body": {"name": "name", "amount": "amount", "due": "due"}, "headers": {"X-Key": "k"}}], **{"if": "note == 'call'"}),
    rule("whole", ON, [{"action": "http", "url": "https://erp.example/orders"}], **{"if": "note == 'whole'"}),
    rule("late", ON, [{"action": "wait", "days": 1}, entry("one"), {"action": "transition", "transition": "ship"}, entry("two")], **{"if": "note == 'late'"}),
    rule("copied", {"trigger": "create"}, [
        {"action": "create", "entity": "order", "values": {"name": "name"}, "as": "made"},
        {"action": "copy_children", "of": "lines", "target": "result.made", "map": {"mark": "concat('from ', quote.name)"}, "where": "price > 1"},
    ], entity="quote", **{"if": "name == 'never'"}),
    rule("order_it", {"trigger": "button"}, [
        {"action": "create", "entity": "order", "values": {"name": "name"}, "as": "made"},
        {"action": "copy_children", "of": "lines", "target": "result.made", "map": {"mark": "concat('from ', quote.name)"}, "where": "price > 1"},
    ], entity="quote"),
    rule("give", ON, [
        {"action": "create", "entity": "order", "values": {"name": "'heir'"}, "as": "heir"}, {"action": "relink", "of": "lines", "target": "result.heir", "where": "price > 1"},
    ], **{"if": "note == 'give'"}),
    rule("vat", {"trigger": "before_save", "fields": ["amount"]}, [{"action": "branch", "if": "amount > 900", "then": [{"action": "block", "message": label("Too much")}], "else": [{"action": "set", "values": {"count": "amount"}}]}], **{"if": "name == 'vat'"}),
]  # fmt: skip


def acts_bundle() -> dict[str, Any]:
    found = bundle(RULES)
    found["entities"] = copy.deepcopy([*found["entities"], QUOTE, QUOTE_LINE])
    return found


@pytest_asyncio.fixture(scope="module")
async def lab(database):
    found = await make_lab(acts_bundle(), people=False)
    await found.person("clerk", ["clerk"])
    return found


async def order(lab, by: str | None = "admin", **values: Any) -> Any:
    return await lab.make("order", by, **{"name": "o", **values})


async def change(lab, record: Any, **values: Any) -> Any:
    return await execute(await lab.ctx(), ops.Update(entity="order", id=record, values=values))


async def logs(lab, record: Any) -> list[str]:
    page = await execute(await lab.system(), ops.List(entity="log", filter={"field": "order", "op": "eq", "value": str(record)}, limit=50))
    return sorted(r.values["text"] for r in page.records)


# ---- triggers -------------------------------------------------------------------------------------------------------------


async def test_a_parent_follows_its_children(lab):
    one, two = await order(lab), await order(lab)
    first = await lab.make("line", name="a", price=2, order=str(one))
    await lab.make("line", name="b", price=3, order=str(one))

    async def figures(record):
        values = (await lab.get("order", record)).values
        return values["count"], values["amount"]

    assert await figures(one) == (2, 5) and await logs(lab, one) == []
    await execute(await lab.ctx(), ops.Update(entity="line", id=first, values={"price": 7}))
    assert await figures(one) == (2, 10) and await logs(lab, one) == ["price"]
    await execute(await lab.ctx(), ops.Update(entity="line", id=first, values={"order": str(two)}))
    assert await figures(one) == (1, 3) and await figures(two) == (1, 7)
    await execute(await lab.ctx(), ops.Delete(entity="line", id=first))
    assert (await figures(two))[0] == 0
    made = await execute(await lab.ctx(), ops.CreateMany(entity="line", rows=[{"name": "c", "price": 1, "order": str(two)}, {"name": "d", "price": 1, "order": str(two)}]))
    assert len(made) == 2 and await figures(two) == (2, 2)  # an import's rows, too


async def test_a_button_is_there_for_some_while_its_condition_holds(lab, http):
    record = await order(lab, note="x")
    clerk = await lab.ctx("clerk")
    await lab.person("guest", ["clerk"])
    found = await execute(clerk, ops.Get(entity="order", id=record))
    assert [(b.key, b.label, b.confirm) for b in found.can.buttons] == [("stamp", "Stamp it", "Really?"), ("anyone", "Anyone", "")]
    done = await execute(clerk, ops.Press(entity="order", id=record, key="stamp"))
    assert done.record.values["note"] == "stamped"
    await change(lab, record, paid=True)
    assert [b.key for b in (await execute(clerk, ops.Get(entity="order", id=record))).can.buttons] == ["anyone"]
    with pytest.raises(Conflict):
        await execute(clerk, ops.Press(entity="order", id=record, key="stamp"))
    with pytest.raises(NotFound):
        await execute(clerk, ops.Press(entity="order", id=record, key="lines_changed"))
    person = await Person(http, f"{lab.slug}.localhost", language="en").sign_in(f"clerk@{lab.slug}.example", PASSWORD)
    shown = await person.get(f"/records/order/{record}")
    assert [b["key"] for b in shown["can"]["buttons"]] == ["anyone"]
    pressed = await person.call("POST", f"/records/order/{record}/buttons/anyone", {})
    assert pressed["record"]["values"]["tags"] == ["hot", "new"]
    assert (await person.send("POST", f"/records/order/{record}/buttons/stamp", {})).status_code == 409


async def test_who_may_not_press(lab):
    record = await order(lab)
    changed = await lab.system()
    await lab.person("reader", ["reader"])
    raw = acts_bundle()
    raw["roles"].append({"key": "reader", "label": label("Reader"), "entities": {"*": {"read": "all"}}})
    await lab.publish(raw)
    reader = await lab.ctx("reader")
    assert (await execute(reader, ops.Get(entity="order", id=record))).can.buttons == ()
    for key in ("stamp", "anyone"):
        with pytest.raises(PermissionDenied):
            await execute(reader, ops.Press(entity="order", id=record, key=key))
    assert changed.config.revision < reader.config.revision


async def test_signing_in_runs_rules_for_the_persons_records(lab):
    await drain()  # of those who signed in before
    mine, other = await order(lab, "clerk"), await order(lab)
    for expected in (2, 4, 5, 5):
        await logins.signed_in(lab.tenant_id, lab.people["clerk"])
        await drain()
        assert (await lab.get("order", mine)).values["count"] == expected
    assert (await lab.get("order", other)).values["count"] is None


async def test_before_saving_a_branch_can_refuse_or_set(lab):
    record = await order(lab, name="vat", amount=5)
    assert (await lab.get("order", record)).values["count"] == 5
    with pytest.raises(InvalidInput):
        await change(lab, record, amount=1000)


# ---- actions --------------------------------------------------------------------------------------------------------------


async def test_a_list_is_copied_and_given_away(lab):
    quote = await lab.make("quote", name="Q")
    for price in (1, 2, 3):
        await lab.make("quote_line", name=f"l{price}", price=price, quote=str(quote))
    done = await execute(await lab.ctx(), ops.Press(entity="quote", id=quote, key="order_it"))
    made = next(e["id"] for e in done.effects if e["entity"] == "order")
    lines = (await execute(await lab.system(), ops.List(entity="line", filter={"field": "order", "op": "eq", "value": made}, limit=10, sort=["price"]))).records
    assert [(r.values["name"], r.values["price"], r.values["mark"]) for r in lines] == [("l2", 2, "from Q"), ("l3", 3, "from Q")]
    record = await order(lab)
    for price in (1, 5, 9):
        await lab.make("line", name=f"l{price}", price=price, order=str(record))
    await change(lab, record, note="give")
    left = await execute(await lab.system(), ops.List(entity="line", filter={"field": "order", "op": "eq", "value": str(record)}, limit=10))
    assert [r.values["price"] for r in left.records] == [1] and (await lab.get("order", record)).values["count"] == 1


async def test_another_system_is_called_through_the_outbox(lab):
    record = await order(lab, name="Ä & B", amount=7, due="2027-01-02")
    await change(lab, record, note="call")
    await change(lab, record, note="whole")
    whole, call = (await outbox.list_messages(await lab.system()))[:2]
    assert call.payload["url"] == "https://erp.example/orders?n=%C3%84+%26+B" and call.payload["body"] == {"name": "Ä & B", "amount": 7, "due": "2027-01-02"}
    assert call.payload["headers"] == "…" and (call.origin["automation"], call.origin["record"]) == ("call", str(record))
    assert whole.payload["body"]["values"]["name"] == "Ä & B" and whole.payload["body"]["id"] == str(record)


# ---- the log, replay, rehearsal --------------------------------------------------------------------------------------------


async def test_a_failed_run_goes_on_from_the_failed_step(lab):
    record = await order(lab)
    await change(lab, record, note="late")
    later = (await lab.ctx()).now + timedelta(days=1, minutes=1)
    await resuming.run_due(await lab.system(at=later))
    admin = await lab.ctx()
    [info] = await run_log.list_runs(admin, record=record, status="failed")
    run = await run_log.get_run(admin, info.id)
    assert await logs(lab, record) == ["one"] and run.can_go_on and run.place == [2]
    assert "Not paid yet" in (await run_log.preview(admin, run.id)).error
    await change(lab, record, paid=True)
    shown = await run_log.preview(admin, run.id)
    assert not shown.error and [s["action"] for s in shown.steps] == ["transition", "create"] and len(shown.effects) == 2
    assert await logs(lab, record) == ["one"]  # nothing of that stays
    await run_log.replay(admin, run.id)
    await drain()
    assert await logs(lab, record) == ["one", "two"] and (await run_log.get_run(admin, run.id)).status == "done"
    with pytest.raises(Conflict):
        await run_log.replay(admin, run.id)
    with pytest.raises(PermissionDenied):
        await run_log.list_runs(await lab.ctx("clerk"))


async def test_a_waiting_run_is_called_off(lab):
    record = await order(lab)
    await change(lab, record, note="late")
    admin = await lab.ctx()
    [info] = await run_log.list_runs(admin, record=record, status="waiting")
    assert (await run_log.cancel(admin, info.id)).status == "cancelled"
    await resuming.run_due(await lab.system(at=admin.now + timedelta(days=3)))
    assert await logs(lab, record) == []


async def _everything(lab) -> list[Any]:
    tables = ("record", "record_event", "automation_log", "outbox", "notification", "job", "search_token", "stage_history", "usage_delta")
    return [(await lab.fetch(f"SELECT count(*), coalesce(max(xmin::text), '') FROM {table} WHERE tenant_id = $1"))[0][0] for table in tables]  # noqa: S608  names of this line


async def test_a_rehearsal_tells_what_would_have_happened_and_leaves_nothing(lab):
    paid, unpaid = await order(lab, name="R1", paid=True, amount=500), await order(lab, name="R2")
    for record in (paid, unpaid):
        await change(lab, record, due="2027-05-05")
    raw = acts_bundle()
    raw["automations"] = [rule("draft", {"trigger": "update", "fields": ["due"]}, [
        {"action": "branch", "if": "paid", "then": [{"action": "http", "url": "https://erp.example/x"}, {"action": "wait", "days": 3}, {"action": "set", "values": {"note": "'seen'"}}],
         "else": [entry("unpaid"), {"action": "transition", "transition": "ship"}]},
    ], **{"if": "is_changed('due') and starts_with(name, 'R')"})]  # fmt: skip
    before = await _everything(lab)
    found = await rehearsal.rehearse(await lab.ctx(), "draft", bundle=raw)
    cases = {c.title: c for c in found.cases}
    assert set(cases) == {"R1", "R2"} and found.matched == 2 and found.failed == 1
    assert cases["R1"].sent == [("Request", "POST erp.example/x")] and [s["action"] for s in cases["R1"].steps] == ["branch", "http", "wait", "set"]
    assert "Not paid yet" in cases["R2"].error
    assert await _everything(lab) == before and (await lab.get("order", paid)).values["note"] is None
    live = await rehearsal.rehearse(await lab.ctx(), "lines_changed", days=7)
    assert live.looked > 0 and live.matched == live.looked
    assert (await rehearsal.rehearse(await lab.ctx(), "vat")).cases
    assert (await rehearsal.rehearse(await lab.ctx(), "anyone", most=1)).cut
    with pytest.raises(PermissionDenied):
        await rehearsal.rehearse(await lab.ctx("clerk"), "draft", bundle=raw)


async def test_by_the_pages_and_the_api(lab, http):
    record = await order(lab, name="Paged")
    await change(lab, record, note="late")
    host = f"{lab.slug}.localhost"
    person = await Person(http, host, language="en").sign_in(f"admin@{lab.slug}.example", PASSWORD)
    [run] = (await person.get("/runs", record=str(record), status="waiting"))["data"]
    assert (await person.get(f"/runs/{run['id']}"))["place"] == [0]
    rehearsed = await person.call("POST", "/automations/lines_changed/rehearse", {"days": 31})
    assert rehearsed["looked"] > 0 and (await person.send("POST", "/automations/lines_changed/rehearse", {"days": 0})).status_code == 400
    assert (await person.call("POST", f"/runs/{run['id']}/cancel", {}))["status"] == "cancelled"
    async with tenant_transaction(lab.tenant_id) as conn:
        kept = json.loads(await conn.fetchval("SELECT detail FROM automation_log WHERE tenant_id = $1 AND id = $2", lab.tenant_id, UUID(run["id"])))
    assert kept["changed"] == ["note"]
