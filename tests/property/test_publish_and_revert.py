"""Whatever is published, taking it back gives the same configuration and the same values: random changes over real records."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.metadata import edits, store
from saas.metadata.parse import problems_of
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.configuration import make_plan, publish, revert
from saas.runtime.worker import drain
from tests.bundles import field, label
from tests.factories import Lab, make_lab, options, rich_bundle

ROUNDS = 16
TYPES: dict[str, dict[str, Any]] = {
    "text": {}, "longtext": {}, "int": {}, "number": {"scale": 4}, "percent": {"min": -1000, "max": 1000}, "bool": {}, "date": {}, "datetime": {}, "phone": {}, "email": {},
    "url": {}, "money": {}, "tags": {}, "rating": {}, "option": {"options": options("red", "green", "x")}, "multi": {"options": options("x", "y", "red")}, "user": {},
}  # fmt: skip
Change = Callable[[random.Random, dict[str, Any]], dict[str, Any]]


@pytest_asyncio.fixture(scope="module")
async def lab(database: Any) -> Lab:
    """Things with something in every field, accounts with lines and deals."""
    made = await make_lab(people=False)
    helper = str(await made.person("seller", ["seller"]))
    accounts = [
        await made.make("account", name=f"Account {n}", grade="bc"[n % 2], reason="why", credit=n * 10, budget=str(n * 5), phone=f"1380013800{n}", helper=helper, bank=f"Bank {n}")
        for n in range(4)
    ]
    for n in range(5):
        await made.make("line", name=f"Line {n}", account=str(accounts[n % 3]), amount=str(n * 7), qty=n, date=f"2025-01-0{n + 1}")
    for n in range(4):
        await made.make("deal", name=f"Deal {n}", account=str(accounts[n]), amount=str(n * 60), comment="12" if n % 2 else "much")
    for n in range(8):
        await made.make(
            "thing", name=str(n) if n % 3 else f"Thing {n}", note="2025-02-03" if n % 2 else "red", rank=n, size=n / 8, share=n, vip=bool(n % 2), due=f"2025-03-0{n + 1}", met=f"2025-03-0{n + 1}T08:00:00Z",
            clock="08:30", phone=f"1390013900{n}", mail=f"n{n}@x.example", site="https://x.example", place={"city": "Harbin"}, price=str(n), color=("red", "green", "blue")[n % 3],
            kinds=["x", "y"][: n % 3] or None, tags=["a", "b"], stars=n % 5 + 1, score=n, helper=helper, account=str(accounts[n % 4]), accounts=[str(a) for a in accounts[: n % 3]], secret=str(n),
        )  # fmt: skip
    return made


# ---- what an admin may do ------------------------------------------------------------------------------------------------


def _field(chance: random.Random, raw: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    entity = chance.choice(["thing", "thing", "account", "line", "deal"])
    found = chance.choice(edits.find(raw, f"entities[{entity}].fields"))
    return f"entities[{entity}].fields[{found['key']}]", found


def remove_field(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    return edits.remove(raw, _field(chance, raw)[0])


def add_field(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    kind = chance.choice(list(TYPES))
    return edits.add(raw, f"entities[{chance.choice(['thing', 'account'])}].fields", field(f"new_{chance.randrange(10**6)}", kind, **TYPES[kind]))


def change_type(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    path, found = _field(chance, raw)
    kind = chance.choice(list(TYPES))
    return edits.put(raw, path, field(found["key"], kind, **TYPES[kind]))


def tighten(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    path, found = _field(chance, raw)
    limit = {"text": {"max_length": 3}, "int": {"max": 2}, "number": {"scale": 0}, "money": {"currency": "JPY"}, "date": {"min": "2025-03-04"}}.get(found["type"], {"help": label("Help")})
    return edits.put(raw, path, {**found, **limit})


def lose_choice(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    return edits.remove(raw, chance.choice(["entities[thing].fields[color].options[red]", "entities[thing].fields[kinds].options[x]", "entities[account].fields[grade].options[c]"]))


def rename(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    path, found = _field(chance, raw)
    return edits.put(raw, path, {**found, "label": label(f"Name {chance.random()}")})


def shuffle(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    keys = [f["key"] for f in edits.find(raw, "entities[thing].fields")]
    chance.shuffle(keys)
    return edits.reorder(raw, "entities[thing].fields", keys)


def change_rollup(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    return edits.put(raw, "entities[account].fields[line_sum]", field("line_sum", "rollup", of="lines", fn=chance.choice(["sum", "max", "avg"]), field=chance.choice(["qty", "amount"])))


def make_unique(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    path, found = _field(chance, raw)
    return edits.put(raw, path, {**found, "unique": True})


def drop_entity(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    raw = edits.remove(raw, "entities[contract]")
    for role in raw["roles"]:
        role.get("entities", {}).pop("contract", None)
    return raw


CHANGES: list[Change] = [remove_field, remove_field, add_field, change_type, change_type, change_type, tighten, lose_choice, rename, shuffle, change_rollup, make_unique, drop_entity]


def changed(chance: random.Random) -> dict[str, Any]:
    """The rich bundle after some changes that leave it valid."""
    raw = rich_bundle()
    for _ in range(40):
        tried = chance.choice(CHANGES)(chance, raw)
        if not problems_of(tried):
            raw = tried
        if store.content_hash(raw) != store.content_hash(rich_bundle()) and chance.random() < 0.15:
            break
    return raw


# ---- the property --------------------------------------------------------------------------------------------------------


async def everything(lab: Lab) -> dict[UUID, dict[str, Any]]:
    """{record: all its values}."""
    rows = await lab.fetch("SELECT r.id, e.key FROM record r JOIN entity e ON e.id = r.entity_id WHERE r.tenant_id = $1 AND r.deleted_at IS NULL")
    return {row[0]: dict((await lab.get(row[1], row[0])).values) for row in rows}


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_publish_then_revert(lab: Lab, seed: int):
    chance = random.Random(f"revert-{seed}")
    before, first = await everything(lab), await store.revision(lab.tenant_id)
    raw = changed(chance)
    plan = await make_plan(await lab.ctx(), raw)
    assert plan.report.can_publish, [str(o) for o in plan.report.obstacles]
    await publish(await lab.ctx(), plan_id=plan.id)
    await drain()
    await time_passes(lab, chance)
    assert (await store.revision(lab.tenant_id)).hash == store.content_hash(raw)
    lost = sum(i.count for i in plan.report.impacts if i.code == "values_lost")
    done = await conversions(lab)
    assert lost == done, "the plan said how many values would be lost"
    expected = await work_meanwhile(lab, before, raw, chance)
    back = await revert(await lab.ctx(), first.number)
    await drain()
    await time_passes(lab, chance)
    assert back.hash == first.hash == store.content_hash((await store.revision(lab.tenant_id)).bundle)
    after = await everything(lab)
    differences = [(str(i)[-6:], k, v, after[i].get(k)) for i, values in expected.items() for k, v in values.items() if after[i].get(k) != v]
    assert differences == [], [c.path for c in plan.report.changes]


async def time_passes(lab: Lab, chance: random.Random) -> None:
    """Sometimes what looks after late requests of earlier changes is due only now."""
    if chance.random() < 0.4:
        await lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND status = 'queued' RETURNING 1")
        await drain()


async def conversions(lab: Lab) -> int:
    """How many values the work on data could not take over, as its job says."""
    [row] = await lab.fetch("SELECT result FROM job WHERE tenant_id = $1 AND kind = 'backfill' AND payload->>'revision' = "
                            "(SELECT config_revision::text FROM tenant WHERE id = $1)") or [["{}"]]  # fmt: skip
    return sum(len(set(step.get("lost_ids", ()))) for step in json.loads(row[0] or "{}").get("steps", ()))


async def work_meanwhile(lab: Lab, before: dict[UUID, dict[str, Any]], raw: dict[str, Any], chance: random.Random) -> dict[UUID, dict[str, Any]]:
    """Somebody renames a deal; what was written in the meantime is kept, too."""
    expected = {i: dict(v) for i, v in before.items()}
    [row] = await lab.fetch("SELECT r.id FROM record r JOIN entity e ON e.id = r.entity_id WHERE r.tenant_id = $1 AND e.key = 'deal' ORDER BY r.id LIMIT 1")
    found = edits.find(raw, "entities[deal].fields[name]")
    if found == edits.find(rich_bundle(), "entities[deal].fields[name]"):
        text = f"Deal {chance.randrange(1000)}"
        await execute(await lab.ctx(), ops.Update(entity="deal", id=row[0], values={"name": text}))
        expected[row[0]]["name"] = text
    return expected
