"""Steps of automations: branches, loops, waits on the tenant's clock, retries; and what happens when something goes wrong."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, InvalidDefinition, InvalidInput
from saas.metadata.parse import parse_bundle
from saas.metadata.unbuild import bundle_to_raw
from saas.metadata.usages import usages
from saas.runtime import execute, resuming
from saas.runtime import operations as ops
from saas.runtime.worker import drain
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab

ORDER = {
    "key": "order", "label": label("Order"), "plural": label("Orders"), "title": "name",
    "fields": [
        fld("name", "text", required=True), fld("note", "text", max_length=40), fld("amount", "int"), fld("paid", "bool"), fld("due", "date"), fld("count", "int"), fld("tags", "tags"),
        fld("status", "pipeline", pipeline="order"),
    ],
}  # fmt: skip
LINE = {
    "key": "line", "label": label("Line"), "plural": label("Lines"), "title": "name",
    "fields": [
        fld("name", "text", required=True), fld("price", "int"), fld("mark", "text"),
        fld("order", "ref", to="order", required=True, inverse={"key": "lines", "label": label("Lines")}, on_delete="cascade"),
    ],
}  # fmt: skip
LOG = {"key": "log", "label": label("Log"), "plural": label("Logs"), "title": "text", "fields": [fld("text", "text", max_length=40), fld("order", "ref", to="order", inverse={"key": "logs", "label": label("Logs")}, on_delete="cascade")]}


def entry(text: str, **more: Any) -> dict[str, Any]:
    return {"action": "create", "entity": "log", "values": {"text": f"'{text}'", "order": "id"}, **more}


def automation(key: str, do: list[Any], *, on: Any = None, **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key.title()), "entity": "order", "on": on or {"trigger": "update", "fields": ["note"]}, "if": f"note == '{key}'", "do": do, **more}


AUTOMATIONS = [
    automation("branch", [
        {"action": "branch", "if": "amount > 10",
         "then": [{"action": "branch", "if": "amount > 100", "then": [entry("huge")], "else": [entry("big")]}],
         "else": [entry("small", **{"as": "made"}), {"action": "set", "target": "result.made", "values": {"text": "concat(result.made.text, '!')"}}]},
        entry("after"),
    ]),
    automation("each", [
        {"action": "each", "of": "lines", "where": "price > 1", "do": [
            {"action": "branch", "if": "price > 5", "then": [{"action": "set", "values": {"mark": "'dear'"}}], "else": [{"action": "set", "values": {"mark": "concat('cheap ', order.name)"}}]},
        ]},
        {"action": "set", "values": {"count": "count(lines where price > 5)"}},
    ]),
    automation("few", [{"action": "each", "of": "lines", "limit": 2, "do": [{"action": "set", "values": {"mark": "'x'"}}]}]),
    automation("later", [entry("now"), {"action": "wait", "days": 2}, entry("two days", **{"as": "made"}), {"action": "wait", "hours": 1}, {"action": "set", "target": "result.made", "values": {"text": "'at last'"}}]),
    automation("inside", [{"action": "branch", "if": "amount > 0", "then": [entry("a"), {"action": "wait", "days": 1}, entry("b")], "else": [entry("never")]}, entry("c", **{"if": "old('note') != note"})]),
    automation("until", [{"action": "wait", "until": "due", "days": -1}, entry("day before")]),
    automation("paid", [{"action": "wait", "condition": "paid", "days": 5}, {"action": "branch", "if": "paid", "then": [entry("paid")], "else": [entry("reminder")]}]),
    automation("strict", [{"action": "wait", "condition": "paid", "days": 5, "on_timeout": "end"}, entry("paid")]),
    automation("again", [entry("before"), {"action": "transition", "transition": "ship", "retry": {"times": 2, "minutes": 10}}, entry("shipped")]),
    automation("keep", [entry("gone"), {"action": "transition", "transition": "ship"}], on_error="keep"),
    automation("broken", [entry("undone"), {"action": "transition", "transition": "ship"}]),
    automation("late", [{"action": "wait", "days": 1}, entry("one"), {"action": "transition", "transition": "ship"}, entry("two")]),
    automation("single", [{"action": "wait", "days": 1}, entry("once")], overlap="skip", on={"trigger": "update"}),
    automation("anew", [{"action": "wait", "days": 1}, entry("anew")], overlap="restart", on={"trigger": "update"}),
    automation("first", [entry("first")], stop=True),
    {**automation("second", [entry("second")]), "if": "note == 'first'"},
    automation("ring", [{"action": "wait", "minutes": 1}, {"action": "set", "values": {"note": "'gnir'"}}]),
    automation("gnir", [{"action": "wait", "minutes": 1}, {"action": "set", "values": {"note": "'ring'"}}, entry("round")]),
]  # fmt: skip


def bundle(automations: list[Any] | None = None) -> dict[str, Any]:
    return copy.deepcopy({
        "format": 1, "pack": {"key": "flows", "version": "1.0.0", "label": label("Flows"), "icon": "briefcase"},
        "entities": [ORDER, LINE, LOG],
        "pipelines": [{"key": "order", "entity": "order", "field": "status", "label": label("Order"), "stages": [{"key": "open", "label": label("Open")}, {"key": "sent", "label": label("Sent"), "kind": "done"}],
                       "transitions": [{"key": "ship", "label": label("Ship"), "from": ["open"], "to": "sent", "guard": "paid", "guard_message": label("Not paid yet")}]}],
        "roles": [{"key": "admin", "label": label("Admin"), "admin": True, "entities": {}}, {"key": "clerk", "label": label("Clerk"), "entities": {"*": {"read": "all", "create": True, "update": "all"}}}],
        "automations": AUTOMATIONS if automations is None else automations,
    })  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def lab(database):
    return await make_lab(bundle(), people=False)


class Order:
    """One order, and what happened to it."""

    def __init__(self, lab, record_id, at) -> None:
        self.lab, self.id, self.at = lab, record_id, at

    async def change(self, *, hours: float = 0, **values: Any) -> Any:
        ctx = await self.lab.ctx(at=self.at + timedelta(hours=hours))
        return await execute(ctx, ops.Update(entity="order", id=self.id, values=values))

    async def logs(self) -> list[str]:
        page = await execute(await self.lab.system(), ops.List(entity="log", filter={"field": "order", "op": "eq", "value": str(self.id)}, limit=100))
        return [r.values["text"] for r in sorted(page.records, key=lambda r: (r.created_at, r.id))]

    async def runs(self, key: str | None = None) -> list[dict[str, Any]]:
        rows = await self.lab.fetch("SELECT * FROM automation_log WHERE tenant_id = $1 AND record_id = $2 AND ($3::text IS NULL OR automation_key = $3) ORDER BY at, id", self.id, key)
        return [{**dict(r), "steps": json.loads(r["steps"]), "detail": json.loads(r["detail"])} for r in rows]

    async def later(self, **much: float) -> int:
        """The tenant's clock stands so much later: what is due goes on."""
        self.at += timedelta(**much)
        return await resuming.run_due(await self.lab.system(at=self.at))

    async def value(self, name: str) -> Any:
        return (await self.lab.get("order", self.id)).values[name]


@pytest_asyncio.fixture
async def order(lab):
    async with tenant_transaction(lab.tenant_id) as conn:  # what other tests left waiting
        await conn.execute("UPDATE automation_log SET status = 'cancelled' WHERE tenant_id = $1 AND status IN ('waiting', 'queued')", lab.tenant_id)

    async def make(**values: Any) -> Order:
        values.setdefault("name", "o")
        return Order(lab, await lab.make("order", **values), (await lab.ctx()).now)

    return make


async def lines(lab, order: Order, *prices: int) -> list[Any]:
    return [await lab.make("line", name=f"l{p}", price=p, order=str(order.id)) for p in prices]


# ---- branches and loops ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "expected"), [(5, ["small!", "after"]), (50, ["big", "after"]), (500, ["huge", "after"])])
async def test_a_branch_goes_one_way_and_on_behind_it(amount, expected, order):
    one = await order(amount=amount)
    await one.change(note="branch")
    assert sorted(await one.logs()) == sorted(expected)
    [run] = await one.runs()
    assert (run["status"], run["trigger"], run["error"]) == ("done", "update", None)
    assert [s["way"] for s in run["steps"] if "way" in s] == (["else"] if amount == 5 else ["then", "then" if amount == 500 else "else"])
    assert run["steps"][-1]["at"] == [1] and run["steps"][-1]["effects"][0]["entity"] == "log" and run["steps"][-1]["inputs"]["values.log"]["text"] == "after"


async def test_each_child_that_matches(lab, order):
    one = await order()
    made = await lines(lab, one, 1, 3, 9)
    await one.change(note="each")
    assert [(await lab.get("line", i)).values["mark"] for i in made] == [None, "cheap o", "dear"]
    assert await one.value("count") == 1


async def test_too_many_children_fail_and_leave_nothing(lab, order):
    one = await order()
    made = await lines(lab, one, 1, 2, 3)
    with pytest.raises(Conflict):
        await one.change(note="few")
    assert await one.value("note") is None and (await lab.get("line", made[0])).values["mark"] is None
    [run] = await one.runs()
    assert run["status"] == "undone" and "more than 2" in run["error"]


# ---- waits ----------------------------------------------------------------------------------------------------------------


async def test_waiting_on_the_tenants_clock(order):
    one = await order()
    await one.change(note="later")
    assert await one.logs() == ["now"]
    [run] = await one.runs()
    assert run["status"] == "waiting" and abs(run["due_at"] - one.at - timedelta(days=2)) < timedelta(minutes=1)
    assert await one.later(days=1) == 0 and await one.logs() == ["now"]
    assert await one.later(days=1, minutes=1) == 1 and await one.logs() == ["now", "two days"]
    assert await one.later(hours=2) == 1 and await one.logs() == ["now", "at last"]
    [run] = await one.runs()
    assert run["status"] == "done" and run["state"] is None and [s["at"] for s in run["steps"]] == [[0], [1], [2], [3], [4]]
    assert await one.later(days=9) == 0


async def test_a_wait_inside_a_branch_knows_what_was(order):
    one = await order(amount=1, note="x")
    await one.change(note="inside")
    await one.change(amount=0)  # the way is not chosen again
    await one.later(days=1, minutes=1)
    assert sorted(await one.logs()) == ["a", "b", "c"]  # old() is still what was before the change that began it


async def test_until_a_date_that_moves(lab, order):
    due = (await lab.ctx()).today + timedelta(days=100)
    one = await order(due=due.isoformat())
    await one.change(note="until")
    [run] = await one.runs()
    assert run["due_at"] == datetime.combine(due - timedelta(days=2), time(16), UTC)  # midnight in Shanghai, a day before
    await one.change(due=(due + timedelta(days=10)).isoformat())
    one.at = run["due_at"] + timedelta(minutes=1)
    await one.later()
    assert await one.logs() == []
    await one.change(due=one.at.date().isoformat())
    await one.later()
    assert await one.logs() == ["day before"]


async def test_until_something_is_so_or_time_is_over(order):
    one, two, three = await order(), await order(), await order()
    await one.change(note="paid")
    await two.change(note="paid")
    await three.change(note="strict")
    assert await one.later(days=1) == 3 and await one.logs() == []  # looked, and wait on
    await one.change(paid=True)  # wakes the run
    assert await one.later(minutes=1) == 1
    assert await one.logs() == ["paid"]
    two.at = three.at = one.at
    await two.later(days=5)
    assert await two.logs() == ["reminder"] and await three.logs() == []
    assert [r["status"] for r in await three.runs()] == ["stopped"]


async def test_as_a_job_of_the_worker(order):
    one = await order()
    await one.change(note="later")
    async with tenant_transaction(one.lab.tenant_id) as conn:
        await conn.execute("UPDATE tenant SET clock_offset_seconds = 3 * 86400 WHERE id = $1", one.lab.tenant_id)
    try:
        assert await resuming.wake_due() >= 1
        assert await drain() >= 1
        assert (await one.logs())[:2] == ["now", "two days"]
    finally:
        async with tenant_transaction(one.lab.tenant_id) as conn:
            await conn.execute("UPDATE tenant SET clock_offset_seconds = 0 WHERE id = $1", one.lab.tenant_id)


async def test_a_record_that_is_gone_ends_the_run(order):
    one = await order()
    await one.change(note="later")
    await execute(await one.lab.ctx(), ops.Delete(entity="order", id=one.id))
    await one.later(days=3)
    [run] = await one.runs()
    assert (run["status"], run["error"]) == ("stopped", "The record was deleted meanwhile.")


async def test_one_run_at_a_time_where_the_rule_says_so(order):
    one = await order()
    await one.change(note="single")
    await one.change(amount=1)
    assert len(await one.runs("single")) == 1
    await one.later(days=1, minutes=1)
    assert await one.logs() == ["once"]
    two = await order()
    await two.change(note="anew")
    await two.change(hours=12, amount=1)
    assert [r["status"] for r in await two.runs("anew")] == ["stopped", "waiting"]
    await two.later(days=1, minutes=1)
    assert await two.logs() == []
    await two.later(hours=12)
    assert await two.logs() == ["anew"]


async def test_waiting_runs_do_not_call_each_other_for_ever(order):
    one = await order()
    await one.change(note="ring")
    for _ in range(12):
        await one.later(minutes=2)
    assert 1 <= len(await one.runs()) <= 3 and len(await one.logs()) <= 1


# ---- what goes wrong ------------------------------------------------------------------------------------------------------


async def test_a_step_is_tried_again_later(order):
    one = await order()
    await one.change(note="again")
    assert await one.logs() == ["before"] and await one.value("note") == "again"
    [run] = await one.runs()
    assert run["status"] == "waiting" and "Not paid yet" in run["error"] and run["steps"][-1]["error"]
    await one.later(minutes=11)
    assert [r["status"] for r in await one.runs()] == ["waiting"]
    await one.change(paid=True)
    assert await one.later(minutes=11) == 0  # three times as long
    assert await one.later(minutes=30) == 1
    assert await one.logs() == ["before", "shipped"] and [r["status"] for r in await one.runs()] == ["done"]


async def test_and_given_up_after_so_many_times(order):
    one = await order()
    await one.change(note="again")
    for _ in range(4):
        await one.later(hours=3)
    [run] = await one.runs()
    assert run["status"] == "failed" and await one.logs() == ["before"] and len([s for s in run["steps"] if "error" in s]) == 3


async def test_a_rule_whose_failure_lets_the_change_stand(order):
    one = await order()
    await one.change(note="keep")
    assert await one.value("note") == "keep" and await one.logs() == []
    assert [r["status"] for r in await one.runs()] == ["failed"]


async def test_a_failure_undoes_everything_and_the_log_knows(order):
    one = await order()
    with pytest.raises(InvalidInput):
        await one.change(note="broken")
    assert await one.value("note") is None and await one.logs() == []
    [run] = await one.runs()
    assert (run["status"], run["steps"][-1]["at"]) == ("undone", [1]) and "Not paid yet" in run["error"]


async def test_after_a_wait_what_was_done_before_the_failure_stands(order):
    one = await order()
    await one.change(note="late")
    await one.later(days=1, minutes=1)
    [run] = await one.runs()
    assert run["status"] == "failed" and await one.logs() == ["one"] and json.loads(run["state"])["place"] == [2]


async def test_stop_after(order):
    one = await order()
    await one.change(note="first")
    assert await one.logs() == ["first"]


async def test_under_a_new_revision_a_run_keeps_its_steps_or_ends(database):
    lab = await make_lab(bundle(), people=False)
    runs, due = [], ((await lab.ctx()).today + timedelta(days=31)).isoformat()
    for note in ("later", "until", "late"):
        runs.append(Order(lab, await lab.make("order", name="o", due=due), (await lab.ctx()).now))
        await runs[-1].change(note=note)
    changed = bundle()
    by_key = {a["key"]: a for a in changed["automations"]}
    by_key["later"]["do"] = [entry("new steps")]
    by_key["until"]["active"] = False
    changed["pipelines"][0]["transitions"][0]["key"] = "send"
    changed["automations"] = [a for a in changed["automations"] if "ship" not in json.dumps(a)] + [{**by_key["late"], "do": [entry("other")]}]
    await lab.publish(changed)
    for one in runs:
        one.at += timedelta(days=60)
    await runs[0].later()
    assert await runs[0].logs() == ["now", "two days"]  # as it began
    found = [(await one.runs())[0] for one in runs]
    assert [(r["status"], r["error"]) for r in found[1:]] == [
        ("stopped", "The automation was switched off or removed meanwhile."), ("stopped", "The configuration has changed, and the remaining steps do not fit it any more."),
    ]  # fmt: skip


# ---- definitions ----------------------------------------------------------------------------------------------------------


def problems(*automations: Any) -> list[tuple[str, str]]:
    try:
        parse_bundle(bundle(list(automations)))
    except InvalidDefinition as error:
        return [(p.path, p.code) for p in error.problems]
    return []


def test_what_is_wrong_with_steps_is_said_where_it_stands():
    assert problems(automation("a", [{"action": "branch", "if": "amount > 1", "then": [{"action": "set", "values": {"nothing": "1"}}]}])) == [("automations[a].do[0].then[0].values[nothing]", "unknown_field")]
    assert problems(automation("a", [{"action": "each", "of": "lines", "do": [{"action": "set", "values": {"mark": "amount"}}]}]))[0][0] == "automations[a].do[0].do[0].values.mark"
    assert problems(automation("a", [{"action": "each", "of": "liens", "do": [entry("x")]}])) == [("automations[a].do[0].of", "unknown_relation")]
    assert problems(automation("a", [{"action": "each", "of": "lines", "where": "amount > 1", "do": [{"action": "warn", "message": label("x")}]}]))[0][0] == "automations[a].do[0].where"
    assert [c for _, c in problems(automation("a", [{"action": "branch", "then": [entry("x")]}]))] == ["no_condition"]
    assert [c for _, c in problems(automation("a", [{"action": "each", "of": "lines"}]))] == ["no_steps"]
    assert [c for _, c in problems(automation("a", [{"action": "each", "of": "lines", "do": [{"action": "wait", "days": 1}]}]))] == ["cannot_wait"]
    assert [c for _, c in problems(automation("a", [{"action": "wait"}]))] == ["no_time"]
    assert problems(automation("a", [{"action": "wait", "until": "name"}]))[0][0] == "automations[a].do[0].until"
    assert problems(automation("a", [{**entry("x"), "then": [entry("y")]}]))[0][1] == "unknown_property"
    assert [c for _, c in problems(automation("a", [{"action": "warn", "message": label("x"), "retry": {"times": 1}}]))] == ["cannot_retry"]
    assert [c for _, c in problems(automation("a", [{"action": "wait", "days": 1}], on={"trigger": "before_save"}))] == ["cannot_wait", "not_before_save"]
    made = [{**entry("x"), "as": "made"}, {"action": "branch", "if": "paid", "then": [{"action": "set", "target": "result.made", "values": {"text": "result.made.order.name"}}]}]
    assert problems(automation("a", made)) == []
    assert [c for _, c in problems(automation("a", [made[1]]))] == ["unknown_result"]


def test_steps_survive_being_written_and_read():
    raw = bundle()
    assert bundle_to_raw(parse_bundle(raw))["automations"] == raw["automations"]


def test_a_field_knows_the_steps_that_use_it():
    raw = bundle([
        automation("a", [{"action": "each", "of": "lines", "where": "price > 1", "do": [{"action": "branch", "if": "price > 5", "then": [{"action": "set", "values": {"mark": "order.name"}}]}]}]),
    ])  # fmt: skip
    assert len(usages(raw, "entities[line].fields[price]")) == 2
    assert len(usages(raw, "entities[line].fields[mark]")) == 1
    assert any("automations" in u.path for u in usages(raw, "entities[order].fields[name]"))


# ---- all or nothing -------------------------------------------------------------------------------------------------------

_OK = {"set": {"action": "set", "values": {"count": "coalesce(count, 0) + 1"}}, "log": entry("x"), "lines": {"action": "each", "of": "lines", "do": [{"action": "set", "values": {"mark": "concat(coalesce(mark, ''), 'y')"}}]}, "tell": {"action": "notify", "to": ["role:admin"], "title": label("x")}}
_BAD = {"action": "transition", "transition": "never"}


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(effects=st.lists(st.sampled_from(sorted(_OK)), min_size=1, max_size=5), fails_at=st.integers(0, 6), nested=st.booleans())
async def test_a_transition_does_all_its_effects_or_none(all_or_none, effects, fails_at, nested):
    """A failure injected at any step, also inside a branch."""
    lab, publish = all_or_none
    steps: list[Any] = [_OK[name] for name in effects]
    fails = fails_at < len(steps)
    if fails:
        steps.insert(fails_at, {"action": "branch", "if": "id != null", "then": [entry("y"), _BAD]} if nested else _BAD)
    await publish(steps)
    record = await lab.make("order", name="o", paid=True)
    await lab.make("line", name="l", price=1, order=str(record))
    before = await _world(lab, record)
    ctx = await lab.ctx()
    try:
        await execute(ctx, ops.Transition(entity="order", id=record, key="ship"))
    except AppError:
        assert fails
        assert await _world(lab, record) == before
        return
    assert not fails
    after = await _world(lab, record)
    assert after["state"] == "sent" and after["count"] == (effects.count("set") or None) and after["marks"] == ["y" * effects.count("lines") or None]
    assert after["logs"] == effects.count("log") and after["notes"] - before["notes"] == effects.count("tell")


@pytest_asyncio.fixture(scope="module")
async def all_or_none(database):
    lab = await make_lab(bundle([]), people=False)

    async def publish(steps: list[Any]) -> None:
        changed = bundle([])
        changed["pipelines"][0]["transitions"] += [{"key": "never", "label": label("Never"), "from": ["*"], "to": "open", "guard": "name == 'nobody'", "guard_message": label("Never")}]
        changed["pipelines"][0]["transitions"][0]["effects"] = steps
        if (await lab.system()).config.bundle.pipelines[0].transitions[0].effects != parse_bundle(changed).pipelines[0].transitions[0].effects:
            await lab.publish(changed)

    return lab, publish


async def _world(lab, record) -> dict[str, Any]:
    """Everything that the effects could have changed."""
    rows = await lab.fetch("SELECT version, state FROM record WHERE tenant_id = $1 AND id = $2", record)
    children = await execute(await lab.system(), ops.List(entity="line", filter={"field": "order", "op": "eq", "value": str(record)}, limit=50))
    logs = await execute(await lab.system(), ops.List(entity="log", limit=1, count="exact", filter={"field": "order", "op": "eq", "value": str(record)}))
    counted = {}
    for name, table in (("notes", "notification"), ("outbox", "outbox"), ("stages", "stage_history"), ("events", "record_event")):
        counted[name] = (await lab.fetch("SELECT count(*) FROM " + table + " WHERE tenant_id = $1"))[0][0]  # noqa: S608  names of this line
    return {"version": rows[0]["version"], "state": rows[0]["state"], "count": (await lab.get("order", record)).values["count"], "marks": [r.values["mark"] for r in children.records], "logs": logs.count.value, **counted}
