"""Approvals from start to end: every model, every act, races, the frozen record, definitions that change meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from saas.errors import AppError, Conflict, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.approvals import deputies, reading
from saas.runtime.approvals.reminding import remind
from saas.runtime.bulk import bulk
from saas.runtime.notifications import inbox

ORIGINS = ("page", "api", "import", "bulk", "automation", "schedule")
_names = iter(f"Purchase {i}" for i in range(100000))


async def purchase(lab, by="clerk", **values):
    values.setdefault("subject", next(_names))
    return await lab.make("purchase", by, **values)


async def start(lab, record_id, approval, by="clerk", **more):
    await execute(await lab.ctx(by), ops.StartApproval(entity="purchase", id=record_id, approval=approval, **more))


async def flow(lab, record_id, by="admin"):
    return (await reading.record_flows(await lab.ctx(by), "purchase", record_id))[0]


async def decide(lab, record_id, who, act="approve", **more):
    """One act of somebody on the newest approval of a record, on the task they see there."""
    found = await flow(lab, record_id, who)
    return await execute(await lab.ctx(who), ops.ActOnApproval(entity="purchase", id=record_id, flow=found.id, act=act, task=found.task_id, **more))


async def at_once(lab, record_id, *acts):
    """Several people act on what each of them sees now; what became of it."""
    found = [(await flow(lab, record_id, who), await lab.ctx(who), act) for who, act in acts]
    return await asyncio.gather(
        *(execute(ctx, ops.ActOnApproval(entity="purchase", id=record_id, flow=f.id, act=act, task=f.task_id, comment="word")) for f, ctx, act in found), return_exceptions=True
    )


async def mine(lab, who, box="mine"):
    return await reading.tasks(await lab.ctx(who), box, limit=200)


async def waits_for(lab, record_id, *people):
    """Whether just these have a task about the record."""
    found = {who for who in ("boss", "lead", "clerk", "legal", "finance", "finance2", "admin") if any(t.record_id == record_id for t in await mine(lab, who))}
    assert found == set(people), found


async def state(lab, record_id):
    return (await lab.get("purchase", record_id)).state


async def submitted(lab, amount=5000, **values):
    record_id = await purchase(lab, amount=amount, **values)
    await execute(await lab.ctx("clerk"), ops.Transition(entity="purchase", id=record_id, key="submit"))
    return record_id


def reason(caught):
    return caught.value.data.get("reason")


# ---- models --------------------------------------------------------------------------------------------------------------


async def test_in_sequence_with_conditions_and_the_transition_at_the_end(buying):
    """Superior, then finance and legal because of the amount; the boss is not asked."""
    record_id = await submitted(buying)
    await waits_for(buying, record_id, "lead")
    await decide(buying, record_id, "lead", comment="fine")
    await waits_for(buying, record_id, "finance", "finance2", "legal")
    await decide(buying, record_id, "finance2")
    await waits_for(buying, record_id, "legal")
    assert await state(buying, record_id) == "asked"
    await decide(buying, record_id, "legal")
    found = await flow(buying, record_id)
    assert (found.status, await state(buying, record_id)) == ("approved", "agreed")
    assert [(s.state, s.holds) for s in found.steps] == [("done", None), ("done", True), ("not_needed", False)]
    assert [e.act for e in found.events] == ["started", "approved", "approved", "approved", "not_needed", "ended_approved"]
    assert "100000" in found.steps[2].condition.replace(",", "")
    assert (await buying.get("purchase", record_id)).can.update  # open again
    note = (await _notes(buying, "clerk", record_id))[0]
    assert note["kind"] == "approval" and note["title"].startswith("Approved")


async def _notes(lab, who, record_id):
    from saas.db import tenant_transaction

    ctx = await lab.ctx(who)
    async with tenant_transaction(lab.tenant_id) as conn:
        return [r for r in await inbox(conn, ctx) if r["record_id"] == record_id]


async def test_the_amount_brings_the_boss_in_and_a_small_one_nobody_but_the_superior(buying):
    small, big = await submitted(buying, amount=10), await submitted(buying, amount=200_000)
    await decide(buying, small, "lead")
    assert await state(buying, small) == "agreed"
    for who in ("lead", "finance", "legal"):
        await decide(buying, big, who)
    await waits_for(buying, big, "boss")
    await decide(buying, big, "boss")
    assert await state(buying, big) == "agreed"


async def test_any_one_decides_and_the_others_are_not_asked_any_more(buying):
    record_id = await purchase(buying)
    await start(buying, record_id, "any_one")
    await waits_for(buying, record_id, "finance", "finance2", "legal")
    await decide(buying, record_id, "legal")
    await waits_for(buying, record_id)
    assert (await flow(buying, record_id)).status == "approved"
    other = await purchase(buying)
    await start(buying, other, "any_one")
    await decide(buying, other, "finance", "reject", comment="no")
    assert (await flow(buying, other)).status == "rejected"


async def test_two_of_four_agree_or_it_can_no_longer_be(buying):
    record_id, other = await purchase(buying), await purchase(buying)
    for made in (record_id, other):
        await start(buying, made, "two_of")
        await waits_for(buying, made, "finance", "finance2", "legal", "boss")
    await decide(buying, record_id, "boss", "reject", comment="no")
    await decide(buying, record_id, "finance")
    assert (await flow(buying, record_id)).status == "running"
    await decide(buying, record_id, "legal")
    assert (await flow(buying, record_id)).status == "approved"
    for who in ("boss", "finance", "legal"):
        assert (await flow(buying, other)).status == "running"
        await decide(buying, other, who, "reject", comment="no")
    assert (await flow(buying, other)).status == "rejected"


async def test_by_field_department_and_head(buying):
    record_id = await purchase(buying, buyer=str(buying.people["legal"]), unit=str(buying.departments["company"]))
    await start(buying, record_id, "by_field")
    await waits_for(buying, record_id, "legal")
    await decide(buying, record_id, "legal")
    await waits_for(buying, record_id, "boss")
    await decide(buying, record_id, "boss")
    await waits_for(buying, record_id, "lead")  # head of the clerk's department


async def test_when_nobody_fits(buying):
    record_id, other = await purchase(buying), await purchase(buying)
    await start(buying, record_id, "skips")
    await waits_for(buying, record_id, "boss")
    assert [s.state for s in (await flow(buying, record_id)).steps] == ["not_needed", "current"]
    with pytest.raises(Conflict) as caught:
        await start(buying, other, "stuck")
    assert reason(caught) == "nobody" and (await buying.get("purchase", other)).can.update
    unset = await purchase(buying)
    with pytest.raises(Conflict):
        await start(buying, unset, "by_field")  # the field is empty


async def test_the_applicant_among_the_approvers(buying):
    record_id = await purchase(buying, by="boss")
    await start(buying, record_id, "own", by="boss")
    assert [e.act for e in (await flow(buying, record_id)).events] == ["started", "passed"]
    await waits_for(buying, record_id, "boss")
    superior = await purchase(buying, by="lead")
    await execute(await buying.ctx("lead"), ops.Update(entity="purchase", id=superior, values={"amount": 5}))
    await execute(await buying.ctx("lead"), ops.Transition(entity="purchase", id=superior, key="submit"))
    await waits_for(buying, superior, "boss")


async def test_the_applicant_picks_a_path(buying):
    record_id = await purchase(buying, amount=100)
    with pytest.raises(InvalidInput):
        await start(buying, record_id, "pick")
    await start(buying, record_id, "pick", way="long")
    assert (await flow(buying, record_id)).way == "Long"
    await waits_for(buying, record_id, "legal")
    other = await purchase(buying, amount=900)
    with pytest.raises(InvalidInput):
        await start(buying, other, "pick", way="short")  # its condition does not hold
    await start(buying, other, "pick")  # one is left


async def test_the_applicant_names_people_within_limits(buying):
    record_id, p = await purchase(buying), buying.people
    for people in ((), (p["lead"],), (p["legal"], p["boss"], p["finance"])):
        with pytest.raises(InvalidInput):
            await start(buying, record_id, "named", people=people)
    await start(buying, record_id, "named", people=(p["legal"], p["boss"]))
    await waits_for(buying, record_id, "legal")
    await decide(buying, record_id, "legal")
    await waits_for(buying, record_id, "boss")
    other = await purchase(buying)
    await start(buying, other, "named", people=(p["legal"], p["boss"]), together=True)
    await waits_for(buying, other, "legal", "boss")


async def test_a_preview_says_what_then_happens(buying):
    record_id = await purchase(buying, amount=5000)
    steps = await reading.preview(await buying.ctx("clerk"), "purchase", record_id, "buying")
    assert [(s.state, [seat.people for seat in s.seats]) for s in steps] == [
        ("planned", [("Lead",)]), ("planned", [("Finance", "Finance2"), ("Legal",)]), ("not_needed", []),
    ]  # fmt: skip
    assert [s.state for s in await reading.preview(await buying.ctx("clerk"), "purchase", record_id, "stuck")] == ["nobody"]


# ---- acts ----------------------------------------------------------------------------------------------------------------


async def test_rejected_with_a_reason(buying):
    record_id = await submitted(buying)
    with pytest.raises(InvalidInput):
        await decide(buying, record_id, "lead", "reject")
    await decide(buying, record_id, "lead", "reject", comment="too dear")
    assert ((await flow(buying, record_id)).status, await state(buying, record_id)) == ("rejected", "refused")
    assert "too dear" in [e.comment for e in await reading.timeline(await buying.ctx("clerk"), "purchase", record_id)]


async def test_returned_to_the_applicant_corrected_and_sent_again(buying):
    record_id = await submitted(buying)
    await decide(buying, record_id, "lead", "return", comment="change the amount")
    assert await state(buying, record_id) == "draft"
    await waits_for(buying, record_id, "clerk")
    await execute(await buying.ctx("clerk"), ops.Update(entity="purchase", id=record_id, values={"amount": 20}))
    with pytest.raises(PermissionDenied):
        await decide(buying, record_id, "legal", "resubmit")
    await decide(buying, record_id, "clerk", "resubmit")  # by the transition it began with
    assert await state(buying, record_id) == "asked"
    await waits_for(buying, record_id, "lead")
    await decide(buying, record_id, "lead")
    found = await flow(buying, record_id)
    assert (found.status, found.round, len(await reading.record_flows(await buying.ctx(), "purchase", record_id))) == ("approved", 2, 1)


async def test_returned_and_submitted_by_the_button_goes_on_with_the_same(buying):
    record_id = await submitted(buying)
    await decide(buying, record_id, "lead", "return", comment="again")
    await execute(await buying.ctx("clerk"), ops.Transition(entity="purchase", id=record_id, key="submit"))
    assert ((await flow(buying, record_id)).status, (await flow(buying, record_id)).round) == ("running", 2)


async def test_returned_to_an_earlier_step(buying):
    record_id = await submitted(buying)
    await decide(buying, record_id, "lead")
    with pytest.raises(InvalidInput):
        await decide(buying, record_id, "legal", "return", to="boss", comment="x")
    await decide(buying, record_id, "legal", "return", to="lead", comment="look again")
    await waits_for(buying, record_id, "lead")
    assert (await flow(buying, record_id)).status == "running"


async def test_asking_somebody_before_and_after(buying):
    record_id = await submitted(buying, amount=10)
    p = buying.people
    for person in (p["clerk"], p["lead"], None):
        with pytest.raises(InvalidInput):
            await decide(buying, record_id, "lead", "before", person=person)
    await decide(buying, record_id, "lead", "before", person=p["legal"], comment="is it allowed?")
    await waits_for(buying, record_id, "legal")
    await decide(buying, record_id, "legal")
    await waits_for(buying, record_id, "lead")
    await decide(buying, record_id, "lead", "after", person=p["finance"])
    await waits_for(buying, record_id, "finance")
    await decide(buying, record_id, "finance")
    assert await state(buying, record_id) == "agreed"
    assert [e.act for e in (await flow(buying, record_id)).events][:5] == ["started", "asked_before", "approved", "asked_after", "approved"]


async def test_whoever_was_asked_as_well_can_refuse(buying):
    record_id = await submitted(buying, amount=10)
    await decide(buying, record_id, "lead", "before", person=buying.people["legal"])
    await decide(buying, record_id, "legal", "reject", comment="no")
    assert (await flow(buying, record_id)).status == "rejected"


async def test_passed_on_to_somebody_else(buying):
    record_id = await submitted(buying, amount=10)
    await decide(buying, record_id, "lead", "delegate", person=buying.people["finance"])
    await waits_for(buying, record_id, "finance")
    await decide(buying, record_id, "finance")
    assert await state(buying, record_id) == "agreed"


async def test_a_deputy_for_some_days(buying):
    lab = buying
    ctx = await lab.ctx("lead")
    record_id = await submitted(lab, amount=10)
    with pytest.raises(InvalidInput):
        await deputies.set_deputy(ctx, lab.people["lead"], ctx.today, ctx.today)
    made = await deputies.set_deputy(ctx, lab.people["legal"], ctx.today, ctx.today + timedelta(days=2))
    assert [t.for_name for t in await mine(lab, "legal") if t.record_id == record_id] == ["Lead"]
    later = await lab.ctx("legal", at=ctx.now + timedelta(days=4))
    assert not [t for t in await reading.tasks(later) if t.record_id == record_id]
    await decide(lab, record_id, "legal")
    [event] = [e for e in (await flow(lab, record_id)).events if e.act == "approved"]
    assert (event.actor, event.for_name) == ("Legal", "Lead")
    with pytest.raises(NotFound):
        await deputies.remove_deputy(await lab.ctx("clerk"), made)
    await deputies.remove_deputy(ctx, made)


async def test_nobody_makes_themselves_the_deputy_of_somebody_with_more_rights(buying):
    """Who looks after people names deputies of those whose roles they could give, and never themselves."""
    lab = buying
    carer = await lab.person("carer", ["carer"], "company")
    ctx = await lab.ctx("carer")
    days = (ctx.today + timedelta(days=900), ctx.today + timedelta(days=901))
    for deputy in (carer, lab.people["clerk"], None):
        with pytest.raises(PermissionDenied):
            await deputies.set_deputy(ctx, deputy, *days, user_id=lab.people["admin"])
    with pytest.raises(InvalidInput):
        await deputies.set_deputy(ctx, carer, *days, user_id=lab.people["boss"])
    made = await deputies.set_deputy(ctx, lab.people["clerk"], *days, user_id=lab.people["boss"])
    admin = await lab.ctx("admin")
    own = await deputies.set_deputy(admin, lab.people["boss"], *days)
    with pytest.raises(PermissionDenied):
        await deputies.remove_deputy(ctx, own)
    await deputies.remove_deputy(ctx, made)
    await deputies.remove_deputy(admin, own)
    await deputies.remove_deputy(admin, await deputies.set_deputy(admin, lab.people["admin"], *days, user_id=lab.people["boss"]))


async def test_withdrawn_by_the_applicant_only(buying):
    record_id = await submitted(buying)
    with pytest.raises(PermissionDenied):
        await decide(buying, record_id, "legal", "withdraw")
    await decide(buying, record_id, "clerk", "withdraw", comment="not needed")
    assert ((await flow(buying, record_id)).status, await state(buying, record_id)) == ("withdrawn", "draft")
    await waits_for(buying, record_id)


async def test_what_the_definition_does_not_allow(buying):
    record_id = await purchase(buying)
    await start(buying, record_id, "bare")
    assert (await flow(buying, record_id, "boss")).acts == ("approve", "reject", "comment")
    for act, who in (("return", "boss"), ("before", "boss"), ("after", "boss"), ("delegate", "boss"), ("withdraw", "clerk")):
        with pytest.raises(PermissionDenied):
            await decide(buying, record_id, who, act, comment="x", person=buying.people["legal"])


async def test_comments_and_who_may_know(buying):
    record_id = await submitted(buying)
    await decide(buying, record_id, "legal", "comment", comment="I know the seller")
    assert (await _notes(buying, "lead", record_id))[0]["body"] == "I know the seller"
    found = await flow(buying, record_id)
    with pytest.raises(NotFound):
        await reading.record_flows(await buying.ctx("outside"), "purchase", record_id)
    with pytest.raises(NotFound):
        await execute(await buying.ctx("outside"), ops.ActOnApproval(entity="purchase", id=record_id, flow=found.id, act="comment", comment="me, too"))
    await decide(buying, record_id, "lead", "delegate", person=buying.people["outside"])
    seen = (await reading.record_flows(await buying.ctx("outside"), "purchase", record_id))[0]  # the configuration asked them
    assert {s.condition for s in seen.steps} == {""} and {s.holds for s in seen.steps} == {None}  # it would tell of the amount
    assert (await flow(buying, record_id, "legal")).steps[1].condition
    title, fields = await reading.shown_fields(await buying.ctx("outside"), "purchase", record_id, seen.id)
    assert fields == [("Subject", title), ("Amount", "5,000.00")]


async def test_not_asked_or_not_any_more(buying):
    record_id = await submitted(buying, amount=10)
    found = await flow(buying, record_id, "lead")
    for who in ("clerk", "legal", "admin"):
        with pytest.raises(PermissionDenied):
            await execute(await buying.ctx(who), ops.ActOnApproval(entity="purchase", id=record_id, flow=found.id, act="approve", task=found.task_id))
    await decide(buying, record_id, "lead")
    with pytest.raises(Conflict) as caught:
        await execute(await buying.ctx("lead"), ops.ActOnApproval(entity="purchase", id=record_id, flow=found.id, act="approve", task=found.task_id))
    assert reason(caught) == "decided"
    with pytest.raises(NotFound):
        await execute(await buying.ctx("lead"), ops.ActOnApproval(entity="purchase", id=await purchase(buying), flow=found.id, act="comment", comment="x"))


async def test_an_administrator_puts_somebody_else_in_the_place(buying):
    record_id = await submitted(buying, amount=10)
    with pytest.raises(PermissionDenied):
        await decide(buying, record_id, "boss", "reassign", person=buying.people["legal"])
    with pytest.raises(InvalidInput):
        await decide(buying, record_id, "admin", "reassign", person=buying.people["clerk"])
    await decide(buying, record_id, "admin", "reassign", person=buying.people["legal"])
    await waits_for(buying, record_id, "legal")


async def test_reminded_once_when_it_is_due(buying):
    record_id = await submitted(buying, amount=10)
    ctx = await buying.system()
    await remind(ctx.replace(fixed_now=ctx.now + timedelta(hours=19)))
    assert len(await _notes(buying, "lead", record_id)) == 1
    for hours in (21, 22):
        await remind(ctx.replace(fixed_now=ctx.now + timedelta(hours=hours)))
    assert [n["title"].split(":")[0] for n in await _notes(buying, "lead", record_id)] == ["Still to be decided", "Please decide"]


# ---- all or nothing ------------------------------------------------------------------------------------------------------


async def test_a_last_decision_whose_transition_fails_is_none(buying):
    record_id = await submitted(buying, amount=10, subject="cursed")
    with pytest.raises(InvalidInput):
        await decide(buying, record_id, "lead")
    assert (await flow(buying, record_id)).status == "running"
    await waits_for(buying, record_id, "lead")
    await decide(buying, record_id, "lead", "reject", comment="cursed")


async def test_two_who_decide_at_once(buying):
    """Any one of two agrees, one word counts; all have to agree, both count."""
    for _ in range(3):
        record_id = await purchase(buying)
        await start(buying, record_id, "any_one")
        results = await at_once(buying, record_id, ("legal", "approve"), ("finance", "reject"), ("finance2", "approve"))
        assert sorted(isinstance(r, Conflict) for r in results) == [False, True, True], results
        ended = [e.act for e in (await flow(buying, record_id)).events if e.act.startswith("ended")]
        assert len(ended) == 1
    record_id = await submitted(buying)
    await decide(buying, record_id, "lead")
    assert not [r for r in await at_once(buying, record_id, ("legal", "approve"), ("finance", "approve")) if isinstance(r, Exception)]
    assert await state(buying, record_id) == "agreed"


async def test_a_decision_and_a_withdrawal_at_once(buying):
    for _ in range(3):
        record_id = await submitted(buying, amount=10)
        results = await at_once(buying, record_id, ("lead", "approve"), ("clerk", "withdraw"))
        assert sum(isinstance(r, AppError) for r in results) == 1, results
        ending = ((await flow(buying, record_id)).status, await state(buying, record_id))
        assert ending in (("approved", "agreed"), ("withdrawn", "draft"))


async def test_started_twice_at_once(buying):
    record_id = await purchase(buying)
    results = await asyncio.gather(*(start(buying, record_id, key) for key in ("any_one", "bare", "any_one", "bare")), return_exceptions=True)
    assert sum(r is None for r in results) == 1 and all(r is None or reason_of(r) == "running" for r in results), results


def reason_of(error):
    return error.data.get("reason")


async def test_an_edit_that_waited_for_the_start_sees_the_record_frozen(buying):
    """Whoever waits for the record's lock must not act on what was true before."""
    outcomes = set()
    for _ in range(4):
        record_id = await purchase(buying)
        edit = execute(await buying.ctx("boss"), ops.Update(entity="purchase", id=record_id, values={"subject": "changed"}))
        results = await asyncio.gather(start(buying, record_id, "bare"), edit, return_exceptions=True)
        changed = (await buying.get("purchase", record_id)).values["subject"] == "changed"
        assert results[0] is None and changed == (not isinstance(results[1], Conflict)), results
        outcomes.add(changed)
        events = await buying.fetch("SELECT max(e.at) < max(f.started_at) OR count(e.*) = 1 FROM record_event e JOIN approval_flow f ON f.record_id = e.record_id WHERE e.tenant_id = $1 AND e.record_id = $2", record_id)
        assert events[0][0] or changed


# ---- the frozen record ---------------------------------------------------------------------------------------------------


async def test_frozen_on_every_way_into_a_record(buying):
    lab = buying
    record_id = await submitted(lab)
    child = await purchase(lab, parent=str(record_id))
    ctx = await lab.ctx("boss")
    everybody = [c.replace(origin=origin) for c in (ctx, await lab.ctx("admin"), await lab.system(), ctx.replace(elevated=True)) for origin in ORIGINS]
    for act in (
        ops.Update(entity="purchase", id=record_id, values={"subject": "x"}), ops.Update(entity="purchase", id=record_id, values={"owner": str(lab.people["boss"])}),
        ops.Transition(entity="purchase", id=record_id, key="reopen"), ops.Delete(entity="purchase", id=record_id),
        ops.Update(entity="purchase", id=record_id, values={"note": "meddle"}),  # an automation that would go on to the subject
    ):  # fmt: skip
        for who in everybody:
            with pytest.raises(Conflict) as caught:
                await execute(who, act)
            assert reason(caught) == "in_approval", act
    other = await purchase(lab)
    for survivor, loser in ((record_id, other), (other, record_id)):
        with pytest.raises(Conflict) as caught:
            await execute(await lab.ctx("admin"), ops.Merge(entity="purchase", survivor=survivor, losers=[loser]))
        assert reason(caught) == "in_approval"
    report = await bulk(await lab.ctx("boss"), "purchase", "update", ids=[record_id], values={"subject": "y"})
    assert [f["id"] for f in report["failed"]] == [str(record_id)]
    assert not (await lab.get("purchase", record_id)).can.delete and not (await lab.get("purchase", record_id)).can.transitions
    await execute(ctx, ops.Update(entity="purchase", id=record_id, values={"note": "open", "subject": (await lab.get("purchase", record_id)).values["subject"]}))
    assert (await lab.get("purchase", record_id)).values["note"] == "open"
    frozen_child = await purchase(lab, parent=str(child))
    await start(lab, frozen_child, "bare")
    with pytest.raises(Conflict):
        await execute(ctx, ops.Delete(entity="purchase", id=child))  # would take the frozen one along


async def test_what_lives_inside_the_record_is_closed_with_it(buying):
    record_id = await purchase(buying, amount=10)
    item, gone, twin = [await buying.make("item", "clerk", name=name, of=str(record_id)) for name in ("chair", "gone", "chair")]
    piece = await buying.make("piece", "clerk", name="leg", item=str(item))
    await execute(await buying.ctx("boss"), ops.Delete(entity="item", id=gone))
    await execute(await buying.ctx("clerk"), ops.Transition(entity="purchase", id=record_id, key="submit"))
    for who in (await buying.ctx("boss"), await buying.system()):
        for act in (
            ops.Update(entity="item", id=item, values={"name": "throne"}), ops.Delete(entity="item", id=item), ops.Create(entity="item", values={"name": "x", "of": str(record_id)}),
            ops.Restore(entity="item", id=gone), ops.Update(entity="piece", id=piece, values={"name": "arm"}), ops.Create(entity="piece", values={"name": "x", "item": str(item)}), ops.Delete(entity="piece", id=piece),
        ):  # fmt: skip
            with pytest.raises(Conflict) as caught:
                await execute(who, act)
            assert reason(caught) == "in_approval"
    with pytest.raises(Conflict) as caught:
        await execute(await buying.ctx("admin"), ops.Merge(entity="item", survivor=item, losers=[twin]))
    assert reason(caught) == "in_approval"
    many = await execute(await buying.ctx("boss"), ops.CreateMany(entity="item", rows=[{"name": str(n), "of": str(record_id)} for n in range(3)]))
    assert all(isinstance(m, Conflict) for m in many)
    await decide(buying, record_id, "lead")
    await execute(await buying.ctx("boss"), ops.Update(entity="item", id=item, values={"name": "throne"}))


async def test_a_guarded_transition_is_done_by_the_approval_only(buying):
    record_id, free = await purchase(buying, amount=5), await purchase(buying)
    for who in ("boss", "admin"):
        with pytest.raises(Conflict) as caught:
            await execute(await buying.ctx(who), ops.Transition(entity="purchase", id=record_id, key="agree"))
        assert reason(caught) == "needs_approval"
    assert "agree" not in [o.key for o in (await buying.get("purchase", record_id)).can.transitions]
    await execute(await buying.ctx("boss"), ops.Transition(entity="purchase", id=free, key="agree"))  # the condition does not hold


async def test_an_automation_starts_one(buying):
    record_id = await purchase(buying, subject="automatic")
    await waits_for(buying, record_id, "finance", "finance2", "legal")
    assert (await flow(buying, record_id)).applicant == "Clerk"


# ---- definitions that change ---------------------------------------------------------------------------------------------


async def test_a_running_one_keeps_the_definition_it_began_with():
    from tests.approval_bundles import approval_bundle, buying_lab

    lab = await buying_lab()
    record_id, other = await submitted(lab), await submitted(lab, amount=10)
    bundle = approval_bundle()
    bundle["approvals"] = [a for a in bundle["approvals"] if a["key"] != "buying"]  # nobody asks any more
    bundle["pipelines"][0]["transitions"] = [t for t in bundle["pipelines"][0]["transitions"] if t["key"] != "refuse"]
    await lab.publish(bundle)
    await waits_for(lab, record_id, "lead")
    for who in ("lead", "legal", "finance"):
        with pytest.raises(Conflict):
            await execute(await lab.ctx("boss"), ops.Update(entity="purchase", id=record_id, values={"subject": "x"}))
        await decide(lab, record_id, who)
    assert await state(lab, record_id) == "agreed"
    await decide(lab, other, "lead", "reject", comment="no")  # its transition is gone: it ends without
    assert ((await flow(lab, other)).status, await state(lab, other)) == ("rejected", "asked")
    assert [e.act for e in (await flow(lab, other)).events][-1] == "transition_gone"


async def test_people_who_leave_hand_their_tasks_over():
    from saas.runtime.succession import deactivate
    from tests.approval_bundles import buying_lab

    lab = await buying_lab()
    record_id = await submitted(lab, amount=10)
    await deactivate(await lab.ctx("admin"), lab.people["lead"], successor_id=lab.people["legal"])
    await waits_for(lab, record_id, "legal")
    [row] = await lab.fetch("SELECT head_id FROM department WHERE tenant_id = $1 AND key = 'sales'")
    assert row[0] == lab.people["legal"]


async def test_without_a_successor_the_administrators_decide():
    """Where others are asked the same nobody else is; an administrator is told, and can put somebody else in the place."""
    from saas.runtime.succession import deactivate, duties
    from tests.approval_bundles import buying_lab

    lab = await buying_lab()
    admin = await lab.ctx("admin")
    alone, shared, first = await submitted(lab, amount=10), await purchase(lab), await submitted(lab, amount=20)
    await start(lab, shared, "any_one")
    await decide(lab, first, "lead", "before", person=lab.people["legal"])  # waits for another word before it comes back
    returned = await purchase(lab, "lead")
    await start(lab, returned, "bare", "lead")
    assert (await duties(admin, lab.people["lead"])).asked == 2
    await deactivate(admin, lab.people["lead"], successor_id=None)
    await waits_for(lab, alone, "admin")
    assert [n["title"] for n in await _notes(lab, "admin", alone)] and "has left" not in (await _notes(lab, "admin", alone))[0]["title"]
    assert (await flow(lab, alone)).events[-1].act == "left_open"
    await decide(lab, first, "legal")
    await waits_for(lab, first, "admin")
    await decide(lab, alone, "admin", "reassign", person=lab.people["finance"])
    await waits_for(lab, alone, "finance")
    await deactivate(admin, lab.people["finance"], successor_id=None)  # one of two of a role, and alone for the other
    await waits_for(lab, alone, "admin")
    await waits_for(lab, shared, "finance2", "legal")
    assert (await flow(lab, shared)).events[-1].act == "left"


async def test_another_company_knows_nothing_of_it(buying):
    from tests.approval_bundles import buying_lab

    other = await buying_lab()
    record_id = await submitted(buying)
    found = await flow(buying, record_id, "lead")
    for who in ("lead", "admin"):
        ctx = await other.ctx(who)
        with pytest.raises(NotFound):
            await reading.record_flows(ctx, "purchase", record_id)
        with pytest.raises(NotFound):
            await reading.task_place(ctx, found.task_id)
        with pytest.raises(NotFound):
            await execute(ctx, ops.ActOnApproval(entity="purchase", id=record_id, flow=found.id, act="approve", task=found.task_id))
