"""Records are given to somebody, one or many, with what is below them; counted before, taken back afterwards."""

from __future__ import annotations

from uuid import UUID

import pytest
import pytest_asyncio

from saas.errors import BadRequest, Conflict, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.handing_over import hand_over, preview, take_back
from saas.runtime.succession import deactivate
from saas.runtime.worker import drain
from saas.tenants import update_user
from saas.tenants.rules import SecurityRules, set_security_rules
from tests.factories import Lab, make_lab


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    return await make_lab()


async def _owner(lab: Lab, entity: str, record_id: UUID) -> UUID | None:
    return (await lab.get(entity, record_id)).owner


async def _family(lab: Lab, name: str) -> tuple[UUID, UUID, UUID]:
    """An account of the seller with a task of theirs and one of a colleague."""
    account = await lab.make("account", "seller", name=name)
    mine = await lab.make("task", "seller", name=f"{name} 1", account=str(account))
    other = await lab.make("task", "chief", name=f"{name} 2", account=str(account))
    return account, mine, other


async def test_records_go_with_those_below_that_belong_to_the_same_person_and_come_back(lab):
    account, mine, other = await _family(lab, "Alpha")
    frozen = await lab.make("account", "seller", name="Frozen", frozen=True)
    chief = await lab.ctx("chief")
    counted = await preview(chief, "account", ids=[account, frozen])
    assert (counted.asked, counted.count) == (2, 2) and {b.key: b.count for b in counted.below if b.count} == {"tasks": 1}
    job = await hand_over(chief, "account", lab.people["dept_user"], ids=[account, frozen], children=["tasks"])
    assert job.status == "done" and job.result["done"] == 2 and job.result["failed_count"] == 0
    assert await _owner(lab, "account", account) == await _owner(lab, "task", mine) == lab.people["dept_user"]
    assert await _owner(lab, "task", other) == lab.people["chief"], "what a colleague keeps there stays theirs"
    history = await execute(await lab.ctx("admin"), ops.History(entity="account", id=account))
    assert history[0].kind == "assigned" and history[0].actor == "Chief"
    rows = await lab.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND kind = 'transfer_records' ORDER BY title")
    assert [r["title"] for r in rows] == ["3 of your records were given to somebody else", "3 records were given to you"]

    for who, error in (("seller", NotFound), ("admin", PermissionDenied)):
        with pytest.raises(error):
            await take_back(await lab.ctx(who), job.id)
    back = await take_back(chief, job.id)
    assert back.status == "done" and await _owner(lab, "account", account) == await _owner(lab, "task", mine) == lab.people["seller"]
    with pytest.raises(Conflict):
        await take_back(chief, job.id)


async def test_what_was_given_on_meanwhile_stays_there(lab):
    account, _mine, _other = await _family(lab, "Beta")
    job = await hand_over(await lab.ctx("chief"), "account", lab.people["dept_user"], ids=[account])
    await execute(await lab.ctx("admin"), ops.Update(entity="account", id=account, values={"owner": str(lab.people["tree_user"])}))
    back = await take_back(await lab.ctx("chief"), job.id)
    assert back.result["failed_count"] == 1 and await _owner(lab, "account", account) == lab.people["tree_user"]


async def test_a_whole_list_by_its_filter_in_the_background(lab):
    ids = [await lab.make("account", "seller", name=f"Gamma {n}") for n in range(3)]
    job = await hand_over(await lab.ctx("chief"), "account", lab.people["team_lead"], filter={"field": "name", "op": "contains", "value": "Gamma"})
    await drain()
    assert job.total == 3 and {await _owner(lab, "account", i) for i in ids} == {lab.people["team_lead"]}


async def test_the_rights_of_who_asks_hold(lab):
    account, _mine, _other = await _family(lab, "Delta")
    theirs = await lab.make("account", "chief", name="Delta chief")
    with pytest.raises(PermissionDenied):
        await hand_over(await lab.ctx("seller"), "account", lab.people["chief"], ids=[account, theirs])  # many at once is not theirs
    job = await hand_over(await lab.ctx("seller"), "account", lab.people["dept_user"], ids=[theirs])
    assert job.result["done"] == 0 and job.result["failed_count"] == 1 and await _owner(lab, "account", theirs) == lab.people["chief"]
    with pytest.raises(BadRequest):
        await hand_over(await lab.ctx("chief"), "account", lab.people["seller"], ids=[account], children=["nothing"])
    gone = await lab.person("gone", ["seller"])
    await update_user(lab.tenant_id, gone, {"status": "inactive"})
    with pytest.raises(InvalidInput):
        await hand_over(await lab.ctx("chief"), "account", gone, ids=[account])


async def test_where_the_company_wants_it_nobody_leaves_without_a_successor(lab):
    leaver = await lab.person("leaver", ["seller"])
    record_id = await lab.make("account", "leaver", name="Left behind")
    await set_security_rules(lab.tenant_id, SecurityRules(successor_required=True))
    with pytest.raises(InvalidInput) as refused:
        await deactivate(await lab.ctx("admin"), leaver, successor_id=None)
    assert [p.field for p in refused.value.problems] == ["successor"]
    await deactivate(await lab.ctx("admin"), leaver, successor_id=lab.people["chief"])
    assert await _owner(lab, "account", record_id) == lab.people["chief"]
