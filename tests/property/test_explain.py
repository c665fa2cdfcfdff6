"""What the explanation of rights says is what happens: random people, records and rights, in the rich bundle and in every
shipped pack with sample data, against the door itself in transactions that are undone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import AppError, InvalidInput, NotFound, PermissionDenied
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.packs import list_packs, load_pack, sample
from saas.provision import load_sample
from saas.runtime import Context, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.explain import Verdict, explain
from saas.runtime.explain_words import RIGHTS
from saas.tenants import create_user, list_users, update_user
from tests.factories import PASSWORD, make_lab

ROUNDS = 900
REFUSED = ("forbidden", "read_only", "set_once", "unknown_field")
EMPTY = (None, "", [])
WEIGHTS = {"read": 2, "update": 3, "delete": 3, "restore": 3, "export": 2, "transition": 5, "see_field": 5, "change_field": 6, "create": 1, "import": 1, "bulk": 1, "merge": 1}


@dataclass
class World:
    tenant_id: UUID
    people: dict[str, UUID]
    records: dict[str, list[UUID]]
    deleted: dict[str, list[UUID]] = field(default_factory=dict)


class Undo(Exception):
    pass


async def undone(tenant_id: UUID, act: Callable[[], Awaitable[Any]]) -> AppError | None:
    """The error of an act that is undone again; None when it was allowed."""
    try:
        async with tenant_transaction(tenant_id) as conn:
            try:
                async with conn.transaction():
                    await act()
            except AppError as error:
                return error
            raise Undo
    except Undo:
        return None


# ---- worlds ------------------------------------------------------------------------------------------------------------


async def rich() -> World:
    rng = random.Random(3)
    lab = await make_lab()
    await lab.person("east_seller", ["seller"], "north_east")
    await lab.person("south_chief", ["chief"], "south")
    for name, roles in {"two": ["seller", "assigned"], "three": ["blind", "half_blind"], "four": ["creator", "blind"], "five": ["nobody", "conditional"], "none": [], "gone": ["retired"]}.items():
        await lab.person(name, roles, "north")
    await update_user(lab.tenant_id, lab.people["seller"], {"superior_id": lab.people["team_lead"]})
    owners = ["seller", "east_seller", "team_lead", "dept_user", "tree_user", "participant", "assigned", "conditional", "two"]
    records: dict[str, list[UUID]] = {}

    async def make(entity: str, by: str | None = "admin", **values: Any) -> UUID:
        made = await lab.make(entity, by, **values)
        records.setdefault(entity, []).append(made)
        return made

    for number in range(26):
        grade = rng.choice("abc")
        more = {"remark": "r", "credit": 20} if grade == "a" else {"reason": "r", "credit": rng.choice([None, 50, 7])} if grade == "c" else {"credit": rng.choice([None, 50])}
        account = await make(
            "account", rng.choice(["admin", "chief", "participant"]), name=f"A{number}", grade=grade, owner=str(lab.people[rng.choice(owners)]), frozen=rng.random() < 0.2,
            helper=rng.choice([None, str(lab.people["assigned"]), str(lab.people["seller"])]), bank=f"bank{number}", phone="13800138000", budget="10", fixed=None if more["credit"] == 50 else "x", **more,
        )  # fmt: skip
        if number % 3 == 0:
            await make("line", account=str(account), name=f"L{number}", amount="5")
        if number % 7 == 0:
            await make("contract", account=str(account), name=f"C{number}")
        deal = await make(
            "deal", "admin", name=f"D{number}", owner=str(lab.people[rng.choice(["admin", "seller"])]), account=str(account), amount=rng.choice([None, "50", "500", "2000", "9000"]),
            winner=rng.choice([None, str(lab.people["seller"])]), reason=rng.choice([None, "r"]), satisfaction=rng.choice([None, 1, 3, 5]),
        )  # fmt: skip
        if number % 4 == 0:
            await execute(await lab.system(), ops.Transition(entity="deal", id=deal, key="lose", values={"reason": "r"}))
        await make("task", "admin", name=f"T{number}", deal=str(deal))
    for number in range(4):
        await make("log", ("admin", "chief")[number % 2], text=f"log {number}")
        await make("feed", None, text=f"feed {number}")
        await make("thing", "admin", name=f"Thing {number}", secret="s", phone="13800138000")
    return World(lab.tenant_id, lab.people, records)


async def from_pack(pack: str, tenant_factory: Any) -> World:
    tenant = await tenant_factory(pack=pack)
    data = sample(pack, "en")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saas.runtime.sample_data.sample", lambda *_: {**data, "records": few(data["records"], details_of(pack), 40)})
        await load_sample(tenant.id, tenant.slug, pack, "en", password=PASSWORD)
    config = (await system_context(tenant.id)).config
    department = next((d["key"] for d in load_pack(pack).get("departments", ())), None)
    for number, role in enumerate(config.roles):
        other = list(config.roles)[(number + 2) % len(config.roles)]
        await create_user(tenant.id, f"plain-{role.replace('_', '-')}@{tenant.slug}.example", PASSWORD, f"Plain {role}", [role])
        await create_user(tenant.id, f"both-{role.replace('_', '-')}@{tenant.slug}.example", PASSWORD, f"Both {role}", [role, other], department)
    people = {u["name"]: u["id"] for u in await list_users(tenant.id)}
    return World(tenant.id, people, await stored(tenant.id, deleted=False))


async def stored(tenant_id: UUID, *, deleted: bool) -> dict[str, list[UUID]]:
    """{entity: ids} of the records there are, or of those in the recycle bin."""
    config = (await system_context(tenant_id)).config
    async with tenant_transaction(tenant_id) as conn:
        found = await conn.fetch(
            "SELECT entity_id, array_agg(id ORDER BY id) FROM record WHERE tenant_id = $1 AND (deleted_at IS NOT NULL) = $2 GROUP BY 1", tenant_id, deleted
        )
    keys = {e.number: key for key, e in config.entities.items()}
    return {keys[r[0]]: list(r[1]) for r in found}


def details_of(pack: str) -> set[str]:
    """Entities whose records live inside another one: a record needs all of its own."""
    return {e["key"] for e in load_pack(pack)["entities"] if any(f.get("detail") for f in e["fields"])}


def few(records: list[dict[str, Any]], details: set[str], most: int) -> list[dict[str, Any]]:
    """The first records of each entity whose links all lead to records that are kept."""
    keys = {r["key"] for r in records if r.get("key")}
    kept, there, counts = [], set(), Counter()
    for record in records:
        values = [v for step in (record, *record.get("steps", ())) for v in (step.get("values") or step.get("update") or {}).values()]
        names = {v[1:] for value in values for v in (value if isinstance(value, list) else [value]) if isinstance(v, str) and v.startswith("@")} & keys
        if (counts[record["entity"]] < most or record["entity"] in details) and not names - there:
            counts[record["entity"]] += 1
            kept.append(record)
            there.update([record["key"]] if record.get("key") else [])
    return kept


@pytest_asyncio.fixture(scope="module", params=["rich", *(p.key for p in list_packs())])
async def world(request: pytest.FixtureRequest, database: Any, tenant_factory: Any) -> World:
    found = await (rich() if request.param == "rich" else from_pack(request.param, tenant_factory))
    system = await system_context(found.tenant_id)
    rng = random.Random(11)
    for entity, ids in found.records.items():
        for record_id in rng.sample(ids, len(ids) // 5):
            try:
                await execute(system, ops.Delete(entity=entity, id=record_id))
            except AppError:
                continue
    found.deleted = await stored(found.tenant_id, deleted=True)
    gone = {u["id"] for u in await list_users(found.tenant_id) if u["status"] != "active"}  # whose own record was among those
    found.people = {name: user_id for name, user_id in found.people.items() if user_id not in gone}
    return found


# ---- what really happens -----------------------------------------------------------------------------------------------


class Real:
    """The door's own verdict."""

    def __init__(self, world: World, ctx: Context, entity: Entity, record_id: UUID | None) -> None:
        self.world, self.ctx, self.entity, self.id = world, ctx, entity, record_id

    async def allows(self, right: str, field_key: str | None, transition: str | None) -> bool:
        if self.id is None:
            return self.in_general(right, field_key)
        return await getattr(self, right)(field_key or transition)

    def in_general(self, right: str, field_key: str | None) -> bool:
        if right in ("see_field", "change_field"):
            level = permissions.static_access(self.ctx, self.entity)[field_key or ""]
            if right == "see_field":
                return permissions.may(self.ctx, "read", self.entity.key) and level in ("read", "write")
            declared = self.entity.fields[field_key or ""]
            fixed = field_types.get(declared.type).computed or declared.type == "pipeline" or declared.read_only
            return permissions.may(self.ctx, "create", self.entity.key) and level == "write" and not fixed
        frozen = self.entity.defn.append_only and right in ("update", "delete", "bulk", "merge")
        return permissions.may(self.ctx, right, self.entity.key) and not frozen

    async def tried(self, operation: Any) -> AppError | None:
        return await undone(self.world.tenant_id, lambda: execute(self.ctx, operation))

    async def read(self, _: Any = None) -> bool:
        return await self.tried(ops.Get(entity=self.entity.key, id=self.id)) is None

    async def update(self, _: Any) -> bool:
        error = await self.tried(ops.Update(entity=self.entity.key, id=self.id, values={}))
        allowed = not isinstance(error, (NotFound, PermissionDenied))
        if await self.read():
            record = await execute(self.ctx, ops.Get(entity=self.entity.key, id=self.id))
            assert record.can.update == allowed
        return allowed

    async def delete(self, _: Any) -> bool:
        return await self.tried(ops.Delete(entity=self.entity.key, id=self.id)) is None

    async def restore(self, _: Any) -> bool:
        return await self.tried(ops.Restore(entity=self.entity.key, id=self.id)) is None

    async def transition(self, key: str) -> bool:
        return await self.tried(ops.Transition(entity=self.entity.key, id=self.id, key=key)) is None

    async def export(self, _: Any) -> bool:
        try:
            page = await execute(self.ctx, ops.List(entity=self.entity.key, filter={"field": "id", "op": "eq", "value": str(self.id)}, right="export"))
        except PermissionDenied:
            return False
        return bool(page.records)

    async def see_field(self, key: str) -> bool:
        if not await self.read():
            return False
        record = await execute(self.ctx, ops.Get(entity=self.entity.key, id=self.id))
        if key not in record.display:
            return False
        true = await execute(await system_context(self.world.tenant_id), ops.Get(entity=self.entity.key, id=self.id))
        if true.display[key] == "":  # nothing there that a mask could cover
            return permissions.static_access(self.ctx, self.entity)[key] != "masked"
        return "****" not in record.display[key] and "***" not in record.display[key]

    async def change_field(self, key: str) -> bool:
        true = await execute(await system_context(self.world.tenant_id), ops.Get(entity=self.entity.key, id=self.id, deleted=self.id in self.world.deleted.get(self.entity.key, ())))
        old = str(true.owner) if key == "owner" and true.owner else true.values.get(key)
        declared = self.entity.fields[key]
        if declared.system and key != "owner":  # passed over in silence: it does not change
            return False
        value = None if old not in EMPTY else another(self.ctx, self.entity, key)
        error = await self.tried(ops.Update(entity=self.entity.key, id=self.id, values={key: value}))
        if isinstance(error, InvalidInput):
            return not any(p.field == key and p.code in REFUSED for p in error.problems)
        return not isinstance(error, (NotFound, PermissionDenied))


def another(ctx: Context, entity: Entity, key: str) -> Any:
    """A value for a field that has none."""
    declared = entity.fields[key]
    by_type = {
        "int": 1, "number": 1, "percent": 1, "score": 1, "rating": 1, "money": "1.00", "bool": True, "date": "2030-01-01", "datetime": "2030-01-01T08:00:00Z", "time": "08:30",
        "ref": str(uuid4()), "user": str(ctx.user_id), "dept": str(uuid4()), "m2m": [str(uuid4())], "tags": ["x"], "email": "x@example.com", "url": "https://example.com",
    }  # fmt: skip
    if declared.type in ("option", "multi"):
        chosen = ctx.config.options(entity.key, key)[0].key
        return [chosen] if declared.type == "multi" else chosen
    return by_type.get(declared.type, "zz1")


# ---- the comparison ----------------------------------------------------------------------------------------------------


def some_question(rng: random.Random, world: World, config: Any) -> tuple[str, str, UUID | None, str | None, str | None]:
    entity = rng.choice(list(config.entities))
    rights = [r for r in RIGHTS if r != "transition" or config.entity(entity).pipeline]
    right = rng.choices(rights, [WEIGHTS[r] for r in rights])[0]
    ids = world.deleted.get(entity, []) if right == "restore" and rng.random() < 0.7 else world.records.get(entity, [])
    record = rng.choice(ids) if ids and (right in ("transition", "restore") or rng.random() < 0.85) else None
    if right in ("create", "import", "bulk", "merge"):
        record = None
    key = rng.choice(list(config.entity(entity).fields)) if right.endswith("_field") else None
    move = rng.choice(config.entity(entity).pipeline.transitions).key if right == "transition" else None
    return entity, right, record, key, move


async def test_its_verdict_is_what_happens(world: World) -> None:
    rng = random.Random(5)
    asker = next(c for c in [await context_for_user(world.tenant_id, i) for i in world.people.values()] if permissions.is_admin(c))
    seen: Counter[tuple[str, bool]] = Counter()
    for _round in range(ROUNDS):
        who = rng.choice(list(world.people))
        them = await context_for_user(world.tenant_id, world.people[who], origin="page")
        entity, right, record, key, move = some_question(rng, world, them.config)
        if record is None and right in ("transition", "restore", "delete", "update") and rng.random() < 0.8:
            continue
        if record is None and right in ("transition", "restore"):
            continue
        verdict = await explain(asker, them.user, entity, record, right, key, move)
        real = await Real(world, them, them.config.entity(entity), record).allows(right, key, move)
        question = f"{who}: {right} {entity} {record} {key or move or ''}"
        assert verdict.allowed == real, f"{question}: said {verdict.allowed}, was {real}\n{told(verdict)}"
        assert sound(verdict), f"{question}\n{told(verdict)}"
        seen[right, real] += 1
    for right in RIGHTS:  # a comparison that never met both answers would prove little
        assert seen[right, True] + seen[right, False] > 0, right
    assert all(seen[right, answer] for right in ("read", "update", "see_field", "change_field") for answer in (True, False)), seen


def sound(verdict: Verdict) -> bool:
    """A refusal names what stands against it, an approval nothing; a grant holds where one of its rules does."""
    refusing = [s for s in verdict.steps if s.holds is False]
    if bool(refusing) == verdict.allowed:
        return False
    grants = [s for s in verdict.steps if s.steps and all(isinstance(x.holds, bool) for x in s.steps)]
    return all(s.holds is None or "field" in s.text or s.holds == any(x.holds for x in s.steps) for s in grants)


def told(verdict: Verdict) -> str:
    lines = []
    for step in verdict.steps:
        lines.append(f"{step.holds!s:6} {step.text} | {step.detail}")
        lines += [f"       {x.holds!s:6} {x.text} | {x.detail}" for x in step.steps]
    return "\n".join(lines)
