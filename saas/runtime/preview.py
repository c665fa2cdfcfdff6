"""What a formula gives on real records, before it is published."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from saas.db import tenant_transaction
from saas.i18n import gettext as _
from saas.metadata import expressions as ex
from saas.runtime.context import Context
from saas.runtime.fields._shared.numbers import format_number
from saas.runtime.present import title_sql, title_text
from saas.runtime.query import Query
from saas.runtime.records import entity_of


async def sample_values(ctx: Context, entity_key: str, text: str, *, limit: int = 3) -> list[tuple[str, str]]:
    """(title, value in words) of the expression on the records changed last that the person may read. Fields hidden from them are
    unknown to it. Errors: BadRequest, PermissionDenied as of a filter."""
    entity = entity_of(ctx, entity_key)
    query = Query(ctx, entity)
    value = ex.to_sql(ex.parse(text), query.guarded)
    title = title_sql(query.scope)
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(*query.statement.finish(f"SELECT {title}, {value} {query.sql} ORDER BY t.updated_at DESC, t.id LIMIT {int(limit)}"))
    return [(title_text(ctx, entity, r[0]) or "–", value_text(ctx, r[1])) for r in rows]


def value_text(ctx: Context, value: Any) -> str:
    """A computed value in words."""
    if value is None or value == "":
        return _("empty")
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, (int, float, Decimal)):
        return format_number(value, 6, ctx.locale, trim=True)
    if isinstance(value, datetime):
        return value.astimezone(ctx.zone).strftime("%Y-%m-%d %H:%M")
    return str(value)[:80]
