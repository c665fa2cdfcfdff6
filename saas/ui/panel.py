"""A record beside its list: its form to change it at once, its moves, the way to delete it; or the form of a new one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.config import Entity
from saas.runtime import Context, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.forms import form_state
from saas.ui import values
from saas.ui.forms import build_form, form_sections, with_query
from saas.ui.record_page import button, one_primary
from saas.ui.views import PanelView, ShownSection, StageView

NEW = "new"


def beside(list_url: str, what: Any) -> str:
    """The list with a record (its id, or NEW) open beside it."""
    return f"{list_url}{'&' if '?' in list_url else '?'}{urlencode({'open': str(what)})}"


async def panel_of(conn: Any, ctx: Context, entity: Entity, what: str, list_url: str) -> PanelView | None:
    """None where there is nothing (any more) that the person may see."""
    if what == NEW:
        return await _new(conn, ctx, entity, list_url) if permissions.may(ctx, "create", entity.key) else None
    try:
        record = await execute(ctx, ops.Get(entity=entity.key, id=UUID(what)))
    except (NotFound, ValueError):
        return None
    url = f"/r/{entity.key}/{record.id}"
    may = record.can or ops.Can()
    state = await form_state(ctx, entity.key, record_id=record.id)
    form, sections = None, ()
    if may.update:
        form = await build_form(
            conn, ctx, entity, state, new=False, prefix="p", current=record, version=record.version, title=record.title, action=f"{url}/edit", submit=_("Save"), cancel_url=list_url,
            refresh_url=f"/r/{entity.key}/form?id={record.id}", guard=True, panel=True, hidden=(("panel", list_url),),
        )  # fmt: skip
    else:
        sections = _read_only(ctx, entity, record, state)
    stage = entity.pipeline.stage(record.state or "") if entity.pipeline and entity.pipeline.field in record.display else None
    here = beside(list_url, record.id)
    moves = one_primary([button(ctx, entity, record, offer) for offer in may.transitions])
    return PanelView(
        id=str(record.id), title=record.title, icon=entity.defn.icon, url=url, close_url=list_url, here=here, form=form, sections=sections, transitions=moves, version=record.version,
        stage=StageView(stage.key, pick(stage.label, ctx.locale), stage.color) if stage else None, delete_url=with_query(f"{url}/delete", [("next", list_url)]) if may.delete else "", dialog_query="?next=" + quote(here, safe=""),
    )  # fmt: skip


async def _new(conn: Any, ctx: Context, entity: Entity, list_url: str) -> PanelView:
    title = _("New %(name)s", name=pick(entity.defn.label, ctx.locale))
    form = await build_form(
        conn, ctx, entity, await form_state(ctx, entity.key), new=True, prefix="p", title=title, action=f"/r/{entity.key}/new", submit=_("Create"), cancel_url=list_url,
        refresh_url=f"/r/{entity.key}/form", guard=True, panel=True, hidden=(("panel", list_url),),
    )  # fmt: skip
    return PanelView(id="", title=title, icon=entity.defn.icon, url="", close_url=list_url, here=list_url, form=form)


def _read_only(ctx: Context, entity: Entity, record: ops.Record, state: Any) -> tuple[ShownSection, ...]:
    found = []
    for section in form_sections(ctx, entity, state, new=False):
        fields = tuple(f for key in section.fields if (f := values.shown(ctx, entity, key, record, block=True)) is not None)
        if fields:
            found.append(ShownSection(pick(section.label, ctx.locale), fields, 1))
    return tuple(found)
