"""What an act would make, for the dialog in front of it: the new record's figures and lines, as texts, because there is nothing to open yet."""

from __future__ import annotations

from typing import Any

from saas.errors import AppError
from saas.i18n import pick, sentences
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import Context
from saas.runtime.previews import Made, made_by
from saas.runtime.views import default_columns
from saas.ui import values
from saas.ui.forms import layout_of
from saas.ui.views import ForetoldView, MadeList, MadeView

MOST_ROWS = 50
LATER = ("auto", "pipeline")  # a number is given when it is done; where it begins everybody knows


async def foretold_view(ctx: Context, operation: Any) -> ForetoldView:
    """What would be made; a refusal is told in the words it would have."""
    try:
        made = await made_by(ctx, operation)
    except AppError as error:
        return ForetoldView(refusal=sentences(str(p.message) for p in error.problems) or str(error.message))
    return ForetoldView(tuple(_made(ctx, one) for one in made))


def _made(ctx: Context, made: Made) -> MadeView:
    entity = made.entity
    layout = layout_of(ctx, entity)
    wanted = layout.header if layout and layout.header else default_columns(entity)
    fields = tuple((pick(entity.fields[k].label, ctx.locale), text) for k in _told(entity, wanted) if (text := made.record.display.get(k)))
    lists = []
    for key, lines in made.lists.items():
        relation = entity.children[key]
        child = ctx.config.entity(relation.child)
        named = next((r.columns for tab in (layout.tabs if layout else ()) for r in tab.related if r.key == key and r.columns), None)
        keys = [k for k in _told(child, named or default_columns(child)) if k != relation.field and any(line.display.get(k) for line in lines)]
        columns = tuple(values.column(ctx, child.fields[k]) for k in keys)
        rows = tuple(tuple((line.display.get(k, ""), column.num) for k, column in zip(keys, columns, strict=True)) for line in lines[:MOST_ROWS])
        lists.append(MadeList(pick(relation.label, ctx.locale), columns, rows))
    return MadeView(pick(entity.defn.label, ctx.locale), entity.defn.icon, fields, tuple(lists))


def _told(entity: Entity, keys: Any) -> list[str]:
    return [k for k in keys if k in entity.fields and entity.fields[k].type not in LATER and (not entity.fields[k].system or k == "owner") and field_types.get(entity.fields[k].type).holds != "file"]
