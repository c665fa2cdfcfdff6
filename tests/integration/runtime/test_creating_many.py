"""Records created together are what they would be one after the other: every table, every reason why one is refused."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import count_queries, query_count, tenant_transaction
from saas.errors import AppError, InvalidInput
from saas.runtime import creating, execute
from saas.runtime import operations as ops
from saas.runtime.context import Context
from tests.factories import ACCOUNT, Lab, make_lab

AT = datetime(2025, 3, 3, 8, tzinfo=UTC)
TABLES = {
    "record": "SELECT to_jsonb(t) FROM record t WHERE tenant_id = $1",
    "event": "SELECT to_jsonb(t) FROM record_event t WHERE tenant_id = $1",
    "token": "SELECT to_jsonb(t) FROM search_token t WHERE tenant_id = $1",
    "unique": "SELECT to_jsonb(t) FROM unique_value t WHERE tenant_id = $1",
    "link": "SELECT to_jsonb(t) FROM record_link t WHERE tenant_id = $1",
    "stage": "SELECT to_jsonb(t) FROM stage_history t WHERE tenant_id = $1",
    "counter": "SELECT to_jsonb(t) FROM counter t WHERE tenant_id = $1",
    "notification": "SELECT to_jsonb(t) FROM notification t WHERE tenant_id = $1",
    "automation": "SELECT to_jsonb(t) FROM automation_log t WHERE tenant_id = $1",
}
TIMED = re.compile(r', "ms": [0-9.]+')  # how long a step took
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Made anew for each row, so different in two tenants; of moments only the second counts.
OWN = {"tenant_id", "id", "operation_id", "work_us"}


@pytest_asyncio.fixture(scope="module")
async def twins(database) -> AsyncIterator[tuple[Lab, Lab]]:
    """Two tenants that are alike: one gets its records one by one, the other together."""
    yield await make_lab(), await make_lab()


async def one_by_one(ctx: Context, entity: str, rows: Sequence[Mapping[str, Any]], confirm: bool) -> list[Any]:
    outcomes: list[Any] = []
    for place, values in enumerate(rows):
        try:
            change = await execute(
                ctx.replace(fixed_now=AT + timedelta(microseconds=place)), ops.Create(entity=entity, values=values, confirm_duplicates=confirm, brief=True)
            )
            outcomes.append(UUID(change.effects[0]["id"] if entity != "task" else next(e["id"] for e in change.effects if e["entity"] == "task")))
        except AppError as error:
            outcomes.append(error)
    return outcomes


def said(error: Any) -> Any:
    if isinstance(error, InvalidInput):
        return [(p.field, p.code, str(p.message)) for p in error.problems]
    return type(error).__name__, str(error.message)


async def look(lab: Lab, names: Mapping[str, str]) -> dict[str, list[str]]:
    """All rows of all tables, ids replaced by what they stand for."""
    found = {}
    numbers = {str(r[0]): r[1] for r in await lab.fetch("SELECT id, key FROM entity WHERE tenant_id = $1")}
    for table, sql in TABLES.items():
        lines = []
        for [raw] in await lab.fetch(sql):
            row = {k: v for k, v in json.loads(raw).items() if v is not None}
            row["entity_id"] = numbers.get(str(row.get("entity_id")), row.get("entity_id"))
            row = {k: v[:19] if k.endswith("_at") or k in ("at", "state_since") else v for k, v in row.items() if (table == "record" and k == "id") or k not in OWN}
            text = TIMED.sub("", json.dumps(row, sort_keys=True, ensure_ascii=False))
            lines.append(UUID_TEXT.sub(lambda found: names.get(found[0], "<made by an automation>"), text))
        found[table] = sorted(lines)
    return found


async def both(twins: tuple[Lab, Lab], who: str, entity: str, make: Any, *, confirm: bool = False) -> tuple[list[Any], int]:
    """Create rows in both tenants, hold everything against each other; gives what came of them and the queries it took together."""
    seen, outcomes, queries = [], [], 0
    for lab, together in zip(twins, (False, True), strict=True):
        ctx = await lab.ctx(who, at=AT)
        rows = make(lab)
        async with tenant_transaction(lab.tenant_id):
            if together:
                with count_queries():
                    made = await execute(ctx, ops.CreateMany(entity=entity, rows=rows, confirm_duplicates=confirm))
                    queries = query_count()
            else:
                made = await one_by_one(ctx, entity, rows, confirm)
        lab.made = [*getattr(lab, "made", []), *(m for m in made if isinstance(m, UUID))]
        names = {str(i): f"<{n}>" for n, i in enumerate(lab.made)} | {str(i): f"<{k}>" for k, i in {**lab.people, **lab.departments}.items()}
        seen.append(await look(lab, names))
        outcomes.append([m if isinstance(m, UUID) else said(m) for m in made])
    alone, many = ([None if isinstance(m, UUID) else m for m in found] for found in outcomes)
    assert many == alone
    for table in TABLES:
        assert seen[1][table] == seen[0][table], table
    assert seen[0]["record"] and seen[0]["event"] and seen[0]["token"]
    return alone, queries


async def made_at(ctx: Context, **values: Any) -> UUID:
    """An account made at the context's fixed moment."""
    return UUID((await execute(ctx, ops.Create(entity="account", values=values, brief=True))).effects[0]["id"])


def at(lab: Lab, place: int) -> str:
    return str(lab.made[place])


async def test_all_tables_are_the_same_for_good_and_bad_rows(twins):
    def accounts(lab: Lab) -> list[dict[str, Any]]:
        return [
            {"name": "东风机械", "phone": "+8613800138000", "taxno": "T1", "bank": "Gold", "grade": "a", "credit": 20, "remark": "好"},
            {"name": "Rome", "region": "north", "city": "harbin", "taxno": "T2", "mail": "a@x.example"},
            {"name": "Bad option", "grade": "z"},
            {"name": "Bad city", "region": "south", "city": "harbin"},
            {},
            {"name": "Taken", "taxno": "t 1"},
            {"name": "Rome", "region": "north", "city": "harbin"},
            {"name": "Gold A", "bank": "gold", "grade": "a", "credit": 30, "remark": "x"},
            {"name": "Gold B", "bank": "gold"},
            {"name": "Rule", "grade": "a", "credit": 5, "remark": "x"},
            {"name": "Required if", "grade": "c"},
            {"name": "Same phone", "phone": "+8613800138000"},
            {"name": "Blocked", "mail": "A@x.example"},
            {"name": "Unknown ref", "above": "00000000-0000-4000-8000-000000000001"},
            {"name": "Unknown friend", "friends": ["00000000-0000-4000-8000-000000000001"]},
            {"name": "Frozen", "fixed": "x", "credit": 50},
            {"name": "Unknown field", "nonsense": 1, "line_count": 3},
            {"name": "Wrong person", "helper": str(lab.people["chief"])},
            {"name": "Helped", "helper": str(lab.people["seller"]), "owner": str(lab.people["chief"])},
            {"name": "Nobody", "owner": "00000000-0000-4000-8000-000000000002"},
            {"name": "N" * 70, "credit": 500},
            {"name": "Budget", "budget": "12.50", "since": None},
            {"name": "Taken later", "taxno": "T9", "grade": "z"},
            {"name": "Takes it", "taxno": "T9"},
        ]

    outcomes, _ = await both(twins, "admin", "account", accounts)
    assert [n for n, outcome in enumerate(outcomes) if outcome is None] == [0, 1, 8, 18, 21, 23]
    confirmed, _ = await both(twins, "admin", "account", lambda lab: [{"name": "Again", "phone": "+8613800138000"}, {"name": "Other"}], confirm=True)
    assert confirmed == [None, None]

    def linked(lab: Lab) -> list[dict[str, Any]]:
        return [
            {"name": "Child", "above": at(lab, 0)}, {"name": "Friendly", "friends": [at(lab, 0), at(lab, 1)]}, {"name": "Plain", "friends": []},
            {"name": "Both", "above": at(lab, 1), "friends": [at(lab, 2)]},
        ]  # fmt: skip

    assert (await both(twins, "admin", "account", linked))[0] == [None] * 4

    def lines(lab: Lab) -> list[dict[str, Any]]:
        rows = [{"name": f"L{n}", "account": at(lab, n % 2), "amount": n * 10, "qty": n, "date": f"2025-03-{n + 1:02}"} for n in range(20)]
        return [*rows, {"name": "void", "account": at(lab, 0), "amount": 999, "status": "void"}, {"name": "none"}]

    outcomes, queries = await both(twins, "admin", "line", lines)
    assert outcomes[:-1] == [None] * 21 and outcomes[-1] and queries < 25
    parent = await twins[1].get("account", twins[1].made[0])
    assert (parent.values["line_count"], parent.values["line_sum"]["amount"]) == (11, "900.00")

    def things(lab: Lab) -> list[dict[str, Any]]:
        full = {
            "note": "long", "rank": 4, "size": "1.5", "share": 12.5, "vip": True, "due": "2025-01-02", "met": "2025-01-02T03:04:05Z", "clock": "10:30", "phone": "+8613800138000",
            "mail": "t@x.example", "site": "https://x.example", "place": {"street": "A"}, "price": "3.50", "color": "red", "kinds": ["x", "z"], "tags": ["p"], "stars": 3,
            "score": 50, "helper": str(lab.people["seller"]), "crew": [str(lab.people["seller"]), str(lab.people["chief"])], "unit": str(lab.departments["north"]),
            "account": at(lab, 0), "accounts": [at(lab, 1), at(lab, 0)], "secret": "s",
        }  # fmt: skip
        return [{"name": "full", **full}, {"name": "empty"}, {"name": "half", **dict(list(full.items())[::2])}, {"name": "bad", "rank": "many", "price": "x", "account": at(lab, 0)}]

    assert [o is None for o in (await both(twins, "admin", "thing", things))[0]] == [True, True, True, False]

    def deals(lab: Lab) -> list[dict[str, Any]]:
        rows = [{"name": f"D{n}", "account": at(lab, 0), "amount": n, "contact": "+8613900139000" if n in (2, 4) else None} for n in range(6)]
        return [*rows, {"name": "Stage", "stage": "won"}]

    outcomes, _ = await both(twins, "admin", "deal", deals)
    assert [o is None for o in outcomes] == [True, True, True, True, False, True, False]
    # Here automations run: none of these goes together.
    tasks = [{"name": " One "}, {"name": "forbidden"}, {"name": "Two"}]
    assert [o is None for o in (await both(twins, "admin", "task", lambda lab: tasks))[0]] == [True, False, True]


@pytest.mark.parametrize("who", ["seller", "conditional", "blind", "importer", "creator", "nobody", "dept_user", "reader"])
async def test_rights_are_the_same(twins, who):
    def rows(lab: Lab) -> list[dict[str, Any]]:
        return [
            {"name": f"{who} 1", "grade": "b"}, {"name": f"{who} 2", "grade": "c", "reason": "x"}, {"name": f"{who} 3", "bank": "secret"},
            {"name": f"{who} 4", "friends": [str(lab.own)]}, {"name": f"{who} 5", "friends": [str(lab.others)]}, {"name": f"{who} 6", "credit": 12},
        ]  # fmt: skip

    for lab in twins:
        if not hasattr(lab, "own"):
            lab.others = await made_at(await lab.ctx("admin", at=AT), name="Theirs")
        lab.own = await made_at(await lab.system(at=AT), name=f"Own {who}", owner=str(lab.people[who if who in ACCOUNT["owner_roles"] else "chief"]))
        lab.made = [*getattr(lab, "made", []), lab.own, *([lab.others] if lab.others not in getattr(lab, "made", []) else [])]
    await both(twins, who, "account", rows)


async def test_a_group_takes_as_many_queries_as_a_few_rows(lab):
    ctx = await lab.ctx("admin")
    counts = []
    assert creating.goes_together(ctx, ctx.config.entity("account")) and not creating.goes_together(ctx, ctx.config.entity("task"))
    for size in (5, 100):
        async with tenant_transaction(lab.tenant_id):
            with count_queries():
                made = await execute(ctx, ops.CreateMany(entity="account", rows=[{"name": f"Q{size}-{n}", "taxno": f"Q{size}-{n}"} for n in range(size)]))
                counts.append(query_count())
        assert all(isinstance(m, UUID) for m in made)
    assert counts[0] == counts[1] <= 15


async def test_what_somebody_takes_meanwhile_fails_alone(lab, monkeypatch):
    """The look at unique values finds nothing, the claim finds one taken: the right row is reported, the others are made."""
    await lab.make("account", name="Holder", taxno="MEANWHILE-2")

    async def blind(*_: Any) -> set[Any]:
        return set()

    monkeypatch.setattr(creating.uniques, "taken", blind)
    ctx = await lab.ctx("admin")
    made = await execute(ctx, ops.CreateMany(entity="account", rows=[{"name": f"Meanwhile {n}", "taxno": f"MEANWHILE-{n}"} for n in range(4)]))
    assert [isinstance(m, UUID) for m in made] == [True, True, False, True]
    assert made[2].problems[0].code == "not_unique"
    codes = [r.values["code"] for r in (await execute(ctx, ops.List(entity="account", filter={"field": "name", "op": "in", "value": ["Meanwhile 0", "Meanwhile 1", "Meanwhile 3"]}, sort=["created_at"]))).records]
    numbers = [int(code.rsplit("-", 1)[1]) for code in codes]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_values_the_database_refuses_fail_alone(lab):
    ctx = await lab.ctx("admin")
    made = await execute(ctx, ops.CreateMany(entity="thing", rows=[{"name": "ok", "rank": 1}, {"name": "big", "rank": 10**25}, {"name": "fine", "rank": 2}]))
    assert [isinstance(m, UUID) for m in made] == [True, False, True]
