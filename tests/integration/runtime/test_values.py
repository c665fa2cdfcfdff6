"""What a record must satisfy: defaults, required, conditions, rules, options, references, people, trees."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from saas.errors import InvalidInput, NotFound, PermissionDenied, StaleVersion
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.tenants import update_user
from tests.factories import Lab

_names = iter(f"Name {i}" for i in range(100000))


async def codes(awaitable) -> dict[str, str]:
    """{field: code} of the problems an operation meets."""
    with pytest.raises(InvalidInput) as caught:
        await awaitable
    return {p.field: p.code for p in caught.value.problems}


async def create(lab: Lab, entity: str = "account", by: str = "chief", **values):
    values.setdefault("name", next(_names))
    return (await execute(await lab.ctx(by), ops.Create(entity=entity, values=values))).record


async def change(lab: Lab, record, by: str = "chief", version: int | None = None, **values):
    return (await execute(await lab.ctx(by), ops.Update(entity=record.entity, id=record.id, values=values, version=version))).record


async def test_defaults_fill_what_was_not_given_and_null_keeps_them_away(lab):
    ctx = await lab.ctx("chief")
    made = await create(lab)
    assert made.values["grade"] == "b" and made.values["since"] == ctx.today.isoformat()
    assert made.owner == lab.people["chief"] and made.department == lab.departments["north"]
    bare = await create(lab, grade=None, since=None)
    assert bare.values["grade"] is None and bare.values["since"] is None


async def test_required(lab):
    assert await codes(create(lab, name="")) == {"name": "required"}
    assert await codes(create(lab, name=None)) == {"name": "required"}
    made = await create(lab)
    assert await codes(change(lab, made, name=None)) == {"name": "required"}


async def test_required_if(lab):
    assert await codes(create(lab, grade="c")) == {"reason": "required"}
    made = await create(lab, grade="c", reason="because")
    assert await codes(change(lab, made, reason=None)) == {"reason": "required"}
    assert (await change(lab, made, grade="b", reason=None)).values["reason"] is None


async def test_a_field_that_does_not_show_is_not_required(lab):
    assert (await create(lab, grade="b")).values["remark"] is None
    assert await codes(create(lab, grade="a")) == {"remark": "required"}


async def test_read_only_if_looks_at_the_record(lab):
    made = await change(lab, await create(lab, fixed="one"), credit=50)
    assert await codes(change(lab, made, fixed="two")) == {"fixed": "read_only"}
    assert (await change(lab, await change(lab, made, credit=51), fixed="two")).values["fixed"] == "two"


async def test_set_once(lab):
    made = await create(lab, since="2024-01-01")
    assert await codes(change(lab, made, since="2024-01-02")) == {"since": "set_once"}
    assert (await change(lab, made, since="2024-01-01")).version == 1  # the same value is no change
    empty = await create(lab, since=None)
    assert (await change(lab, empty, since="2024-01-02")).values["since"] == "2024-01-02"


async def test_rules(lab):
    assert await codes(create(lab, grade="a", remark="x", credit=5)) == {"credit": "rule.credit_grade"}
    made = await create(lab, grade="a", remark="x", credit=10)
    assert await codes(change(lab, made, credit=9)) == {"credit": "rule.credit_grade"}


async def test_dependent_options(lab):
    assert (await create(lab, region="north", city="harbin")).values["city"] == "harbin"
    assert await codes(create(lab, region="north", city="canton")) == {"city": "wrong_parent"}
    assert await codes(create(lab, region="east")) == {"region": "unknown_option"}


async def test_computed_and_stage_fields_are_not_typed(lab):
    assert await codes(create(lab, line_count=7, title2="x", code="A1")) == {"line_count": "read_only", "title2": "read_only", "code": "read_only"}
    assert await codes(create(lab, "deal", stage="won")) == {"stage": "read_only"}
    assert "nothing" in await codes(create(lab, nothing=1))


async def test_system_fields_are_kept_by_the_engine(lab):
    made = await create(lab, created_at="2001-01-01T00:00:00Z", created_by=str(uuid4()))
    assert made.created_at.year > 2001 and made.created_by == lab.people["chief"]


async def test_a_change_of_nothing_writes_nothing(lab):
    made = await create(lab, region="north")
    same = await change(lab, made, region="north", name=made.values["name"])
    assert same.version == 1 and len(await execute(await lab.ctx(), ops.History(entity="account", id=made.id))) == 1


# ---- references --------------------------------------------------------------------------------------------------------


async def test_references_to_nothing_deleted_or_unreadable(lab):
    made = await create(lab)
    gone = await create(lab)
    await execute(await lab.ctx("chief"), ops.Delete(entity="account", id=gone.id))
    for bad in (uuid4(), gone.id):
        assert await codes(create(lab, "deal", account=str(bad))) == {"account": "unknown_record"}
    assert set(await codes(create(lab, "deal", account="not an id"))) == {"account"}
    # The seller reads own accounts only, so somebody else's is no candidate.
    assert await codes(create(lab, "deal", by="seller", account=str(made.id))) == {"account": "unknown_record"}
    assert (await create(lab, "deal", account=str(made.id))).display["account"] == made.title


async def test_a_link_to_a_record_of_another_kind(lab):
    deal = await create(lab, "deal")
    assert await codes(create(lab, "deal", account=str(deal.id))) == {"account": "unknown_record"}


async def test_candidate_filters_look_at_the_record_being_edited(lab):
    one, two = await create(lab), await create(lab)
    line = await create(lab, "line", account=str(one.id))
    assert (await create(lab, "contract", account=str(one.id), line=str(line.id))).values["line"] == str(line.id)
    assert await codes(create(lab, "contract", account=str(two.id), line=str(line.id))) == {"line": "unknown_record"}
    contract = await create(lab, "contract", account=str(one.id), line=str(line.id))
    assert await codes(change(lab, contract, account=str(two.id))) == {"line": "unknown_record"}
    assert (await change(lab, contract, account=str(two.id), line=None)).values["line"] is None


async def test_links_that_stand_may_stay(lab):
    kept, gone, more = [await create(lab) for _ in range(3)]
    made = await create(lab, friends=[str(kept.id), str(gone.id)])
    await execute(await lab.ctx("chief"), ops.Delete(entity="account", id=gone.id))
    changed = await change(lab, made, friends=[str(kept.id), str(gone.id), str(more.id)])
    assert set(changed.values["friends"]) == {str(kept.id), str(gone.id), str(more.id)}
    assert await codes(change(lab, changed, friends=[str(uuid4())])) == {"friends": "unknown_record"}
    assert (await change(lab, changed, friends=[])).values["friends"] in (None, [])


async def test_people_must_be_active_and_have_the_role(lab):
    helper = await lab.person("helper_one", ["assigned"], "south")
    assert (await create(lab, helper=str(helper))).display["helper"] == "Helper_One"
    assert await codes(create(lab, helper=str(lab.people["reader"]))) == {"helper": "unknown_user"}
    assert await codes(create(lab, helper=str(uuid4()))) == {"helper": "unknown_user"}
    assert await codes(create(lab, owner=str(lab.people["reader"]))) == {"owner": "unknown_user"}
    await update_user(lab.tenant_id, helper, {"status": "inactive"})
    assert await codes(create(lab, helper=str(helper))) == {"helper": "unknown_user"}


async def test_the_department_follows_the_owner(lab):
    seller = await lab.person("south_seller", ["seller"], "south")
    made = await create(lab)
    assert (await change(lab, made, owner=str(seller))).department == lab.departments["south"]
    assert (await change(lab, made, owner=None)).department is None


# ---- trees -------------------------------------------------------------------------------------------------------------


async def test_trees_have_no_rings_and_a_depth(lab):
    top = await create(lab)
    middle = await create(lab, above=str(top.id))
    low = await create(lab, above=str(middle.id))
    assert await codes(change(lab, top, above=str(low.id))) == {"above": "cycle"}
    assert await codes(change(lab, top, above=str(top.id))) == {"above": "cycle"}
    assert await codes(create(lab, above=str(low.id))) == {"above": "too_deep"}
    # A whole branch counts: `middle` has one level below it.
    other = await create(lab)
    below = await create(lab, above=str(other.id))
    assert await codes(change(lab, middle, above=str(below.id))) == {"above": "too_deep"}
    assert (await change(lab, middle, above=str(other.id))).values["above"] == str(other.id)
    assert await codes(change(lab, middle, above="rubbish"))


async def test_two_moves_at_once_make_no_ring(lab):
    one, two = await create(lab), await create(lab)
    done = await asyncio.gather(change(lab, one, above=str(two.id)), change(lab, two, above=str(one.id)), return_exceptions=True)
    assert sorted(isinstance(d, InvalidInput) for d in done) == [False, True], done


# ---- versions ----------------------------------------------------------------------------------------------------------


async def test_stale_versions_are_refused(lab):
    made = await create(lab)
    await change(lab, made, version=1, region="north")
    with pytest.raises(StaleVersion) as caught:
        await change(lab, made, version=1, region="south")
    assert caught.value.data == {"current": 2, "yours": 1}
    with pytest.raises(StaleVersion):
        await execute(await lab.ctx(), ops.Delete(entity="account", id=made.id, version=1))
    assert (await lab.get("account", made.id)).values["region"] == "north"


async def test_of_many_writers_with_one_version_one_wins(lab):
    made = await create(lab)
    done = await asyncio.gather(*(change(lab, made, version=1, credit=i) for i in range(1, 9)), return_exceptions=True)
    assert [type(d) for d in done].count(StaleVersion) == 7
    assert (await lab.get("account", made.id)).version == 2


# ---- what configuration freezes -------------------------------------------------------------------------------------------


async def test_frozen_records(lab):
    made = await create(lab, frozen=True)
    for by in ("chief", "admin"):
        with pytest.raises(PermissionDenied):
            await change(lab, made, by=by, region="north")
    graded = await create(lab, grade="a", remark="x")
    with pytest.raises(PermissionDenied):
        await execute(await lab.ctx("admin"), ops.Delete(entity="account", id=graded.id))
    assert not (await lab.get("account", graded.id)).can.delete


async def test_append_only_and_read_only(lab):
    log = (await execute(await lab.ctx("chief"), ops.Create(entity="log", values={"text": "x"}))).record
    for operation in (ops.Update(entity="log", id=log.id, values={"text": "y"}), ops.Delete(entity="log", id=log.id)):
        with pytest.raises(PermissionDenied):
            await execute(await lab.ctx("admin"), operation)
    with pytest.raises(PermissionDenied):
        await execute(await lab.ctx("admin"), ops.Create(entity="feed", values={"text": "x"}))
    fed = await lab.make("feed", by=None, text="x")
    with pytest.raises(PermissionDenied):
        await execute(await lab.ctx("admin"), ops.Update(entity="feed", id=fed, values={"text": "y"}))


async def test_what_is_not_there(lab):
    ctx = await lab.ctx()
    for operation in (
        ops.Get(entity="account", id=uuid4()), ops.Update(entity="account", id=uuid4(), values={}), ops.Delete(entity="account", id=uuid4()),
        ops.Restore(entity="account", id=uuid4()), ops.Transition(entity="deal", id=uuid4(), key="win"), ops.History(entity="account", id=uuid4()),
        ops.Get(entity="nothing", id=uuid4()), ops.List(entity="nothing"), ops.Transition(entity="account", id=uuid4(), key="win"),
        ops.Get(entity="account", id=UUID(int=0), deleted=True),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await execute(ctx, operation)
