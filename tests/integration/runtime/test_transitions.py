"""Moving along a pipeline: who, when, with what, and what follows; all or nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from saas.db import count_queries, query_count, tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from saas.i18n import use_locale
from saas.runtime import execute, records
from saas.runtime import operations as ops
from saas.runtime.acts import Act

_names = iter(f"Deal {i}" for i in range(100000))


async def deal(lab, by="seller", **values):
    values.setdefault("name", next(_names))
    return (await execute(await lab.ctx(by), ops.Create(entity="deal", values=values))).record


async def move(lab, record, key, by="seller", version=None, at=None, **values):
    return await execute(await lab.ctx(by, at=at), ops.Transition(entity=record.entity, id=record.id, key=key, values=values, version=version))


async def problems(awaitable) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        await awaitable
    return {p.field: p.code for p in caught.value.problems}


async def everything(lab) -> list[int]:
    """How many rows of each kind the tenant has; nothing may be left of what failed."""
    tables = ("record", "record_event", "stage_history", "search_token", "unique_value", "record_link", "notification", "automation_log")
    [found] = await lab.fetch("SELECT " + ", ".join(f"(SELECT count(*) FROM {t} WHERE tenant_id = $1)" for t in tables))  # noqa: S608
    return [*found, *[r[0] for r in await lab.fetch("SELECT sum(value) FROM counter WHERE tenant_id = $1")], *[r[0] for r in await lab.fetch("SELECT sum(version) FROM record WHERE tenant_id = $1")]]


async def test_the_first_stage_is_the_initial_one(lab):
    made = await deal(lab)
    assert made.state == made.values["stage"] == "open" and made.display["stage"] == "Open"
    assert {t.key for t in made.can.transitions} == {"offer", "win", "lose", "postpone", "break", "phone"}


async def test_required_fields_are_asked_for_and_stamped_ones_set(lab):
    made = await deal(lab)
    offer = next(t for t in made.can.transitions if t.key == "offer")
    assert offer.missing == ("amount",) and offer.ask == ("comment",)
    assert await problems(move(lab, made, "offer")) == {"amount": "required"}
    moved = (await move(lab, made, "offer", amount="12.50", comment="fine")).record
    assert moved.state == "offer" and moved.values["chance"] == 50 and moved.values["amount"] == {"amount": "12.50", "currency": "CNY"}
    assert moved.version == 2


async def test_the_guard_speaks_the_readers_language(lab):
    made = await deal(lab, amount=50)
    winner = str(lab.people["chief"])
    with pytest.raises(InvalidInput) as caught:
        await move(lab, made, "win", winner=winner)
    assert str(caught.value.message) == "Amount too small" and caught.value.problems[0].code == "guard"
    ctx = (await lab.ctx("seller")).replace(locale="zh_CN")
    with use_locale("zh_CN"), pytest.raises(InvalidInput) as caught:
        await execute(ctx, ops.Transition(entity="deal", id=made.id, key="win", values={"winner": winner}))
    assert str(caught.value.message) == "Amount too small（中）"
    with use_locale("zh_CN"), pytest.raises(Conflict) as caught:
        await execute(ctx, ops.Transition(entity="deal", id=made.id, key="reopen", values={"satisfaction": 5}))
    assert "Reopen（中）" in str(caught.value.message)


async def test_the_guard_sees_the_new_values(lab):
    made = await deal(lab, amount=50)
    moved = await move(lab, made, "win", winner=str(lab.people["chief"]), amount=500)
    assert moved.record.state == "won" and moved.message == "Congratulations"
    assert moved.record.values["won_on"] == (await lab.ctx()).today.isoformat()


async def test_effects_run_in_order_and_see_each_others_results(lab):
    account = await lab.make("account", by="seller", name=next(_names))
    made = await deal(lab, amount=2000, account=str(account))
    before = len(await lab.fetch("SELECT 1 FROM notification WHERE tenant_id = $1 AND user_id = $2", lab.people["chief"]))
    moved = await move(lab, made, "win", winner=str(lab.people["seller"]))
    created = {e["entity"]: e["id"] for e in moved.effects if e["action"] == "create"}
    task = await lab.get("task", created["task"], by="chief")
    assert task.values["name"] == f"Thank {made.title}" and task.owner == lab.people["seller"] and task.values["deal"] == str(made.id)
    assert (await lab.get("account", account)).values["credit"] == 20
    assert moved.warnings == [f"Mind {made.title}"]
    notes = await lab.fetch("SELECT title, body, kind, record_id FROM notification WHERE tenant_id = $1 AND user_id = $2 ORDER BY id", lab.people["chief"])
    assert len(notes) == before + 1
    assert notes[-1]["title"] == f"Won {made.title}" and notes[-1]["body"] == f"Thank {made.title}" and notes[-1]["record_id"] == made.id


async def test_notifications_are_in_their_readers_language(lab):
    await lab.person("chinese_chief", ["chief"], "north", locale="zh_CN")
    made = await deal(lab, amount=200)
    await move(lab, made, "win", winner=str(lab.people["chief"]))
    [note] = await lab.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND user_id = $2 AND record_id = $3", lab.people["chinese_chief"], made.id)
    assert note["title"] == f"赢得 {made.title}"


async def test_when_an_effect_fails_nothing_happened(lab):
    account = await lab.make("account", by="seller", name=next(_names), taxno=next(_names))
    made = await deal(lab, amount=6000, account=str(account))
    before = await everything(lab)
    with pytest.raises(InvalidInput) as caught:
        await move(lab, made, "win", winner=str(lab.people["chief"]))
    assert str(caught.value.message) == "Too much"
    assert await everything(lab) == before
    assert (await lab.get("deal", made.id, by="seller")).state == "open"


async def test_stamped_values_must_fit_their_field(lab):
    made = await deal(lab)
    before = await everything(lab)
    assert set(await problems(move(lab, made, "break"))) == {"chance"}  # 500 %
    assert await everything(lab) == before


async def test_the_wrong_stage(lab):
    made = await deal(lab)
    with pytest.raises(Conflict) as caught:
        await move(lab, made, "reopen", satisfaction=5)
    assert caught.value.data["reason"] == "wrong_stage"
    with pytest.raises(NotFound):
        await move(lab, made, "nothing")


@pytest.mark.parametrize(("satisfaction", "stage"), [(5, "offer"), (4, "offer"), (3, "open"), (2, "open"), (1, "lost")])
async def test_branches(lab, satisfaction, stage):
    made = await deal(lab)
    await move(lab, made, "lose", reason="price")
    assert (await move(lab, made, "reopen", satisfaction=satisfaction)).record.state == stage


async def test_who_may(lab):
    made = await deal(lab, by="chief")
    with pytest.raises(PermissionDenied):  # the reader's role lists no transition
        await move(lab, made, "lose", by="reader", reason="x")
    with pytest.raises(PermissionDenied):  # the pipeline names the roles for this one
        await move(lab, made, "lose", by="dept_user", reason="x")
    with pytest.raises(PermissionDenied):  # allow_if: the owner only
        await move(lab, made, "postpone", by="dept_user")
    assert (await move(lab, made, "postpone", by="chief")).record.state == "open"
    assert not (await lab.get("deal", made.id, by="reader")).can.transitions
    assert {t.key for t in (await lab.get("deal", made.id, by="dept_user")).can.transitions} == {"offer", "win", "break", "phone"}
    assert (await move(lab, made, "lose", by="admin", reason="x")).record.state == "lost"


async def test_of_two_at_once_one_moves(lab):
    made = await deal(lab, amount=200)
    winner = str(lab.people["chief"])
    done = await asyncio.gather(*(move(lab, made, "win", winner=winner) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(d, ops.Change) for d in done) == 1
    assert all(isinstance(d, Conflict | ops.Change) for d in done)
    tasks = await execute(await lab.ctx("chief"), ops.List(entity="task", filter={"field": "deal", "op": "eq", "value": str(made.id)}))
    assert len(tasks.records) == 1


async def test_stage_history_has_no_gaps(lab):
    start = (await lab.ctx()).now
    made = (await execute(await lab.ctx("seller", at=start), ops.Create(entity="deal", values={"name": next(_names)}))).record
    steps = [("offer", {"amount": 5}, 2), ("lose", {"reason": "x"}, 5), ("reopen", {"satisfaction": 5}, 9)]
    for key, values, days in steps:
        await move(lab, made, key, at=start + timedelta(days=days), **values)
    await move(lab, made, "lose", at=start + timedelta(days=12), reason="y")
    rows = await lab.fetch("SELECT stage, entered_at, left_at, user_id FROM stage_history WHERE tenant_id = $1 AND record_id = $2 ORDER BY entered_at", made.id)
    assert [r["stage"] for r in rows] == ["open", "offer", "lost", "offer", "lost"]
    assert [(r["entered_at"] - start).days for r in rows] == [0, 2, 5, 9, 12]
    assert [r["left_at"] for r in rows] == [*(r["entered_at"] for r in rows[1:]), None]
    assert {r["user_id"] for r in rows} == {lab.people["seller"]}


async def test_staying_in_a_stage_opens_no_new_interval(lab):
    made = await deal(lab)
    await move(lab, made, "postpone")
    assert len(await lab.fetch("SELECT 1 FROM stage_history WHERE tenant_id = $1 AND record_id = $2", made.id)) == 1
    history = await execute(await lab.ctx("seller"), ops.History(entity="deal", id=made.id))
    assert [h.kind for h in history] == ["transition", "created"] and history[0].transition == "Postpone"


async def test_fields_beyond_those_asked_for_need_the_right_to_update(lab):
    made = await deal(lab, by="chief")
    assert await problems(move(lab, made, "lose", by="chief", reason="x", stage="won")) == {"stage": "read_only"}
    assert (await move(lab, made, "offer", by="chief", amount=5, comment="c", reason="also")).record.values["reason"] == "also"



async def test_links_to_records_the_act_holds_are_not_looked_up_again(lab):
    ctx = (await lab.ctx("chief")).replace(elevated=True)
    account, task = ctx.config.entity("account"), ctx.config.entity("task")
    async with tenant_transaction(ctx.tenant_id) as conn:
        act = Act(conn, ctx)

        async def linked(to) -> int:
            with count_queries():
                await records.create(act, task, {"name": next(_names), "account": str(to)})
                return query_count()

        mine = await records.create(act, account, {"name": next(_names)})
        other = await lab.make("account", by="chief", name=next(_names))
        assert await linked(mine.id) == await linked(other) - 1
        await records.delete(act, account, mine.id)
        assert (await problems(linked(mine.id))) == {"account": "unknown_record"}
