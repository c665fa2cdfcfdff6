"""Every operation x origin x role: the verdict of the door against a small oracle that reads the role as a person would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import AppError, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.tenants import update_user
from tests.factories import ROLES, Lab, make_lab

OPERATIONS = ("create", "get", "list", "update", "delete", "restore", "transition", "aggregate", "board", "history", "export")
ORIGINS = ("page", "api", "import", "bulk", "automation", "schedule")
WHO = [r["key"] for r in ROLES]
ALLOWED, DENIED, UNSEEN = "allowed", "denied", "unseen"


@dataclass
class Sample:
    """One account and what a person would need to know to judge it."""

    id: UUID
    owner: str
    creator: str
    grade: str
    helper: str | None = None
    deal: UUID | None = None


@pytest_asyncio.fixture(scope="module")
async def field(database) -> tuple[Lab, dict[str, Sample]]:
    """People in a small company: the tree user's department is above, the team lead is the seller's superior."""
    lab = await make_lab()
    await lab.person("outsider", ["chief"], "south")
    await lab.person("easterner", ["chief"], "north_east")
    await update_user(lab.tenant_id, lab.people["seller"], {"superior_id": lab.people["team_lead"]})
    samples = {}
    for owner in ("seller", "outsider", "easterner", "team_lead", "dept_user", "tree_user", "participant", "assigned", "conditional"):
        for grade in ("b", "c"):
            for helper in (None, "assigned"):
                for creator in ("admin", "participant") if owner == "outsider" and not helper else ("admin",):
                    key = f"{owner}-{grade}-{helper}-{creator}"
                    rid = await lab.make("account", by=creator, name=key, grade=grade, reason="r", owner=str(lab.people[owner]), helper=str(lab.people[helper]) if helper else None)
                    samples[key] = Sample(rid, owner, creator, grade, helper)
    return lab, samples


# ---- the oracle --------------------------------------------------------------------------------------------------------

NORTH = {"seller", "team_lead", "dept_user", "tree_user", "participant", "assigned", "conditional"}


def in_scope(scope: str, who: str, s: Sample) -> bool:
    if scope == "all":
        return True
    if scope == "own":
        return s.owner == who
    if scope == "assigned":
        return s.helper == who
    if scope == "participant":
        return who in (s.owner, s.creator, s.helper)
    if scope == "team":
        return s.owner == who or (who == "team_lead" and s.owner == "seller")
    if scope == "dept":
        return s.owner in NORTH
    if scope == "dept_tree":
        return s.owner in NORTH | {"easterner"}
    return False


def has(right: str, who: str, s: Sample) -> bool:
    role = next(r for r in ROLES if r["key"] == who)
    if role.get("admin"):
        return True
    rights = role["entities"].get("account") or role["entities"].get("*") or {}
    given = rights.get(right, "none")
    for rule in given if isinstance(given, list) else [given]:
        scope, condition = (rule, None) if isinstance(rule, str) else (rule["scope"], rule.get("if"))
        truth = {None: True, "grade == 'b'": s.grade == "b", "grade == 'c'": s.grade == "c", "grade != 'a'": s.grade != "a"}[condition]
        if in_scope(scope, who, s) and truth:
            return True
    return False


def anywhere(right: str, who: str) -> bool:
    role = next(r for r in ROLES if r["key"] == who)
    rights = role.get("entities", {}).get("account") or role.get("entities", {}).get("*") or {}
    return bool(role.get("admin")) or rights.get(right, "none") != "none"


def expected(operation: str, who: str, s: Sample) -> str:
    if operation in ("get", "history"):
        return ALLOWED if has("read", who, s) else UNSEEN
    if operation in ("update", "delete", "restore"):
        right = "update" if operation == "update" else "delete"
        return UNSEEN if not has("read", who, s) else ALLOWED if has(right, who, s) else DENIED
    raise AssertionError(operation)


async def verdict(awaitable: Any) -> str:
    try:
        await awaitable
    except NotFound:
        return UNSEEN
    except PermissionDenied:
        return DENIED
    return ALLOWED


class Undo(Exception):
    pass


async def tried(lab: Lab, awaitable_of: Any) -> str:
    """The verdict of an act that is undone again."""
    found = ""
    try:
        async with tenant_transaction(lab.tenant_id):
            found = await verdict(awaitable_of())
            raise Undo
    except Undo:
        return found


# ---- records -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("operation", ["get", "history", "update", "delete", "restore"])
async def test_one_record(field, operation: str, who: str, origin: str) -> None:
    lab, samples = field
    ctx = await lab.ctx(who, origin=origin)
    system = await lab.system()
    for key, s in samples.items() if origin == "api" else list(samples.items())[::5]:

        async def act(s: Sample = s) -> None:
            if operation == "restore":
                await execute(system, ops.Delete(entity="account", id=s.id))
            await execute(
                ctx,
                {
                    "get": ops.Get(entity="account", id=s.id), "history": ops.History(entity="account", id=s.id),
                    "update": ops.Update(entity="account", id=s.id, values={"mail": f"{who}@x.example"}), "delete": ops.Delete(entity="account", id=s.id),
                    "restore": ops.Restore(entity="account", id=s.id),
                }[operation],
            )  # fmt: skip

        assert await tried(lab, act) == expected(operation, who, s), key


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("who", WHO)
async def test_many_records(field, who: str, origin: str) -> None:
    """List, count, aggregate, board and export see exactly the same records."""
    lab, samples = field
    ctx = await lab.ctx(who, origin=origin)
    seen = {s.id for s in samples.values() if has("read", who, s)}
    if not anywhere("read", who):
        for operation in (ops.List(entity="account"), ops.Aggregate(entity="account", measures=[ops.Measure(fn="count")]), ops.Board(entity="account", by="grade")):
            assert await verdict(execute(ctx, operation)) == DENIED
        assert await verdict(execute(ctx, ops.List(entity="account", right="export"))) == DENIED
        return
    page = await execute(ctx, ops.List(entity="account", limit=200, count="exact", can=True))
    assert {r.id for r in page.records} == seen and page.count.value == len(seen)
    assert {r.id for r in page.records if r.can.update} == {s.id for s in samples.values() if has("update", who, s) and has("read", who, s)}
    assert {r.id for r in page.records if r.can.delete} == {s.id for s in samples.values() if has("delete", who, s) and has("read", who, s)}
    [figure] = await execute(ctx, ops.Aggregate(entity="account", measures=[ops.Measure(fn="count")]))
    assert figure.values == [len(seen)]
    board = await execute(ctx, ops.Board(entity="account", by="grade", limit=200))
    assert {r.id for c in board for r in c.records} == seen and sum(c.count for c in board) == len(seen)
    if anywhere("export", who):
        exported = await execute(ctx, ops.List(entity="account", right="export", limit=200))
        assert {r.id for r in exported.records} == {s.id for s in samples.values() if has("read", who, s) and has("export", who, s)}
    else:
        assert await verdict(execute(ctx, ops.List(entity="account", right="export"))) == DENIED


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("who", WHO)
async def test_create(field, who: str, origin: str) -> None:
    lab, _ = field
    ctx = await lab.ctx(who, origin=origin)
    role = next(r for r in ROLES if r["key"] == who)
    rights = role.get("entities", {}).get("account") or role.get("entities", {}).get("*") or {}
    for grade in ("b", "c"):
        given = rights.get("create", False)
        may = bool(role.get("admin") or rights.get("import") or given is True or (isinstance(given, dict) and grade == "b"))
        values = {"grade": grade, "reason": "x", **({} if who == "untitled" else {"name": f"{who} {grade}"})}
        got = await tried(lab, lambda v=values: execute(ctx, ops.Create(entity="account", values=v)))
        assert got == (ALLOWED if may else DENIED), (who, grade)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("who", WHO)
async def test_transitions(field, who: str, origin: str) -> None:
    """lose: named roles, or what the role says; offer: whoever may update."""
    lab, _ = field
    ctx = await lab.ctx(who, origin=origin)
    deal = await lab.make("deal", by="admin", name="Moved", amount=5)
    role = next(r for r in ROLES if r["key"] == who)
    rights = role.get("entities", {}).get("deal") or role.get("entities", {}).get("*") or {}
    reads = role.get("admin") or rights.get("read") == "all"
    updates = role.get("admin") or rights.get("update") == "all"
    for key, values in (("lose", {"reason": "x"}), ("offer", {})):
        listed = role.get("transitions", {}).get("deal")
        if role.get("admin"):
            may = True
        elif listed is not None:
            may = listed == "*" or key in listed
        else:
            may = who in ("seller", "chief") if key == "lose" else updates
        want = UNSEEN if not reads else ALLOWED if may else DENIED
        assert await tried(lab, lambda k=key, v=values: execute(ctx, ops.Transition(entity="deal", id=deal, key=k, values=v))) == want, key


def test_no_cell_is_empty() -> None:
    """Each operation stands in a test above that runs over every role and origin."""
    tested = {"get", "history", "update", "delete", "restore"} | {"list", "aggregate", "board", "export"} | {"create"} | {"transition"}
    assert tested == set(OPERATIONS)
    for test in (test_one_record, test_many_records, test_create, test_transitions):
        names = {m.args[0] for m in test.pytestmark}
        assert {"who", "origin"} <= names


# ---- people whose situation is special -------------------------------------------------------------------------------------


async def test_several_roles_are_a_union(field) -> None:
    lab, _ = field
    both = await lab.person("both", ["seller", "assigned", "nobody"], "south")
    mine = await lab.make("account", name="both own", owner=str(both))
    helped = await lab.make("account", name="both helped", helper=str(lab.people["seller"]), owner=str(lab.people["outsider"]))
    ctx = await lab.ctx("both")
    assert {r.id for r in (await execute(ctx, ops.List(entity="account"))).records} == {mine}
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE record SET deleted_at = now() WHERE tenant_id = $1 AND id = ANY($2::uuid[])", lab.tenant_id, [mine, helped])


async def test_a_role_that_is_gone_gives_nothing(field) -> None:
    lab, samples = field
    await lab.person("former", ["chief"], "north")
    anything = next(iter(samples.values())).id
    assert (await lab.get("account", anything, by="former")).id == anything
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE user_role SET role_key = 'retired_role' WHERE tenant_id = $1 AND user_id = $2", lab.tenant_id, lab.people["former"])
    ctx = await lab.ctx("former")
    assert await verdict(execute(ctx, ops.List(entity="account"))) == DENIED
    assert await verdict(execute(ctx, ops.Get(entity="account", id=anything))) == UNSEEN
    assert await verdict(execute(ctx, ops.Create(entity="account", values={"name": "x"}))) == DENIED


async def test_a_person_without_department_sees_their_own_only(field) -> None:
    lab, _ = field
    lonely = await lab.person("lonely", ["dept_user"], None)
    nobodys = await lab.make("account", name="nobodys", owner=None)
    own = await lab.make("account", by="lonely", name="lonely own")
    found = (await execute(await lab.ctx("lonely"), ops.List(entity="account"))).records
    assert [r.id for r in found] == [own] and found[0].owner == lonely and found[0].department is None
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE record SET deleted_at = now() WHERE tenant_id = $1 AND id = ANY($2::uuid[])", lab.tenant_id, [nobodys, own])


@pytest.mark.parametrize("who", ["admin", "chief", "seller"])
async def test_a_suspended_company_reads_and_does_not_write(field, who: str) -> None:
    from dataclasses import replace

    lab, samples = field
    ctx = await lab.ctx(who)
    ctx = ctx.replace(tenant=replace(ctx.tenant, status="suspended"))
    own = next(s.id for s in samples.values() if s.owner == "seller")
    assert (await execute(ctx, ops.Get(entity="account", id=own))).id == own
    for operation in (
        ops.Create(entity="account", values={"name": "x"}), ops.Update(entity="account", id=own, values={"credit": 1}), ops.Delete(entity="account", id=own),
        ops.Restore(entity="account", id=own), ops.Transition(entity="deal", id=own, key="win"),
    ):  # fmt: skip
        with pytest.raises(PermissionDenied) as caught:
            await execute(ctx, operation)
        assert caught.value.data["reason"] == "suspended"


async def test_a_failed_write_leaves_nothing_inside_a_larger_act(field) -> None:
    lab, _ = field
    ctx = await lab.ctx("chief")
    async with tenant_transaction(lab.tenant_id) as conn:
        kept = (await execute(ctx, ops.Create(entity="account", values={"name": "kept", "taxno": "larger act"}))).record.id
        before = await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1", lab.tenant_id)
        for values in ({"name": "lost", "taxno": "larger act"}, {"name": "lost", "grade": "c"}):
            with pytest.raises(InvalidInput):
                await execute(ctx, ops.Create(entity="account", values=values))
        with pytest.raises(AppError):
            await execute(ctx, ops.Transition(entity="account", id=kept, key="none"))
        assert await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1", lab.tenant_id) == before
        await execute(ctx, ops.Delete(entity="account", id=kept))
