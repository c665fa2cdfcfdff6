"""Lists against Python: a filter selects exactly the records for which the same tree is true in Python, sorting pages through
every record once and in order, and counts agree. Random records in real PostgreSQL, through the door."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.db import tenant_transaction
from saas.metadata import expressions as ex
from saas.metadata.kinds import field_types
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.env import RecordEnv, fill, read_row
from tests.factories import Lab, make_lab

SLOW = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
RECORDS = 48
WORDS = ["", "alpha", "Alpha", "beta", "客户", "客户经理", "ß", "a b", "%", "_", "O'Brien", "Zoë", "\U0001f600", "10", "9"]


@dataclass(repr=False)
class World:
    lab: Lab
    ctx: Context
    envs: dict[UUID, RecordEnv]


def _some(rng: random.Random, make: Any, absent: float = 0.25) -> Any:
    return None if rng.random() < absent else make()


def _values(rng: random.Random, people: list[str], units: list[str], accounts: list[str]) -> dict[str, Any]:
    word = lambda: rng.choice(WORDS[1:])  # noqa: E731
    return {
        "name": _some(rng, word), "note": _some(rng, word), "rank": _some(rng, lambda: rng.choice([-5, 0, 1, 2, 2, 10, 2**53 + 1, -(2**40)])),
        "size": _some(rng, lambda: rng.choice([0, 0.1, -2.5, 3, 3, 1e9])), "share": _some(rng, lambda: rng.choice([0, 12.5, 100])),
        "vip": _some(rng, lambda: rng.random() < 0.5), "due": _some(rng, lambda: rng.choice(["2024-02-29", "2025-03-03", "2025-03-04", "1999-12-31", "0001-01-02", "9999-12-31"])),
        "met": _some(rng, lambda: rng.choice(["2025-03-03T00:00:00Z", "2025-03-02T16:00:00Z", "2025-03-02T15:59:59Z", "2024-12-31T23:30:00Z"])),
        "clock": _some(rng, lambda: rng.choice(["08:30", "23:59"])), "phone": _some(rng, lambda: rng.choice(["13800138000", "+14155552671"])),
        "price": _some(rng, lambda: rng.choice(["0.01", "12.50", "-3", "1000000.00"])), "color": _some(rng, lambda: rng.choice(["red", "green", "blue"])),
        "kinds": _some(rng, lambda: rng.sample(["x", "y", "z"], rng.randint(1, 3))), "tags": _some(rng, lambda: rng.sample(["vip", "客户", "a b"], rng.randint(1, 2))),
        "stars": _some(rng, lambda: rng.randint(1, 5)), "score": _some(rng, lambda: rng.choice([0, 50, 100])),
        "helper": _some(rng, lambda: rng.choice(people)), "unit": _some(rng, lambda: rng.choice(units)), "account": _some(rng, lambda: rng.choice(accounts)),
        "accounts": _some(rng, lambda: rng.sample(accounts, 2)), "owner": _some(rng, lambda: rng.choice(people)),
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def world(database) -> World:
    rng = random.Random(7)
    lab = await make_lab(people=False)
    people = [str(lab.people["admin"]), str(await lab.person("chief", ["chief"], "north")), str(await lab.person("reader", ["reader"]))]
    units = [str(d) for d in lab.departments.values()]
    accounts = [str(await lab.make("account", name=f"A{i}", credit=c, grade=g)) for i, (c, g) in enumerate([(1, "b"), (2, "c"), (None, None)]) for _ in [0] if g != "c"]
    accounts.append(str(await lab.make("account", name="Alpha", credit=20, budget="12.50")))
    ids = [await lab.make("thing", **_values(rng, people, units, accounts)) for _ in range(RECORDS)]
    ctx = (await lab.ctx()).replace(fixed_now=datetime.fromisoformat("2025-03-03T04:00:00+00:00"))
    entity = ctx.config.entity("thing")
    async with tenant_transaction(lab.tenant_id) as conn:
        envs = {i: RecordEnv(ctx, entity, await read_row(conn, ctx, entity, i)) for i in ids}
    return World(lab, ctx, envs)


# ---- random filters ----------------------------------------------------------------------------------------------------

NUMBERS = ["rank", "size", "share", "price", "stars", "score", "twice", "account.credit", "account.budget", "account.line_count"]
TEXTS = ["name", "note", "shout", "phone", "account.name"]
DAYS = ["due", "met", "created_at"]
IDS = ["helper", "owner", "account", "unit", "created_by", "id", "account.owner"]
LISTS = {"kinds": ["x", "y", "z"], "tags": ["vip", "客户", "a b", "none"]}
PLAIN_NUMBERS = [n for n in NUMBERS if "." not in n]

numbers = st.sampled_from([0, 1, 2, -5, 0.1, 12.5, -2.5, 3, 100, 10**20, 2**53 + 1, 1e-9, 2**63, -(2**70)])
words = st.sampled_from([w for w in WORDS if w])
days = st.sampled_from(["2025-03-03", "2025-03-04", "2024-02-29", "9999-12-31", "1970-01-01"])
moments = days | st.sampled_from(["2025-03-03T00:00:00Z", "2025-03-03T08:00:00+08:00"])
periods = st.sampled_from(["today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "this_year", "last_year", "last_n_days:30", "next_n_days:7", "past", "future"])


def cond(field: Any, op: Any, value: Any) -> Any:
    return st.fixed_dictionaries({"field": field if not isinstance(field, list) else st.sampled_from(field), "op": st.sampled_from(op.split()), "value": value})


def conditions(ids: list[str]) -> Any:
    some_id = st.sampled_from(ids)
    return st.one_of(
        cond(NUMBERS, "eq ne lt lte gt gte", numbers),
        cond(NUMBERS, "in not_in", st.lists(numbers, max_size=4)),
        cond(NUMBERS, "between", st.tuples(numbers, numbers).map(list)),
        cond(TEXTS, "eq ne lt lte gt gte contains starts_with", words),
        cond(TEXTS, "in not_in", st.lists(words, max_size=4)),
        cond(DAYS[:1], "eq ne lt lte gt gte", days),
        cond(DAYS[1:], "eq ne lt lte gt gte", moments),
        cond(DAYS, "relative", periods),
        cond(DAYS[:1], "between", st.tuples(days, days).map(list)),
        cond(["color"], "eq ne", st.sampled_from(["red", "green", "blue"])),
        cond(["color"], "in not_in", st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3)),
        cond(["vip"], "eq ne", st.booleans()),
        cond(IDS, "eq ne", some_id), cond(IDS, "in not_in", st.lists(some_id, max_size=3)),
        cond(["helper", "owner"], "eq", st.just("me()")),
        cond(["kinds"], "in not_in", st.lists(st.sampled_from(["x", "y", "z"]), max_size=2)), cond(["tags"], "contains", st.sampled_from(LISTS["tags"])),
        cond([*PLAIN_NUMBERS, "name", "note", "shout", "due", "met", "color", "helper", "account", "kinds", "tags", "vip", "accounts", "account.name"], "is_empty", st.booleans()),
        cond([*PLAIN_NUMBERS, "name", "color", "helper", "due"], "eq ne", st.none()),
        expressions.map(lambda text: {"expr": text}),
    )  # fmt: skip


number = st.deferred(
    lambda: st.one_of(
        st.sampled_from(NUMBERS), st.sampled_from(["0", "1", "2.5", "12.50", "1000"]),
        st.tuples(number, st.sampled_from("+-*/"), number).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["min", "max", "coalesce"]), number, number).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        number.map(lambda t: f"abs({t})"), st.sampled_from(TEXTS).map(lambda t: f"len({t})"),
        st.sampled_from(["days_between(due, today())", "year(due)", "month(met)", "day(created_at)"]),
    )
)
text = st.sampled_from([*TEXTS, "'alpha'", "'客户'"]) | st.sampled_from(["upper(name)", "concat(name, ' ', note)", "coalesce(note, name)", "trim(name)", "text(rank)", "text(due)"])
day = st.sampled_from(["due", "date(met)", "today()", "add_days(due, 1)", "add_months(date(met), -1)", "date('2025-03-03')"])
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
expressions = st.recursive(
    st.one_of(
        st.tuples(number, signs, number).map(" ".join), st.tuples(text, signs, text).map(" ".join), st.tuples(day, signs, day).map(" ".join),
        st.sampled_from(["vip", "vip == true", "vip != true", "helper == me()", "owner == created_by", "'x' in kinds", "not ('vip' in tags)", "is_empty(accounts)",
                         "contains(name, 'AL')", "starts_with(shout, 'alpha')", "color in ['red', 'blue']", "rank in [1, 2, null]", "account == null",
                         "account.grade == 'b'", "account.helper == helper", "in_period(met, 'today')", "is_empty(account.name)", "if(vip, rank, size) > 1", "has_role('admin')"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"), inner.map(lambda t: f"not ({t})"),
    ),
    max_leaves=4,
)  # fmt: skip


def filters(ids: list[str]) -> Any:
    return st.recursive(
        conditions(ids),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda x: {"and": x}), st.lists(inner, max_size=3).map(lambda x: {"or": x}), inner.map(lambda x: {"not": x})
        ),
        max_leaves=5,
    )


async def _expected(world: World, filter_: Any) -> set[UUID]:
    node = ex.filter_to_node(filter_, world.ctx.config, "thing")
    if node is None:
        return set(world.envs)
    test = ex.to_python(node)
    async with tenant_transaction(world.lab.tenant_id) as conn:
        for env in world.envs.values():
            await fill(conn, env, [node])
    return {i for i, env in world.envs.items() if test(env)}


@SLOW
@given(data=st.data())
async def test_filters_select_what_python_says(world: World, data: st.DataObject) -> None:
    ids = sorted({str(v) for env in world.envs.values() for k in ("helper", "owner", "account", "unit") if (v := env.row.get(k))})
    filter_ = data.draw(filters(ids))
    page = await execute(world.ctx, ops.List(entity="thing", filter=filter_, limit=200, count="exact"))
    found = {r.id for r in page.records}
    assert found == await _expected(world, filter_), filter_
    assert page.count == ops.Count(len(found), True)
    capped = await execute(world.ctx, ops.List(entity="thing", filter=filter_, limit=1, count="capped"))
    assert capped.count == page.count
    [row] = await execute(world.ctx, ops.Aggregate(entity="thing", measures=[ops.Measure(fn="count")], filter=filter_))
    assert row.values == [len(found)]


# ---- sorting and paging ------------------------------------------------------------------------------------------------

SORTABLE = ["name", "rank", "size", "share", "vip", "due", "met", "clock", "phone", "price", "color", "stars", "score", "helper", "unit", "account",
            "created_at", "updated_at", "created_by", "owner", "department", "number", "note"]  # fmt: skip


def _key(world: World, env: RecordEnv, field: str) -> Any:
    """A value that orders as PostgreSQL orders what is stored."""
    value = env.row.get(field)
    if value is None:
        return None
    declared = env.entity.fields[field]
    kind = field_types.get(declared.type)
    if field in ("created_at", "updated_at"):
        return getattr(env.row, field)
    if declared.type in ("user", "ref", "dept"):
        return UUID(value)
    found = kind.to_expr(declared, value, world.ctx.config)
    return datetime(found.year, found.month, found.day) if isinstance(found, date) and not isinstance(found, datetime) else found


def _in_order(keys: list[tuple[Any, ...]], sorts: list[tuple[str, bool]]) -> bool:
    for one, two in pairwise(keys):
        for a, b, (_, down) in zip(one, two, sorts, strict=True):
            if a == b:
                continue
            if a is None or (b is not None and ((a < b) if down else (a > b))):
                return False
            break
    return True


async def _walk(world: World, sort: list[str], size: int, **more: Any) -> list[ops.Record]:
    records, after, pages = [], None, 0
    while True:
        page = await execute(world.ctx, ops.List(entity="thing", sort=sort, limit=size, after=after, **more))
        records += page.records
        after, pages = page.next, pages + 1
        assert pages <= RECORDS + 2
        if after is None:
            return records
        assert len(page.records) == size


def _sortable(world: World) -> list[str]:
    entity = world.ctx.config.entity("thing")
    return [k for k in SORTABLE if field_types.get(entity.fields[k].type).sortable]


async def test_every_sortable_type_both_ways(world: World) -> None:
    assert len(_sortable(world)) > 15
    for field in _sortable(world):
        for down in (False, True):
            found = await _walk(world, [f"-{field}" if down else field], 7)
            assert sorted(r.id for r in found) == sorted(world.envs), field
            keys = [(_key(world, world.envs[r.id], field),) for r in found]
            assert _in_order(keys, [(field, down)]), (field, down, keys)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), size=st.integers(1, 20))
async def test_pages_hold_every_record_once_and_in_order(world: World, data: st.DataObject, size: int) -> None:
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(_sortable(world)), st.booleans()), min_size=1, max_size=3, unique_by=lambda s: s[0]))
    found = await _walk(world, [f"-{f}" if down else f for f, down in chosen], size)
    assert len(found) == RECORDS and {r.id for r in found} == set(world.envs)
    assert _in_order([tuple(_key(world, world.envs[r.id], f) for f, _ in chosen) for r in found], chosen)


async def test_changes_between_pages_disturb_only_what_changed(world: World) -> None:
    lab = world.lab
    for sort in (["name", "-rank"], ["-due"], ["color", "size", "-name"]):
        first = await execute(world.ctx, ops.List(entity="thing", sort=sort, limit=10))
        last = first.records[-1].id
        await execute(await lab.ctx(), ops.Delete(entity="thing", id=last))
        rest, after = [], first.next
        while after:
            page = await execute(world.ctx, ops.List(entity="thing", sort=sort, limit=9, after=after))
            rest += page.records
            after = page.next
        assert len(rest) == RECORDS - 10 and not {r.id for r in rest} & {r.id for r in first.records}
        await execute(await lab.ctx(), ops.Restore(entity="thing", id=last))
