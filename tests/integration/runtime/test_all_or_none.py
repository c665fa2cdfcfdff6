"""A transition does all its effects or none: a fault at each of them, and two hundred at once, looked at behind the door."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.errors import AppError, Conflict
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.steps import Walk
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab
from tests.ledger_bundle import ledger_bundle

EFFECTS = [
    {"action": "post_ledger", "entity": "entry", "values": {"member": "member", "amount": "cost", "direction": "'subtract'", "event": "'redeem'", "way": "'automatic'"}},
    {"action": "set", "values": {"name": "concat(name, '!')"}},
    {"action": "http", "url": "https://other.example/given", "body": {"gift": "id"}},
    {"action": "create", "entity": "customer", "values": {"name": "name"}},
    {"action": "notify", "to": ["role:admin"], "title": label("Given")},
    {"action": "post_ledger", "entity": "move", "values": {"product": "product", "kind": "'out'", "quantity": "1"}},
]  # fmt: skip
WAYS = 3  # the same effects, each time beginning with another one
TABLES = (
    "record", "record_event", "stage_history", "outbox", "notification", "automation_log", "search_token", "unique_value", "record_link", "counter", "job", "audit_event", "ownership_event", "message", "mail",
)  # fmt: skip


def bundle() -> dict[str, Any]:
    found = ledger_bundle()
    gift = next(e for e in found["entities"] if e["key"] == "gift")
    gift["fields"].append(fld("stage", "pipeline", pipeline="gift"))
    found["pipelines"].append({
        "key": "gift", "entity": "gift", "field": "stage", "label": label("Gift"), "stages": [{"key": "wanted", "label": label("Wanted")}, {"key": "given", "label": label("Given"), "kind": "done"}],
        "transitions": [{"key": f"give{n}", "label": label(f"Give {n}"), "from": ["wanted"], "to": "given", "effects": [*EFFECTS[2 * n :], *EFFECTS[: 2 * n]]} for n in range(WAYS)],
    })  # fmt: skip
    found["automations"] = [a for a in found["automations"] if a["key"] != "redeem"]
    return found


@pytest_asyncio.fixture(scope="module")
async def firm(database) -> Lab:
    return await make_lab(bundle(), people=False)


async def member(firm: Lab, points: int) -> UUID:
    found = await firm.make("member", name="m")
    await firm.make("entry", member=str(found), amount=points, event="issue", note="to begin with", way="automatic")
    return found


async def product(firm: Lab, stock: int) -> UUID:
    found = await firm.make("product", name="p")
    await firm.make("move", product=str(found), kind="in", quantity=stock)
    return found


async def gift(firm: Lab, who: UUID, what: UUID, cost: int) -> UUID:
    return await firm.make("gift", name="g", member=str(who), product=str(what), cost=cost)


async def world(firm: Lab) -> dict[str, Any]:
    """Every row of every table that an effect could touch."""
    rows = {table: await firm.fetch(f"SELECT to_jsonb(t)::text FROM {table} t WHERE tenant_id = $1") for table in TABLES}  # noqa: S608  names of this file
    return {table: sorted(row[0] for row in found) for table, found in rows.items()}


@settings(max_examples=24, suppress_health_check=list(HealthCheck))
@given(way=st.integers(0, WAYS - 1), at=st.integers(0, len(EFFECTS)), after=st.booleans(), fault=st.sampled_from((Conflict, ZeroDivisionError, asyncio.CancelledError)))
async def test_a_fault_at_any_effect_leaves_nothing(firm, way, at, after, fault):
    """Refused, crashed or cancelled, before the effect or when it has just been done; `at` beyond the last: all of it happens."""
    wanted = await gift(firm, await member(firm, 50), await product(firm, 1), 20)
    before, count, action = await world(firm), 0, Walk._action

    async def injected(walk: Walk, *given_: Any) -> Any:
        nonlocal count
        count += 1
        if count == at + 1 and not after:
            raise fault("injected")
        found = await action(walk, *given_)
        if count == at + 1:
            raise fault("injected")
        return found

    Walk._action, failed = injected, False  # type: ignore[method-assign]
    try:
        await execute(await firm.ctx(), ops.Transition(entity="gift", id=wanted, key=f"give{way}"))
    except (AppError, ZeroDivisionError, asyncio.CancelledError):
        failed = True
    finally:
        Walk._action = action  # type: ignore[method-assign]
    now = await world(firm)
    assert failed == (at < len(EFFECTS))
    if failed:
        assert {table for table in TABLES if now[table] != before[table]} == set()
    else:
        more = {table: len(now[table]) - len(before[table]) for table in TABLES}
        assert {table: more[table] for table in ("record", "outbox", "notification")} == {"record": 3, "outbox": 1, "notification": 1}
        assert (await firm.get("gift", wanted)).values["name"] == "g!" and (await firm.get("gift", wanted)).state == "given"


async def test_200_transitions_at_once_keep_every_invariant(firm):
    """Many want the same gifts, with too few points and too little in stock: each is given once and whole, or not at all."""
    members, kettle = [await member(firm, 100) for _ in range(4)], await product(firm, 12)
    dice, gate = random.Random(5), asyncio.Semaphore(16)
    costs = {await gift(firm, members[n % 4], kettle, cost): cost for n, cost in enumerate(dice.choices((10, 20, 30, 40), k=24))}

    async def one(which: UUID, way: int) -> bool:
        async with gate:
            try:
                await execute(await firm.ctx(), ops.Transition(entity="gift", id=which, key=f"give{way}"))
            except AppError:
                return False
            return True

    done = await asyncio.gather(*(one(dice.choice(list(costs)), dice.randrange(WAYS)) for _ in range(200)))
    given_ = [row["id"] for row in await firm.fetch("SELECT id FROM record WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND state = 'given'", list(costs))]
    assert sum(done) == len(given_) > 4, "an answer for each, and each once"
    entered = dict(await firm.fetch("SELECT record_id, count(*) FROM stage_history WHERE tenant_id = $1 AND record_id = ANY($2::uuid[]) AND stage = 'given' GROUP BY 1", list(costs)))
    assert entered == dict.fromkeys(given_, 1)
    moved = dict(await firm.fetch("SELECT record_id, count(*) FROM record_event WHERE tenant_id = $1 AND record_id = ANY($2::uuid[]) AND transition IS NOT NULL GROUP BY 1", list(costs)))
    assert moved == dict.fromkeys(given_, 1)
    told = dict(await firm.fetch("SELECT payload->'body'->>'gift', count(*) FROM outbox WHERE tenant_id = $1 AND payload->'body'->>'gift' = ANY($2::text[]) GROUP BY 1", [str(i) for i in costs]))
    assert told == {str(i): 1 for i in given_}
    config = (await firm.ctx()).config
    entry, move = config.entity("entry"), config.entity("move")
    out = f"SELECT count(*) FROM record WHERE tenant_id = $1 AND entity_id = {move.number} AND {move.columns['product']} = $2 AND {move.columns['kind']} = 'out'"  # noqa: S608  the test's own names
    assert (await firm.fetch(out, kettle))[0][0] == len(given_) <= 12
    assert (await firm.get("product", kettle)).values["stock"] == 12 - len(given_)
    of = {which: members[n % 4] for n, which in enumerate(costs)}
    for who in members:
        spent = [costs[which] for which in given_ if of[which] == who]
        taken = f"SELECT {entry.columns['amount']} FROM record WHERE tenant_id = $1 AND entity_id = {entry.number} AND {entry.columns['member']} = $2 AND {entry.columns['direction']} = 'subtract'"  # noqa: S608
        assert sorted(row[0] for row in await firm.fetch(taken, who)) == sorted(spent)
        assert (await firm.get("member", who)).values["points"] == 100 - sum(spent) >= 0
