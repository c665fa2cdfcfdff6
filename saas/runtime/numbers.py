"""Auto numbers: gap-free, per entity field and period, by a counter row locked until commit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.models import FieldDef
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.rows import Row
from saas.tenants import record_audit

_PART = re.compile(r"\{(yyyy|yy|mm|dd|seq)(?::(\d+))?\}")
PERIODS = {"never": "", "year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}


async def number(conn: Any, ctx: Context, entity: Entity, row: Row) -> None:
    """Fill the record's auto-number fields that are still empty."""
    for declared in entity.declared.values():
        if declared.type == "auto" and not declared.options.get("later") and not row.values.get(declared.key):
            row.values[declared.key] = await _next(conn, ctx, entity, declared)


async def _next(conn: Any, ctx: Context, entity: Entity, declared: FieldDef) -> str:
    [text] = await give(conn, ctx, entity, declared, [ctx.today])
    return text


async def give(conn: Any, ctx: Context, entity: Entity, declared: FieldDef, days: Sequence[date]) -> list[str]:
    """Numbers for records of these days, in their order: the next ones of each day's period."""
    periods = [period_of(declared, day) for day in days]
    last: dict[str, int] = {}
    for period in sorted(set(periods)):
        count = periods.count(period)
        last[period] = await _count_on(conn, ctx, entity, declared, period, count) - count
    numbers = []
    for period, day in zip(periods, days, strict=True):
        last[period] += 1
        numbers.append(render(declared.options["pattern"], last[period], day))
    return numbers


async def _count_on(conn: Any, ctx: Context, entity: Entity, declared: FieldDef, period: str, count: int) -> int:
    return await conn.fetchval(
        "INSERT INTO counter (tenant_id, entity_id, field_key, period, value) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (tenant_id, entity_id, field_key, period) DO UPDATE SET value = counter.value + $5 RETURNING value",
        ctx.tenant_id, entity.number, declared.key, period, count,
    )  # fmt: skip


async def reserve(conn: Any, ctx: Context, entity: Entity, declared: FieldDef, used: Mapping[str, int]) -> None:
    """Go on after the numbers that records have already: {period: highest}."""
    await reserve_at(conn, ctx, entity.number, declared.key, used)


async def reserve_at(conn: Any, ctx: Context, entity_number: int, field_key: str, used: Mapping[str, int]) -> None:
    """The same before the field is live."""
    for period, value in sorted(used.items()):
        await conn.execute(
            "INSERT INTO counter (tenant_id, entity_id, field_key, period, value) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (tenant_id, entity_id, field_key, period) DO UPDATE SET value = greatest(counter.value, $5)",
            ctx.tenant_id, entity_number, field_key, period, value,
        )  # fmt: skip


def period_of(declared: FieldDef, day: date) -> str:
    return day.strftime(PERIODS[declared.options.get("reset", "never")])


def sequence_in(pattern: str, text: str) -> int | None:
    """The counter's part of a number that was given by this pattern; None for any other text."""
    found = re.fullmatch(_expression(pattern), text, re.ASCII)
    return int(found[1]) if found else None


def sequence_sql(pattern: str) -> str:
    """The same as a regular expression of PostgreSQL, whose first group is the counter's part."""
    return f"^{_expression(pattern)}$"


def _expression(pattern: str) -> str:
    parts, end = [], 0
    for match in _PART.finditer(pattern):
        kind = match[1]
        parts += [re.escape(pattern[end : match.start()]), "([0-9]{1,12})" if kind == "seq" else f"[0-9]{{{len(kind)}}}"]
        end = match.end()
    return "".join([*parts, re.escape(pattern[end:])])


def _period(ctx: Context, declared: FieldDef) -> str:
    return ctx.today.strftime(PERIODS[declared.options.get("reset", "never")])


async def next_numbers(ctx: Context) -> dict[tuple[str, str], int]:
    """The number the next record gets, by entity and auto field."""
    fields = {(e.key, f.key): (e.number, f.key, _period(ctx, f)) for e in ctx.config.entities.values() for f in e.declared.values() if f.type == "auto"}
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch("SELECT entity_id, field_key, period, value FROM counter WHERE tenant_id = $1", ctx.tenant_id)
    last = {(r["entity_id"], r["field_key"], r["period"]): r["value"] for r in rows}
    return {place: last.get(counter, 0) + 1 for place, counter in fields.items()}


async def continue_from(ctx: Context, entity_key: str, field_key: str, value: int) -> None:
    """Let the next record get this number. Only upwards: a number is given once. Errors: NotFound, PermissionDenied, InvalidInput."""
    permissions.require_setting(ctx, "config")
    permissions.require_active(ctx)
    entity = ctx.config.entities.get(entity_key)
    declared = entity.declared.get(field_key) if entity else None
    if entity is None or declared is None or declared.type != "auto":
        raise NotFound()
    async with tenant_transaction(ctx.tenant_id) as conn:
        moved = await conn.fetchval(
            "INSERT INTO counter (tenant_id, entity_id, field_key, period, value) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (tenant_id, entity_id, field_key, period) DO UPDATE SET value = excluded.value WHERE counter.value < excluded.value RETURNING value",
            ctx.tenant_id, entity.number, field_key, _period(ctx, declared), value - 1,
        )  # fmt: skip
        if moved is None:
            raise InvalidInput([FieldProblem("next", "min", lazy("Numbers only go up: this one was given already, or is the next one anyway."))])
        await record_audit(conn, ctx.tenant_id, "numbers.continued", actor_id=ctx.user_id, target=f"{entity_key}.{field_key}", request_id=ctx.request_id, data={"next": value})


def render(pattern: str, value: int, day: date) -> str:
    def part(match: re.Match[str]) -> str:
        kind, width = match[1], int(match[2] or 0)
        if kind == "seq":
            return str(value).zfill(width)
        return {"yyyy": f"{day.year:04d}", "yy": f"{day.year % 100:02d}", "mm": f"{day.month:02d}", "dd": f"{day.day:02d}"}[kind]

    return _PART.sub(part, pattern)
