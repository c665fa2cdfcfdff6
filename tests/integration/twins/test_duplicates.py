"""Rules that look for records that may be the same: what is found, what is told, who may go on, on every path."""

from __future__ import annotations

import asyncio
import json

import pytest

from saas.db import tenant_transaction
from saas.errors import DuplicateFound, InvalidInput
from saas.runtime import execute, twins
from saas.runtime import operations as ops
from saas.runtime.rows import Row
from saas.runtime.twins import forms
from saas.tenants import new_id

_numbers = iter(range(10000000, 99999999))


def number() -> str:
    return f"138{next(_numbers)}"


async def create(club, by="dong", entity="customer", confirm=False, reason="", **values):
    return (await execute(await club.ctx(by), ops.Create(entity=entity, values=values, confirm_duplicates=confirm, reason=reason))).record


async def refused(awaitable) -> DuplicateFound:
    with pytest.raises(DuplicateFound) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        ("Tianhe Pumps", "Tianhe Pump Co., Ltd.", 90), ("天和泵业（北京）有限公司", "天和泵业北京", 100), ("天和泵业股份有限公司", "天河泵业有限公司", 85), ("Siemens AG", "Simens", 90),
        ("Ｔｉａｎｈｅ　Pumps", "tianhe pumps", 100), ("Pumps Tianhe GmbH", "Tianhe Pumps", 100), ("O'Neill S.A.", "ONeill", 100), ("株式会社天和", "天和", 100),
    ],
)
def test_how_alike_names_are(one, other, least):
    assert forms.similarity(one, other) >= least
    assert forms.grams(one) & forms.grams(other)


@pytest.mark.parametrize(("one", "other"), [("Tianhe Pumps", "Beiyang Valves"), ("天和泵业有限公司", "北洋阀门有限公司"), ("", "x")])
def test_what_is_not_alike(one, other):
    assert forms.similarity(one, other) < 70


# ---- hard rules ---------------------------------------------------------------------------------------------------------


async def test_only_letters_and_digits_count_where_a_rule_says_so(club):
    await create(club, name="Loose", taxno="AB-12/3")
    with pytest.raises(InvalidInput) as caught:
        await create(club, by="ma", name="Strict", taxno="ａｂ 123")
    assert str(caught.value.problems[0].message) == "This tax number was entered already"


async def test_a_deleted_record_keeps_its_value_where_a_rule_says_so(club):
    first = await create(club, name="Kept", mail="kept@x.example", library="public")
    ctx = await club.ctx("dong")
    await execute(ctx, ops.Delete(entity="customer", id=first.id))
    with pytest.raises(InvalidInput):
        await create(club, name="Kept too", mail="KEPT@x.example", library="public")
    await create(club, name="Elsewhere", mail="kept@x.example", library="potential")  # the scope is part of the rule
    await execute(ctx, ops.Restore(entity="customer", id=first.id))
    with pytest.raises(InvalidInput):
        await create(club, name="Kept three", mail="kept@x.example", library="public")


async def test_of_many_at_once_one_wins(club):
    ctx = await club.ctx("dong")
    done = await asyncio.gather(*(execute(ctx, ops.Create(entity="customer", values={"name": f"At once {i}", "taxno": f"r-{'/' * i}1"})) for i in range(20)), return_exceptions=True)
    assert sorted(type(d).__name__ for d in done) == ["Change"] + ["InvalidInput"] * 19


# ---- soft rules ---------------------------------------------------------------------------------------------------------


async def test_a_collision_tells_owner_and_library_and_nothing_else(club):
    phone = number()
    theirs = await create(club, name="Dongs secret customer", phone=phone, city="Harbin")
    error = await refused(create(club, by="ma", name="Mine", phone=phone))
    [match] = error.data["matches"]
    assert match == {
        "entity": "customer", "id": None, "title": None, "owner": "Dong", "score": None, "shown": [{"field": "library", "label": "Library", "text": "Potential"}],
    }  # fmt: skip
    assert (str(error.message), error.data["action"]) == ("Somebody has this number", "block")
    assert "secret" not in json.dumps(error.data, default=str) and str(theirs.id) not in json.dumps(error.data, default=str)
    [seen] = (await refused(create(club, by="lin", name="Mine", phone=phone))).data["matches"]
    assert (seen["id"], seen["title"], seen["score"]) == (str(theirs.id), "Dongs secret customer", 100)
    # What a role never sees of such records is not revealed either.
    [blind] = (await refused(create(club, by="bo", name="Mine", phone=phone))).data["matches"]
    assert blind["owner"] is None and blind["shown"]


async def test_similar_names_in_the_same_city(club):
    await create(club, name="天和泵业股份有限公司", city="北京")
    await create(club, name="天和泵业", city="上海", confirm=True)
    error = await refused(create(club, by="lin", name="天禾泵业有限公司", city="北京", confirm=True, reason=""))
    assert error.data["needs_reason"] and error.data["action"] == "warn" and error.data["matches"][0]["title"] == "天和泵业股份有限公司"
    made = await create(club, by="lin", name="天禾泵业有限公司", city="北京", confirm=True, reason="A sister company")
    history = await execute(await club.ctx("lin"), ops.History(entity="customer", id=made.id))
    assert any(line["new"] == "A sister company" for line in history[-1].changes)


async def test_only_some_roles_may_go_on(club):
    await create(club, name="Beiyang Valves", city="Tianjin")
    error = await refused(create(club, by="ma", name="Beijang Valves", city="tianjin", confirm=True, reason="I want it"))
    # Somebody else's, and nothing is revealed of it: one nameless entry, no percentage to feel one's way by.
    assert error.data["action"] == "block" and error.data["matches"] == [{"entity": "customer", "id": None, "title": None, "owner": None, "score": None, "shown": []}]


async def test_a_rule_may_look_among_ones_own_alone(club):
    await create(club, name="Mine one", secret="alpha")
    await create(club, by="ma", name="Not mine", secret="alpha")
    second = await refused(create(club, name="Mine two", secret="Alpha"))
    assert second.data["matches"][0]["title"] == "Mine one"
    two = await create(club, name="Mine two", secret="beta")
    assert (await execute(await club.ctx("dong"), ops.Update(entity="customer", id=two.id, values={"secret": "alpha"}))).record.values["secret"] == "alpha"


async def test_an_update_is_looked_at_as_well(club):
    phone = number()
    await create(club, name="Update one", phone=phone)
    other = await create(club, by="ma", name="Update two", phone=number())
    error = await refused(execute(await club.ctx("ma"), ops.Update(entity="customer", id=other.id, values={"phone": phone})))
    assert error.data["rule"] == "phone"


async def test_records_of_another_entity(club):
    await create(club, name="Harbin Turbines Co., Ltd.", library="public")
    await create(club, name="Canton Turbines Co., Ltd.", library="potential")
    error = await refused(create(club, by="ma", entity="prospect", company="HARBIN TURBINES"))
    assert error.data["matches"] == [{"entity": "customer", "id": None, "title": None, "owner": None, "score": None, "shown": [{"field": "library", "label": "Library", "text": "Public"}]}]
    await create(club, by="ma", entity="prospect", company="Canton Turbines")


async def test_an_automation_meets_the_same_rules_and_tells_no_more(club):
    phone = number()
    await create(club, name="Watched", phone=phone)
    error = await refused(create(club, by="ma", entity="prospect", company="Auto", tel=phone))
    assert error.data["matches"][0]["id"] is None and error.data["matches"][0]["title"] is None and error.data["rule"] == "phone"


async def test_many_at_once_meet_the_same_rules(club):
    phone = number()
    rows = [{"name": "Batch one", "phone": phone}, {"name": "Batch two", "phone": phone}, {"name": "Batch three", "phone": number()}]
    done = await execute(await club.ctx("dong"), ops.CreateMany(entity="customer", rows=rows))
    assert [type(d).__name__ for d in done] == ["UUID", "DuplicateFound", "UUID"]
    assert "Batch one" in twins.told(done[1])


async def test_what_is_looked_at_stays_little_among_many(club):
    """The plan of finding similar names: index scans of the tokens alone, and at most so many records compared."""
    system = await club.system()
    entity = system.config.entity("customer")
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute(
            "INSERT INTO search_token (tenant_id, entity_id, token, record_id) SELECT $1, $2, '~name:g' || i % 50, gen_random_uuid() FROM generate_series(1, 20000) i",
            club.tenant_id, entity.number,
        )  # fmt: skip
        matcher = next(m for rule, m in twins.own_rules(system.config, entity) if rule.key == "name")
        row = Row(id=new_id(), entity="customer", version=0, values={"name": "g1 g2 g3", "city": "x"})
        plan = "\n".join(r[0] for r in await conn.fetch(
            "EXPLAIN SELECT g.token, (SELECT count(*) FROM (SELECT 1 FROM search_token s WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.token = g.token LIMIT 1001) c) "
            "FROM unnest($3::text[]) AS g (token)", club.tenant_id, entity.number, ["~name:g1"],
        ))  # fmt: skip
        assert "Index Only Scan" in plan and "Seq Scan" not in plan
        assert await twins.found_twins(conn, system, matcher, row) == []
        await conn.execute("DELETE FROM search_token WHERE tenant_id = $1 AND token LIKE '~name:g%'", club.tenant_id)
