"""Drafts: steps and undo, two admins at once, and trials of what is not published."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound
from saas.metadata import drafts, edits, store
from saas.runtime import configuration, execute
from saas.runtime import operations as ops
from saas.runtime.trial import trial
from saas.ui.builder.desk import Desk
from tests.bundles import label
from tests.factories import make_lab

GRADE = "entities[account].fields[grade]"


@pytest_asyncio.fixture
async def lab(database):
    return await make_lab(people=False)


def setting(path, value):
    return lambda raw, data: (edits.put(raw, path, value), data)


async def live(lab):
    return (await store.revision(lab.tenant_id)).bundle


async def test_a_draft_begins_as_what_is_live_and_nobody_else_sees_it(lab):
    other = await lab.person("second", ["admin"])
    mine = await drafts.open_draft(lab.tenant_id, lab.people["admin"])
    assert mine.is_empty and store.is_same(mine.raw, await live(lab)) and mine.base == mine.live == 1
    await drafts.edit(lab.tenant_id, lab.people["admin"], "Renamed", setting(f"{GRADE}.label", label("Class")))
    mine = await drafts.open_draft(lab.tenant_id, lab.people["admin"])
    assert edits.find(mine.raw, f"{GRADE}.label.en") == "Class" and [s.title for s in mine.steps] == ["Renamed"]
    assert (await drafts.open_draft(lab.tenant_id, other)).is_empty
    assert edits.find(await live(lab), f"{GRADE}.label.en") != "Class"


async def test_each_step_can_be_taken_back_down_to_nothing(lab):
    me = lab.people["admin"]
    seen = [(await drafts.open_draft(lab.tenant_id, me)).raw]
    for number in range(3):
        await drafts.edit(lab.tenant_id, me, f"Step {number}", setting(f"{GRADE}.label", label(f"Class {number}")))
        seen.append((await drafts.open_draft(lab.tenant_id, me)).raw)
    await drafts.edit(lab.tenant_id, me, "Nothing", lambda raw, data: (raw, data))
    for number in (2, 1, 0):
        assert await drafts.undo(lab.tenant_id, me) == f"Step {number}"
        assert store.is_same((await drafts.open_draft(lab.tenant_id, me)).raw, seen[number])
    assert (await drafts.open_draft(lab.tenant_id, me)).is_empty
    with pytest.raises(NotFound):
        await drafts.undo(lab.tenant_id, me)


async def test_steps_made_at_the_same_moment_are_all_kept(lab):
    me = lab.people["admin"]
    await asyncio.gather(
        *(drafts.edit(lab.tenant_id, me, f"{n}", lambda raw, data, n=n: (edits.add(raw, "entities[account].fields", {"key": f"f{n}", "type": "text", "label": label("F")}), data)) for n in range(8))
    )
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert len(draft.steps) == 8 and all(edits.find(draft.raw, f"entities[account].fields[f{n}]") for n in range(8))


async def test_two_windows_take_a_revision_in_and_the_faster_one_goes_on(lab, monkeypatch):
    """The slower one must not put the draft back to what it was before."""
    me, original = lab.people["admin"], drafts._merge
    await drafts.edit(lab.tenant_id, me, "Mine", setting(f"{GRADE}.label", label("Class")))
    await lab.publish(edits.put(await live(lab), "entities[account].fields[bank].label", label("House bank")))
    merging = asyncio.Event()

    async def slow(*args):
        found = await original(*args)
        if not merging.is_set():
            merging.set()
            await asyncio.sleep(0.5)
        return found

    async def faster():
        await merging.wait()
        await drafts.open_draft(lab.tenant_id, me)
        await drafts.edit(lab.tenant_id, me, "More", setting("entities[account].fields[bank].help", label("More")))

    monkeypatch.setattr(drafts, "_merge", slow)
    await asyncio.gather(drafts.open_draft(lab.tenant_id, me), faster())
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert edits.find(draft.raw, "entities[account].fields[bank].help.en") == "More"
    assert [s.title for s in draft.steps] == ["More", "Revision 2 taken in", "Mine"]


async def test_what_somebody_else_published_is_taken_into_the_draft(lab):
    me = lab.people["admin"]
    await drafts.edit(lab.tenant_id, me, "Mine", setting(f"{GRADE}.label", label("Class")))
    await lab.publish(edits.put(await live(lab), "entities[account].fields[bank].label", label("House bank")))
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert draft.merge is None and draft.base == draft.live == 2
    assert edits.find(draft.raw, f"{GRADE}.label.en") == "Class" and edits.find(draft.raw, "entities[account].fields[bank].label.en") == "House bank"
    assert await drafts.undo(lab.tenant_id, me) == "Mine"
    draft = await drafts.open_draft(lab.tenant_id, me)  # the other's change is not undone with mine
    assert edits.find(draft.raw, "entities[account].fields[bank].label.en") == "House bank" and edits.find(draft.raw, f"{GRADE}.label.en") != "Class"


@pytest.mark.parametrize(("choice", "kept"), [("mine", "Class"), ("theirs", "Category")])
async def test_what_both_changed_is_decided_and_never_lost(lab, choice, kept):
    me = lab.people["admin"]
    await drafts.edit(lab.tenant_id, me, "Mine", setting(f"{GRADE}.label.en", "Class"))
    await drafts.edit(lab.tenant_id, me, "Also mine", setting("entities[account].fields[bank].label", label("House bank")))
    await lab.publish(edits.put(await live(lab), f"{GRADE}.label.en", "Category"))
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert draft.merge is not None and draft.base == 1 and edits.find(draft.raw, f"{GRADE}.label.en") == "Class"
    [conflict] = draft.merge.conflicts
    assert (conflict.mine, conflict.theirs) == ("Class", "Category")
    with pytest.raises(Conflict):
        await drafts.decide(lab.tenant_id, me, {})
    await drafts.decide(lab.tenant_id, me, {conflict.path: choice})
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert draft.merge is None and draft.base == 2
    assert edits.find(draft.raw, f"{GRADE}.label.en") == kept and edits.find(draft.raw, "entities[account].fields[bank].label.en") == "House bank"


async def test_a_third_revision_while_deciding_is_said_and_nothing_is_lost(lab):
    me = lab.people["admin"]
    await drafts.edit(lab.tenant_id, me, "Mine", setting(f"{GRADE}.label.en", "Class"))
    await lab.publish(edits.put(await live(lab), f"{GRADE}.label.en", "Category"))
    draft = await drafts.open_draft(lab.tenant_id, me)
    seen, [conflict] = (draft.live, draft.version), draft.merge.conflicts
    await lab.publish(edits.put(await live(lab), f"{GRADE}.label.en", "Rank"))
    for choice in ("mine", "theirs"):
        with pytest.raises(Conflict, match="Revision 3 was published"):
            await drafts.decide(lab.tenant_id, me, {conflict.path: choice}, seen=seen)
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert edits.find(draft.raw, f"{GRADE}.label.en") == "Class" and draft.base == 1 and [s.title for s in draft.steps] == ["Mine"]
    assert [(c.mine, c.theirs) for c in draft.merge.conflicts] == [("Class", "Rank")]
    await drafts.edit(lab.tenant_id, me, "More", setting("entities[account].fields[bank].label", label("House bank")))
    with pytest.raises(Conflict, match="another window"):
        await drafts.decide(lab.tenant_id, me, {conflict.path: "mine"}, seen=(draft.live, draft.version))
    draft = await drafts.open_draft(lab.tenant_id, me)
    await drafts.decide(lab.tenant_id, me, {conflict.path: "theirs"}, seen=(draft.live, draft.version))
    draft = await drafts.open_draft(lab.tenant_id, me)
    assert draft.base == 3 and edits.find(draft.raw, f"{GRADE}.label.en") == "Rank" and edits.find(draft.raw, "entities[account].fields[bank].label.en") == "House bank"


async def two_windows(lab):
    """Desks of one admin that both began before either saved."""
    ctx = await lab.ctx("admin")
    return [Desk(SimpleNamespace(ctx=ctx), await drafts.open_draft(lab.tenant_id, lab.people["admin"])) for _ in range(2)]


@pytest.mark.parametrize("marked", [True, False])
async def test_two_windows_that_save_the_same_at_one_moment_do_not_overwrite_each_other(lab, marked):
    path, windows = f"{GRADE}.label", await two_windows(lab)
    marks = [w.mark(path) if marked else None for w in windows]
    errors = await asyncio.gather(*(w.save(path, label(name), name, mark=mark) for w, mark, name in zip(windows, marks, ("Class", "Category"), strict=True)))
    draft = await drafts.open_draft(lab.tenant_id, lab.people["admin"])
    assert sorted(map(bool, errors)) == [False, True] and "another window" in next(e[""] for e in errors if e)
    winner = ("Class", "Category")[errors.index({})]
    assert edits.find(draft.raw, f"{path}.en") == winner and [s.title for s in draft.steps] == [winner]


async def test_two_windows_that_save_different_things_at_one_moment_both_count(lab):
    one, two = await two_windows(lab)
    paths = (f"{GRADE}.label", "entities[account].fields[bank].label")
    assert await asyncio.gather(one.save(paths[0], label("Class"), "1", mark=one.mark(paths[0])), two.save(paths[1], label("House bank"), "2", mark=two.mark(paths[1]))) == [{}, {}]
    draft = await drafts.open_draft(lab.tenant_id, lab.people["admin"])
    assert [edits.find(draft.raw, f"{p}.en") for p in paths] == ["Class", "House bank"]


async def test_what_has_no_form_to_show_an_error_in_is_refused_whole(lab):
    one, two = await two_windows(lab)
    assert await one.take(edits.put(one.raw, f"{GRADE}.label", label("Class")), "1") == {}
    with pytest.raises(Conflict, match="another window"):
        await two.take(edits.put(two.raw, f"{GRADE}.label", label("Category")), "2")
    assert edits.find((await drafts.open_draft(lab.tenant_id, lab.people["admin"])).raw, f"{GRADE}.label.en") == "Class"


async def test_a_trial_sees_new_fields_and_leaves_nothing(lab):
    ctx = await lab.ctx()
    raw = edits.add(await live(lab), "entities[account].fields", {"key": "extra", "type": "text", "label": label("Extra"), "max_length": 40})
    raw = edits.add(raw, "entities", {"key": "asset", "label": label("Asset"), "plural": label("Assets"), "title": "name", "fields": [{"key": "name", "type": "text", "label": label("Name")}]})
    await lab.make("account", name="Real")
    async with trial(ctx, raw) as tried:
        page = await execute(tried, ops.List(entity="account"))
        assert page.records[0].values["extra"] is None
        assert (await execute(tried, ops.List(entity="asset"))).records == []
    async with trial(ctx, raw, write=True) as tried:
        made = await execute(tried, ops.Create(entity="asset", values={"name": "Drill"}))
        await execute(tried, ops.Create(entity="account", values={"name": "Only here", "extra": "x"}))
        assert (await execute(tried, ops.Get(entity="asset", id=made.record.id))).values["name"] == "Drill"
    async with tenant_transaction(lab.tenant_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM entity WHERE key = 'asset'") == 0
        assert await conn.fetchval("SELECT count(*) FROM field_column WHERE field_key = 'extra'") == 0
    assert [r.values["name"] for r in (await execute(ctx, ops.List(entity="account"))).records] == ["Real"]


async def test_a_failure_inside_a_trial_is_seen_outside(lab):
    with pytest.raises(ZeroDivisionError):
        async with trial(await lab.ctx(), await live(lab), write=True):
            raise ZeroDivisionError


async def test_an_order_given_after_the_plan_was_made_is_not_lost_by_publishing_it(lab):
    me, ctx = lab.people["admin"], await lab.ctx("admin")
    await drafts.edit(lab.tenant_id, me, "Mine", setting(f"{GRADE}.label", label("Class")))
    draft = await drafts.open_draft(lab.tenant_id, me)
    plan = await configuration.make_plan(ctx, draft.raw, data=draft.data)
    order = {"do": "fill", "entity": "account", "field": "bank", "value": "House bank"}
    await drafts.edit(lab.tenant_id, me, "Fill", lambda raw, data: (raw, [*data, order]))
    await configuration.publish(ctx, plan_id=plan.id)
    assert list((await drafts.open_draft(lab.tenant_id, me)).data) == [order]
    ctx = await lab.ctx("admin")
    draft = await drafts.open_draft(lab.tenant_id, me)
    await configuration.publish(ctx, raw=draft.raw, data=draft.data)
    assert (await drafts.open_draft(lab.tenant_id, me)).is_empty
