"""Lists, boards, the recycle bin, saved views, acts on many records."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, BadRequest, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, pick, sentences, titled
from saas.metadata.config import Entity
from saas.runtime import Context, charts, execute, permissions, ranks
from saas.runtime import operations as ops
from saas.runtime.bulk import bulk as bulk_act
from saas.runtime.bulk import person_of
from saas.runtime.forms import form_state
from saas.runtime.records import entity_of
from saas.runtime.views import delete_view, save_view
from saas.ui import filters
from saas.ui.charts import drawing
from saas.ui.forms import Drawing, form_values
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.listing import is_uuid, open_listing
from saas.ui.pages.handing_over import page as hand_over_page
from saas.ui.pages.merging import merge_url
from saas.ui.pages.messages import sending_page
from saas.ui.pages.pools import what_happens
from saas.ui.values import put_into
from saas.ui.views import BulkView, Choice, Empty, ListView, Toast

MOST_AT_ONCE = 200


@get("/r/{entity:str}")
async def index(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "read", found.key)
    async with ask.work() as conn:
        listing = await open_listing(conn, ask.ctx, found, f"/r/{found.key}", request.query_params, kind="list")
        if listing.view.kind == "board":
            return ask.redirect(f"/r/{found.key}/board?view={listing.view.key}")
        if "add_field" in request.query_params:
            return _add_filter(ask, listing.state, request.query_params, found)
        listing.opened = request.query_params.get("open", "")
        if ask.target == "panel":
            panel = await listing.panel(conn)
            return ask.fragment("records/_panel.html", panel=panel) if panel else ask.redirect(listing.here)
        view = await listing.list_view(conn, adding=request.query_params.get("adding"))
    return _answer(ask, "records/index.html", "records/_list.html", view)


@get("/r/{entity:str}/board")
async def board(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "read", found.key)
    async with ask.work() as conn:
        listing = await open_listing(conn, ask.ctx, found, f"/r/{found.key}/board", request.query_params, kind="board")
        if "add_field" in request.query_params:
            return _add_filter(ask, listing.state, request.query_params, found)
        view = await listing.board_view(conn, adding=request.query_params.get("adding"))
    return ask.page("records/board.html", list=view)


@get("/r/{entity:str}/charts/{key:str}", limit="report")
async def chart(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """A drawing of the records that the view, the search and the filters leave."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    wanted = next((c for c in charts.beside_list(ask.ctx, found) if c.key == key), None)
    if wanted is None:
        raise NotFound()
    async with ask.work() as conn:
        listing = await open_listing(conn, ask.ctx, found, f"/r/{found.key}/charts/{key}", request.query_params, kind="list")
        if "add_field" in request.query_params:
            return _add_filter(ask, listing.state, request.query_params, found)
        view = ListView(**await listing.common(conn, request.query_params.get("adding")))
        drawn = await drawing(ask.ctx, wanted, filter_=filters.filter_json(ask.ctx, found, listing.state), q=listing.state.q or None, view=listing.view.key)
    return ask.page("records/chart.html", list=view, drawing=drawn)


def _answer(ask: Ask, page: str, part: str, view: ListView) -> Response[Any]:
    if ask.target in ("list", "filter-panel"):
        return ask.fragment(part, list=view)
    return ask.page(page, list=view)


def _add_filter(ask: Ask, state: filters.State, query: Any, entity: Entity) -> Response[Any]:
    """A filter editor was sent: put its condition into the address, in place of another one on the same field and operation."""
    added = filters.added(query, entity, ask.ctx)
    kept = [c for c in state.conditions if added is None or (c.field, c.op) != (added.field, added.op)]
    url = state.url(conditions=(*kept, *([added] if added else [])))
    return Response("", status_code=303, headers={"location": url})


@get("/r/{entity:str}/bin")
async def recycle_bin(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "delete", found.key)
    async with ask.work() as conn:
        listing = await open_listing(conn, ask.ctx, found, f"/r/{found.key}/bin", request.query_params, kind="list")
        keys = [*listing.columns()[:4], "updated_at"]
        page = await execute(ask.ctx, ops.List(entity=found.key, deleted=True, sort=("-updated_at",), fields=keys, limit=50, after=listing.state.after, right="read"))
        rows = tuple(listing.row(record, keys, deleted=True) for record in page.records)
        from saas.ui.values import column

        view = ListView(
            title=listing.plural, icon=found.defn.icon, url=f"/r/{found.key}", columns=tuple(column(ask.ctx, found.fields[k]) for k in keys), rows=rows, limit=50,
            empty=Empty("trash", _("The recycle bin is empty"), _("Deleted records wait here until somebody restores them.")), **listing.paging(page),
        )  # fmt: skip
    return ask.page("records/bin.html", list=view)


# ---- many records ------------------------------------------------------------------------------------------------------


@post("/r/{entity:str}/bulk", status_code=200)
async def bulk(request: Request, entity: FromPath[str]) -> Response[Any]:
    """One act on the ticked records, each through the door; all or nothing, but for claiming and giving back, where others are at work
    at the same moment. `act`: delete, edit, transition:<key>, claim, release, assign."""
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    ids = tuple(dict.fromkeys(str(v) for v in form.getall("ids", []) if is_uuid(str(v))))[:MOST_AT_ONCE]
    act, back = str(form.get("act") or ""), local_path(str(form.get("next") or ""), f"/r/{found.key}")
    if not ids:
        return ask.redirect(back, Toast(_("Tick at least one record first."), "warn"))
    kind, _colon, key = act.partition(":")
    if kind == "merge":
        return ask.redirect(merge_url(found.key, list(ids), ids[0], back))
    if act == "send":
        return await sending_page(ask, found.key, ids, "", {})
    if kind == "release" and not form.get("confirmed"):
        return ask.page("records/bulk.html", bulk=await _release_view(ask, found, ids, back))
    if kind in ("claim", "release"):
        return await _pool_act(ask, found, kind, ids, back)
    if kind != "transition" or not any(r.bulk for r in permissions.entity_rights(ctx, found.key)):  # a reviewer moves what others wrote
        permissions.require(ctx, "delete" if kind == "delete" else "bulk", found.key)
    if kind == "transfer":
        return await hand_over_page(ask, found, request, ids, {"owner": None})
    view = await _bulk_view(ask, found, act, ids, back, form)
    confirmed = form.get("confirmed") and not form.get("choose") and (kind != "edit" or view.field)
    if not confirmed:
        return ask.page("records/bulk.html", bulk=view)
    failures: list[Choice] = []
    done = 0
    try:
        async with ask.work():
            with ranks.batch(found, map(UUID, ids)):
                for record_id in ids:
                    try:
                        await execute(ctx, _operation(ctx, found, kind, key, UUID(record_id), form))
                        done += 1
                    except NotFound:
                        continue
                    except AppError as error:
                        text = sentences(p.message for p in error.problems) or str(error.message)
                        failures.append(Choice(record_id, await _title(ctx, found, record_id), color=text))
            if failures:
                raise _Undo
    except _Undo:
        shown = await _bulk_view(ask, found, act, ids, back, form, failures=failures)
        return ask.page("records/bulk.html", status=422, bulk=shown)
    return ask.redirect(back, Toast(ngettext("%(count)s record changed", "%(count)s records changed", done)))


async def _pool_act(ask: Ask, entity: Entity, kind: str, ids: tuple[str, ...], back: str) -> Response[Any]:
    report = await bulk_act(ask.ctx, entity.key, kind, ids=[UUID(i) for i in ids])
    done, failed = report["done"], report["failed_count"]
    if kind == "claim":
        text = ngettext("%(count)s record is yours now", "%(count)s records are yours now", done)
    else:
        text = ngettext("%(count)s record was put back", "%(count)s records were put back", done)
    found = [Toast(text)] if done else []
    if failed:
        why = sentences(dict.fromkeys(f["message"] for f in report["failed"]))
        found.append(Toast(titled(ngettext("%(count)s record was left as it is", "%(count)s records were left as they are", failed), why), "warn"))
    return ask.redirect(back, *found)


async def _release_view(ask: Ask, entity: Entity, ids: tuple[str, ...], back: str) -> BulkView:
    """What happens to the ticked records that may be put back, pool by pool, and how many stay."""
    ctx = ask.ctx
    fields = ["owner"] if permissions.static_access(ctx, entity)["owner"] != "hidden" else []
    async with ask.work():
        page = await execute(ctx, ops.List(entity=entity.key, filter={"field": "id", "op": "in", "value": list(ids)}, fields=fields, limit=MOST_AT_ONCE, can=True))
    open_ = [r for r in page.records if r.can and r.can.release]
    pools = [(pool, mine) for pool in entity.defn.pools if (mine := [r for r in open_ if r.can and r.can.home == pool.key])]
    left, title = len(ids) - len(open_), put_into([pool for pool, _mine in pools] or entity.defn.pools, ctx.locale)
    said = ngettext("%(count)s of them stays as it is: it lies there already, or you may not put it back.", "%(count)s of them stay as they are: they lie there already, or you may not put them back.", left)
    return BulkView(
        title=title, text=said if left else "", asked=tuple(what_happens(ctx, entity, pool, mine) for pool, mine in pools), submit=title if pools else "", action=f"/r/{entity.key}/bulk", act="release",
        ids=tuple(str(r.id) for r in open_), cancel_url=back,
    )  # fmt: skip


class _Undo(Exception):
    """Leaves the transaction, so that none of the records is changed."""


async def _title(ctx: Context, entity: Entity, record_id: str) -> str:
    try:
        return (await execute(ctx, ops.Get(entity=entity.key, id=UUID(record_id)))).title
    except NotFound:
        return record_id[:8]


def _operation(ctx: Context, entity: Entity, kind: str, key: str, record_id: UUID, form: Any) -> Any:
    if kind == "delete":
        return ops.Delete(entity=entity.key, id=record_id)
    if kind == "transition":
        return ops.Transition(entity=entity.key, id=record_id, key=key)
    if kind == "assign":
        return ops.Assign(entity=entity.key, id=record_id, to=person_of(form_values(ctx, entity, form, ["owner"]).get("owner")))
    if kind == "edit":
        field = str(form.get("field") or "")
        return ops.Update(entity=entity.key, id=record_id, values=form_values(ctx, entity, form, [field]))
    raise BadRequest(lazy("There is no such act."), field="act")


async def _bulk_view(ask: Ask, entity: Entity, act: str, ids: tuple[str, ...], back: str, form: Any, failures: list[Choice] | None = None) -> BulkView:
    ctx = ask.ctx
    kind, _colon, key = act.partition(":")
    count = len(ids)
    data: dict[str, Any] = {"action": f"/r/{entity.key}/bulk", "act": act, "ids": ids, "cancel_url": back}
    if failures:
        data["failures"] = tuple({"title": f.text, "text": f.color} for f in failures)
        data["failure_text"] = ngettext("%(count)s record refused, so nothing was changed", "%(count)s records refused, so nothing was changed", len(failures))
    if kind == "delete":
        return BulkView(title=_("Delete records"), text=ngettext("Delete %(count)s record? It goes to the recycle bin.", "Delete %(count)s records? They go to the recycle bin.", count), submit=_("Delete"), submit_css="danger solid", **data)
    if kind == "transition":
        transition = entity.pipeline.transition(key) if entity.pipeline else None
        if transition is None:
            raise NotFound()
        label = pick(transition.label, ctx.locale)
        return BulkView(title=label, text=ngettext("Do this with %(count)s record?", "Do this with %(count)s records?", count), submit=label, **data)
    if kind not in ("edit", "assign"):
        raise BadRequest(lazy("There is no such act."), field="act")
    state = await form_state(ctx, entity.key)
    open_fields = [k for k, s in state.fields.items() if s.access == "write" and (not entity.fields[k].system or k == "owner")]
    chosen = "owner" if kind == "assign" and entity.defn.owned else str(form.get("field") or "")
    chosen = chosen if chosen in open_fields or kind == "assign" else ""
    control = None
    if chosen:
        async with ask.work() as conn:
            drawing = Drawing(ctx, entity, state, prefix="bulk", typed=form_values(ctx, entity, form, [chosen]))
            await drawing.load(conn, [chosen])
            control = (await drawing.field(chosen, required=kind == "assign", force=kind == "assign")).html
    if kind == "assign":
        return BulkView(title=_("Assign"), text=ngettext("Who shall be responsible for %(count)s record?", "Who shall be responsible for %(count)s records?", count), control=control, submit=_("Assign"), **data)
    fields = tuple(Choice(k, pick(entity.fields[k].label, ctx.locale)) for k in open_fields)
    return BulkView(title=_("Edit records"), text=ngettext("Set one field of %(count)s record.", "Set one field of %(count)s records.", count), fields=fields, field=chosen, control=control, submit=_("Save") if chosen else "", **data)


# ---- saved views -------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/views/new")
async def new_view(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        pass
    may_share = permissions.may_configure(ask.ctx, "config")
    return ask.page("records/view.html", title=_("Save as view"), entity=found.key, plural=pick(found.defn.plural, ask.ctx.locale), query=request.url.query, error="", name="", may_share=may_share)


@post("/r/{entity:str}/views", status_code=200)
async def create_view(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    from urllib.parse import parse_qsl

    from litestar.datastructures import MultiDict

    query = MultiDict(parse_qsl(str(form.get("query") or "")))
    try:
        async with ask.work() as conn:
            listing = await open_listing(conn, ctx, found, f"/r/{found.key}", query, kind="list")
            parts = [p for p in (listing.view.filter if listing.state.view else None, filters.filter_json(ctx, found, listing.state)) if p]
            definition = {
                "columns": listing.columns(), "sort": list(listing.sort()), "page_size": listing.limit(), "panel": listing.view.panel,
                "filter": {"and": [p if isinstance(p, dict) else {"expr": p} for p in parts]} if len(parts) > 1 else (parts[0] if parts else None),
            }  # fmt: skip
            key = await save_view(conn, ctx, found, str(form.get("name") or ""), definition, shared=form.get("shared") == "1")
    except InvalidInput as error:
        data = {"error": str(error.problems[0].message), "name": str(form.get("name") or ""), "query": str(form.get("query") or "")}
        return ask.page("records/view.html", status=422, title=_("Save as view"), entity=found.key, plural=pick(found.defn.plural, ctx.locale), may_share=permissions.may_configure(ctx, "config"), **data)
    return ask.redirect(f"/r/{found.key}?view={key}", Toast(_("View saved")))


@get("/r/{entity:str}/views/{key:str}/delete")
async def confirm_delete_view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        pass
    return ask.page("records/view_delete.html", entity=found.key, key=key)


@post("/r/{entity:str}/views/{key:str}/delete", status_code=200)
async def remove_view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work() as conn:
        await delete_view(conn, ask.ctx, found, key)
    return ask.redirect(f"/r/{found.key}", Toast(_("View deleted")))


router = Router("", route_handlers=[index, board, chart, recycle_bin, bulk, new_view, create_view, confirm_delete_view, remove_view])
