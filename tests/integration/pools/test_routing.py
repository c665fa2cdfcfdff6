"""Records that find their person by themselves: in turn, by load, by what people know, by who knows the customer."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from saas.metadata.mentions import mentions_of
from saas.metadata.parse import examine
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.approvals import deputies
from saas.runtime.forms import choices
from saas.tenants import update_user
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab, options
from tests.pool_bundle import pool_bundle

PROFILE = {
    "key": "profile", "label": label("Profile"), "plural": label("Profiles"), "title": "name",
    "fields": [fld("name", "text"), fld("person", "user"), fld("knows", "multi", options=options("red", "blue"))],
}  # fmt: skip


def _bundle(**assign: Any) -> dict[str, Any]:
    bundle = pool_bundle()
    bundle["entities"].append(PROFILE)
    bundle["entities"][0]["fields"].append(fld("needs", "option", options=options("red", "blue")))
    bundle["automations"] = [
        {"key": "route", "label": label("Route"), "entity": "client", "on": {"trigger": "create"}, "if": "owner == null", "do": [{"action": "assign", "to": ["role:seller"], **assign}]},
        {"key": "anew", "label": label("Anew"), "entity": "client", "on": {"trigger": "update", "fields": ["needs"]}, "do": [{"action": "assign", "to": ["role:seller"]}]},
    ]  # fmt: skip
    return bundle


async def _firm(*people: str, **assign: Any) -> Lab:
    lab = await make_lab(_bundle(**assign), people=False)
    for key in people:
        await lab.person(key, ["seller"], "north")
    return lab


async def _new(lab: Lab, name: str, **values: Any) -> str:
    """Who gets a new record."""
    record_id = await lab.make("client", name=name, owner=None, **values)
    owner = (await lab.get("client", record_id)).owner
    return next((key for key, person in lab.people.items() if person == owner), "")


async def test_who_is_away_is_passed_over(database):
    """Also the one who knows the customer; whoever gives a record by hand reads it beside the name."""
    lab = await _firm("ann", "bob", by="first")
    ctx = await lab.ctx("ann")
    row = await deputies.set_deputy(ctx, None, ctx.today, ctx.today)
    assert await _new(lab, "Now") == "bob"
    offered = {c.label: c.detail for c in await choices(await lab.ctx("admin"), "client", "owner")}
    assert "away until" in offered["Ann"] and "away" not in offered["Bob"]
    await deputies.remove_deputy(ctx, row)
    assert await _new(lab, "Back") == "ann"
    await deputies.set_deputy(ctx, lab.people["bob"], ctx.today + timedelta(days=1), ctx.today + timedelta(days=2))
    assert await _new(lab, "Tomorrow") == "ann"
    for who in ("ann", "bob"):
        mine = await lab.ctx(who)
        await deputies.set_deputy(mine, None, mine.today, mine.today)
    assert await _new(lab, "Nobody") == ""


async def test_everybody_has_their_turn_also_when_many_come_at_once(database):
    lab = await _firm("ann", "bob", "cat")
    gone = await lab.person("gone", ["seller"], "north")
    await update_user(lab.tenant_id, gone, {"status": "inactive"})
    ctx = await lab.ctx("admin")
    await asyncio.gather(*(execute(ctx, ops.Create(entity="client", values={"name": f"C{n}", "owner": None})) for n in range(9)))
    rows = await lab.fetch("SELECT owner_id, count(*) AS n FROM record WHERE tenant_id = $1 AND owner_id IS NOT NULL GROUP BY 1")
    assert Counter({r["owner_id"]: r["n"] for r in rows}) == Counter({lab.people[p]: 3 for p in ("ann", "bob", "cat")})
    # Everybody holds as many as the pool allows now, so that the next one stays there.
    assert await _new(lab, "Too many") == ""
    record = (await execute(ctx, ops.List(entity="client", filter={"field": "name", "op": "eq", "value": "Too many"}, fields=None))).records[0]
    assert record.owner is None and record.state == "public"


async def test_who_has_least_gets_the_next_one(database):
    lab = await _firm("ann", "bob", by="least_load", load_if="library == 'potential'")
    assert [await _new(lab, f"L{n}") for n in range(2)] in (["ann", "bob"], ["bob", "ann"])
    busy = await _new(lab, "L3")
    assert await _new(lab, "L4") != busy


async def test_those_who_know_it_and_who_knows_the_customer(database):
    lab = await _firm("ann", "bob", "cat", by="first", sticky="created_by", skill="needs", skill_entity="profile", skill_person="person", skill_field="knows")
    for who, knows in (("ann", ["red"]), ("bob", ["blue"]), ("cat", ["blue", "red"])):
        await lab.make("profile", name=who, person=str(lab.people[who]), knows=knows)
    assert await _new(lab, "Blue", needs="blue") == "bob" and await _new(lab, "Red", needs="red") == "ann"
    record_id = await lab.make("client", "cat", name="From cat", owner=None, needs="blue")
    assert (await lab.get("client", record_id)).owner == lab.people["cat"], "who knows the customer comes first"
    assert isinstance(record_id, UUID)


async def test_what_nobody_can_take_any_more_goes_back_into_the_pool(database):
    lab = await _firm("ann")
    record_id, ctx = await lab.make("client", name="Hers", owner=None), await lab.ctx("ann")
    assert (await lab.get("client", record_id)).owner == ctx.user_id
    await deputies.set_deputy(ctx, None, ctx.today, ctx.today)
    await execute(await lab.ctx("admin"), ops.Update(entity="client", id=record_id, values={"needs": "red"}))
    record = await lab.get("client", record_id)
    assert (record.owner, record.state) == (None, "public")


async def test_when_nobody_can_take_it_the_others_are_asked(database):
    lab = await _firm("ann", otherwise=["role:boss"])
    await lab.person("tang", ["boss"], "north")
    assert [await _new(lab, f"O{n}") for n in range(4)] == ["ann", "ann", "ann", "tang"]


@pytest.mark.parametrize("options_", [{"sticky": "nobody"}, {"to": ["role:ghost"]}, {"load_if": "name"}, {"by": "dice"}, {"otherwise": ["role:ghost"]}, {"skill": "needs", "skill_entity": "profile", "skill_person": "nobody", "skill_field": "knows"}])
def test_what_is_wrong_with_it_is_said(options_):
    bundle = _bundle()
    bundle["automations"][0]["do"][0].update(options_)
    _found, problems = examine(bundle)
    assert problems and problems[0].path.startswith("automations[route].do[0]"), problems


def test_what_people_know_is_named_by_the_rule_that_asks_for_it():
    """Removing the field, or what says whom it is about, tells which rule uses it."""
    raw = _bundle(skill="needs", skill_entity="profile", skill_person="person", skill_field="knows")
    mentions = mentions_of(raw)
    for key, name in (("knows", "skill_field"), ("person", "skill_person")):
        assert [(m.name, m.path) for m in mentions.of(f"entities[profile].fields[{key}]") if m.kind == "action"] == [(name, f"automations[route].do[0].{name}")]
    assert any(m.name == "skill_entity" for m in mentions.of("entities[profile]"))
