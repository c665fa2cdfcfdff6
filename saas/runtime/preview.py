"""What a formula gives on real records, before it is published."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from saas.db import tenant_transaction
from saas.i18n import gettext as _
from saas.metadata import expressions as ex
from saas.metadata.models import FieldDef
from saas.runtime.context import Context
from saas.runtime.fields._shared.numbers import format_number
from saas.runtime.present import display_text, names_for, title_sql, title_text
from saas.runtime.query import Query
from saas.runtime.records import entity_of


async def sample_values(ctx: Context, entity_key: str, text: str, *, limit: int = 3) -> list[tuple[str, str]]:
    """(title, value in words) of the expression on the records changed last that the person may read. Fields hidden from them are
    unknown to it. Errors: BadRequest, PermissionDenied as of a filter."""
    entity = entity_of(ctx, entity_key)
    query = Query(ctx, entity)
    node = ex.parse(text)
    value, kind = ex.to_sql(node, query.guarded), ex.kind_of(node, ctx.config, entity_key)
    title = title_sql(query.scope)
    named = FieldDef("value", kind.type, {}, options={"to": kind.entity}) if kind.type in ("user", "dept") or (kind.type == "ref" and kind.entity) else None
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(*query.statement.finish(f"SELECT {title}, {value} {query.sql} ORDER BY t.updated_at DESC, t.id LIMIT {int(limit)}"))
        names = await names_for(conn, ctx, [(named, str(r[1])) for r in rows if r[1]] if named else [])
    texts = [display_text(ctx, entity, named, str(r[1]), names) if named and r[1] else value_text(ctx, r[1], day=kind.type == "date") for r in rows]
    return [(title_text(ctx, entity, r[0]) or "–", shown) for r, shown in zip(rows, texts, strict=True)]


def value_text(ctx: Context, value: Any, *, day: bool = False) -> str:
    """A computed value in words; of a `day` without the time."""
    if value is None or value == "":
        return _("empty")
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, (int, float, Decimal)):
        return format_number(value, 6, ctx.locale, trim=True)
    if isinstance(value, datetime) and day:
        return value.strftime("%Y-%m-%d")
    if isinstance(value, datetime):
        return value.astimezone(ctx.zone).strftime("%Y-%m-%d %H:%M")
    return str(value)[:80]
