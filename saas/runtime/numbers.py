"""Auto numbers: gap-free, per entity field and period, by a counter row locked until commit."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from saas.metadata.config import Entity
from saas.metadata.models import FieldDef
from saas.runtime.context import Context
from saas.runtime.rows import Row

_PART = re.compile(r"\{(yyyy|yy|mm|dd|seq)(?::(\d+))?\}")
PERIODS = {"never": "", "year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}


async def number(conn: Any, ctx: Context, entity: Entity, row: Row) -> None:
    """Fill the record's auto-number fields that are still empty."""
    for declared in entity.declared.values():
        if declared.type == "auto" and not row.values.get(declared.key):
            row.values[declared.key] = await _next(conn, ctx, entity, declared)


async def _next(conn: Any, ctx: Context, entity: Entity, declared: FieldDef) -> str:
    period = ctx.today.strftime(PERIODS[declared.options.get("reset", "never")])
    value = await conn.fetchval(
        "INSERT INTO counter (tenant_id, entity_id, field_key, period, value) VALUES ($1, $2, $3, $4, 1) "
        "ON CONFLICT (tenant_id, entity_id, field_key, period) DO UPDATE SET value = counter.value + 1 RETURNING value",
        ctx.tenant_id, entity.number, declared.key, period,
    )  # fmt: skip
    return render(declared.options["pattern"], value, ctx.today)


def render(pattern: str, value: int, day: date) -> str:
    def part(match: re.Match[str]) -> str:
        kind, width = match[1], int(match[2] or 0)
        if kind == "seq":
            return str(value).zfill(width)
        return {"yyyy": f"{day.year:04d}", "yy": f"{day.year % 100:02d}", "mm": f"{day.month:02d}", "dd": f"{day.day:02d}"}[kind]

    return _PART.sub(part, pattern)
