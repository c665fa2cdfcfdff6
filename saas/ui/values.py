"""Values as safe HTML: one cell of a list, one line of a record page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, PoolDef
from saas.runtime import Context
from saas.runtime import operations as ops
from saas.runtime.pools.rights import name_of
from saas.ui import tristate
from saas.ui.render import has_template, markup
from saas.ui.shell import colour_of
from saas.ui.views import Cell, Column, ShownField, Text

EMPTY = Markup('<span class="empty">–</span>')
WIDE_TYPES = ("doc",)


def raw_value(record: ops.Record, key: str) -> Any:
    """The JSON value of a declared or system field."""
    if key in record.values:
        return record.values[key]
    found = getattr(record, key, None) if key in ("owner", "department", "created_by", "updated_by", "created_at", "updated_at") else None
    return str(found) if found is not None else None


def is_number(ctx: Context, field: FieldDef) -> bool:
    kind, _field = field_types.get(field.type).result_of(field, ctx.config)
    return kind.align_end


def value_html(ctx: Context, field: FieldDef, value: Any, text: str) -> Text:
    """Short form, without a template: for lists, cards and headers."""
    if text == "" or value is None:
        return EMPTY
    kind = field_types.get(field.type)
    drawn = kind.cell(field, value, text, ctx.config, ctx.locale)
    if drawn is not None:
        return drawn
    expr_type = kind.expr_type_of(field, ctx.config)
    if expr_type == "user":
        return _person(text)
    if expr_type == "ref" and isinstance(value, str) and len(value) == 36 and "to" in field.options:
        return Markup(f'<a href="/r/{quote(field.options["to"])}/{quote(value)}">{escape(text)}</a>')
    return text


def _person(name: str) -> Markup:
    """Built by hand, like links: lists draw hundreds, and Markup's own formatting takes several times as long."""
    shown = escape(name)
    return Markup(f'<span class="person"><span class="avatar c-{escape(colour_of(name))}" aria-hidden="true">{escape(name[:1])}</span><span class="truncate">{shown}</span></span>')


def value_block(ctx: Context, field: FieldDef, value: Any, text: str, options: Sequence[Mapping[str, Any]] = ()) -> Text:
    """Long form, through the field type's cell.html: paragraphs, files, lists of links."""
    if text == "" or value is None:
        return EMPTY
    short = value_html(ctx, field, value, text)
    if not isinstance(short, str) or isinstance(short, Markup):
        return short
    name = f"fields/{field.type}/cell.html"
    if not has_template(name):
        return text
    return markup(name, field=field, value=value, text=text, options=list(options), locale=ctx.locale)


def cell(ctx: Context, entity: Entity, key: str, record: ops.Record, *, position: int = 9, link: bool = False) -> Cell:
    field = entity.fields[key]
    text = record.display.get(key, "")
    value = raw_value(record, key)
    css = "title" if link else f"pos-{position}" if position <= 3 else "pos-more"
    if is_number(ctx, field):
        css += " num"
    if link:
        return Cell(text or record.title, css, record.title, True)
    if (boxes := tristate.control(ctx, entity, key, record)) is not None:
        return Cell(boxes, f"{css} pos-boxes", "")  # also where a telephone shows the first columns only
    return Cell(value_html(ctx, field, value, text), css, text)


def column(ctx: Context, field: FieldDef, *, sort_url: str = "", direction: str = "") -> Column:
    return Column(pick(field.label, ctx.locale), is_number(ctx, field), field.key, sort_url, direction)


def shown(ctx: Context, entity: Entity, key: str, record: ops.Record, *, block: bool = False, options: Sequence[Mapping[str, Any]] = ()) -> ShownField | None:
    """None for a field the person may not see."""
    field = entity.fields.get(key)
    if field is None or (key not in record.display and key not in record.values):
        return None
    text, value = record.display.get(key, ""), raw_value(record, key)
    html = value_block(ctx, field, value, text, options) if block else value_html(ctx, field, value, text)
    return ShownField(key, pick(field.label, ctx.locale), html, text, pick(field.help, ctx.locale), is_wide(field))


def is_wide(field: FieldDef) -> bool:
    """Fields that want the whole width: long texts, addresses, files."""
    kind = field_types.get(field.type)
    return kind.storage == "doc" and not kind.sortable and kind.expr_type in ("text", "any")


def put_into(pools: Sequence[PoolDef], locale: str) -> str:
    """What the act is called that gives records back to one of these pools: by the pool's name where there is just one."""
    return _("Put into %(pool)s", pool=name_of(pools[0], locale)) if len(pools) == 1 else _("Put back")
