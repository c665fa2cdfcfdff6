"""One record: its page, create and edit forms, delete and restore, candidates of pickers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Stream

from saas.errors import (
    AppError,
    Conflict,
    DuplicateFound,
    FieldProblem,
    InvalidInput,
    NotFound,
    PermissionDenied,
    PlanLimitReached,
    StaleVersion,
)
from saas.i18n import gettext as _
from saas.i18n import pick, sentences
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import Context, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.files import open_file, open_thumbnail
from saas.runtime.forms import choices, form_state
from saas.runtime.records import entity_of
from saas.ui.forms import build_form, form_values, has_uploads, inherited_values, version_of
from saas.ui.guards import Ask, local_path, signed_in, whole_number
from saas.ui.record_page import RecordPage
from saas.ui.uploads import store_uploads
from saas.ui.views import DeleteView, FormView, Toast

FORM_BYTES = 32 * 1024 * 1024  # forms may carry files


def toasts(change: ops.Change) -> list[Toast]:
    return [Toast(change.message), *(Toast(str(w), "warn") for w in change.warnings)]


@get("/r/{entity:str}/{record_id:uuid}")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work() as conn:
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id, deleted=request.query_params.get("deleted") == "1"))
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
        view = await RecordPage(ask.ctx, found, record, dict(request.query_params), origin).view(conn)
    if ask.target == "timeline":
        return ask.fragment("records/_timeline.html", record=view)
    return ask.page("records/show.html", record=view)


# ---- create ------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/new")
async def new(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "create", found.key)
    query = request.query_params
    typed = {**inherited_values(ask.ctx, found, query), **form_values(ask.ctx, found, query)}  # type: ignore[arg-type]  # prefilled by links
    async with ask.work() as conn:
        # Said before somebody types, not after.
        shut = None if permissions.is_open(ask.ctx) else permissions.closed(ask.ctx.tenant)
        view = await _new_form(ask, conn, found, typed, next_=request.query_params.get("next"), inline=request.query_params.get("inline") == "1", error=shut)
    return _form_page(ask, view)


@post("/r/{entity:str}/new", status_code=200, request_max_body_size=FORM_BYTES)
async def create(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    next_, inline = str(form.get("next") or ""), form.get("inline") == "1"
    typed: dict[str, Any] = {}
    async with ask.work() as conn:
        typed = form_values(ctx, found, form)
        try:
            if has_uploads(form):
                typed = form_values(ctx, found, await store_uploads(ctx, found.key, form))
            change = await execute(ctx, ops.Create(entity=found.key, values=typed, confirm_duplicates=form.get("confirm_duplicates") == "1"))
        except (InvalidInput, DuplicateFound, Conflict, PermissionDenied, PlanLimitReached) as error:
            if isinstance(error, PermissionDenied) and not permissions.may(ctx, "create", found.key):
                raise
            asks = isinstance(error, PermissionDenied) and "reason" not in error.data
            shown = await _missing(ctx, found, typed) or error if asks else error
            view = await _new_form(ask, conn, found, typed, next_=next_, inline=inline, error=shown)
            return _form_page(ask, view, status=shown.status)
    if inline and ask.is_fragment and change.record is not None:
        made = {"value": str(change.record.id), "text": change.record.title}
        return ask.fragment("records/_made.html", title=change.record.title, headers={"X-Created": quote(json.dumps(made))})
    url = f"/r/{found.key}/{change.record.id}" if change.record else f"/r/{found.key}"
    return ask.redirect(local_path(next_, url), *toasts(change))


async def _missing(ctx: Context, entity: Entity, typed: dict[str, Any]) -> InvalidInput | None:
    """Whether one may create this here is often asked of a field that was forgotten: then say that, not that it is forbidden."""
    state = await form_state(ctx, entity.key, typed=typed)
    empty = [k for k, s in state.fields.items() if s.required and s.visible and s.access == "write" and state.values.get(k) in (None, "", [])]
    problems = [FieldProblem(k, "required", pick(entity.fields[k].message, ctx.locale) or _("This field is required.")) for k in empty]
    return InvalidInput(problems) if problems else None


async def _new_form(ask: Ask, conn: Any, entity: Entity, typed: dict[str, Any], *, next_: str | None, inline: bool, error: AppError | None = None) -> FormView:
    state = await form_state(ask.ctx, entity.key, typed=typed)
    cancel = local_path(next_, f"/r/{entity.key}")
    inline = inline and ask.target == "dialog"
    return await build_form(
        conn, ask.ctx, entity, state, new=True, error=error, typed=typed if error else None, prefix="n" if inline else "f",
        title=_("New %(name)s", name=pick(entity.defn.label, ask.ctx.locale)), action=f"/r/{entity.key}/new", submit=_("Create"), cancel_url=cancel,
        refresh_url=f"/r/{entity.key}/form", guard=not inline, dialog=inline,
        hidden=(("next", next_ or ""), *((("inline", "1"),) if inline else ())),
    )  # fmt: skip


def _form_page(ask: Ask, view: FormView, *, status: int = 200) -> Response[Any]:
    if ask.target == "dialog":
        return ask.fragment("records/dialog_form.html", status=status, form=view)
    return ask.page("records/edit.html", status=status, form=view)


# ---- edit --------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/edit")
async def edit(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work() as conn:
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        if not (record.can and record.can.update):
            raise PermissionDenied() if permissions.is_open(ask.ctx) else permissions.closed(ask.ctx.tenant)
        view = await _edit_form(ask, conn, found, record, {})
    return _form_page(ask, view)


@post("/r/{entity:str}/{record_id:uuid}/edit", status_code=200, request_max_body_size=FORM_BYTES)
async def update(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    async with ask.work() as conn:
        typed = form_values(ctx, found, form)
        try:
            if has_uploads(form):
                typed = form_values(ctx, found, await store_uploads(ctx, found.key, form))
            change = await execute(
                ctx, ops.Update(entity=found.key, id=record_id, values=typed, version=version_of(form), confirm_duplicates=form.get("confirm_duplicates") == "1")
            )
        except (InvalidInput, DuplicateFound, Conflict, PlanLimitReached, PermissionDenied) as error:
            if isinstance(error, PermissionDenied) and "reason" not in error.data:
                raise
            record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
            version = record.version if isinstance(error, StaleVersion) else version_of(form)
            view = await _edit_form(ask, conn, found, record, typed, error=error, version=version)
            return _form_page(ask, view, status=error.status)
    return ask.redirect(f"/r/{found.key}/{record_id}" if change.record else f"/r/{found.key}", *toasts(change))


async def _edit_form(ask: Ask, conn: Any, entity: Entity, record: ops.Record, typed: dict[str, Any], *, error: AppError | None = None, version: int | None = None) -> FormView:
    state = await form_state(ask.ctx, entity.key, record_id=record.id, typed=typed)
    url = f"/r/{entity.key}/{record.id}"
    return await build_form(
        conn, ask.ctx, entity, state, new=False, error=error, typed=typed if error else None, current=record, version=version if version is not None else record.version,
        title=_("Edit"), action=f"{url}/edit", submit=_("Save"), cancel_url=url, record_url=url, record_title=record.title,
        refresh_url=f"/r/{entity.key}/form?id={record.id}", guard=True,
    )  # fmt: skip


@post("/r/{entity:str}/form", status_code=200, request_max_body_size=FORM_BYTES)
async def refresh(request: Request, entity: FromPath[str]) -> Response[Any]:
    """The sections of a form again, after a field that others depend on has changed. Nothing is written."""
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    typed = form_values(ctx, found, form)
    text = request.query_params.get("id")
    try:
        record_id = UUID(text) if text else None
    except ValueError as error:
        raise NotFound() from error
    async with ask.work() as conn:
        state = await form_state(ctx, found.key, record_id=record_id, typed=typed)
        inline = form.get("inline") == "1"
        url = f"/r/{found.key}/form" + (f"?id={record_id}" if record_id else "")
        view = await build_form(conn, ctx, found, state, new=record_id is None, typed=typed, prefix="n" if inline else "f", title="", action="", submit="", cancel_url="", refresh_url=url)
    return ask.fragment("records/_sections.html", form=view)


@get("/lookup/{entity:str}/{field:str}")
async def lookup(request: Request, entity: FromPath[str], field: FromPath[str]) -> Response[Any]:
    """Candidates of a picker as JSON; the other query parameters are the form's values that a candidate filter looks at."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    query = request.query_params
    typed = form_values(ask.ctx, found, query)  # type: ignore[arg-type]
    items = await choices(ask.ctx, found.key, field, q=query.get("q", "")[:100], values=typed, limit=20)
    offered = [{"value": c.id, "text": c.label, "note": c.detail} for c in items]
    declared = found.fields.get(field)
    if query.get("filter") and not query.get("q") and declared is not None and field_types.get(declared.type).holds == "user":
        offered.insert(0, {"value": "me()", "text": _("me"), "note": ""})
    return Response({"items": offered}, headers={"cache-control": "no-store"})


# ---- delete, restore ---------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/delete")
async def confirm_delete(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        if not (record.can and record.can.delete):
            raise PermissionDenied()
    return _delete_page(ask, _delete_view(ask, found, record))


def _delete_view(ask: Ask, entity: Entity, record: ops.Record, error: str = "") -> DeleteView:
    url = f"/r/{entity.key}/{record.id}"
    own = pick(entity.defn.messages.get("confirm_delete"), ask.ctx.locale)
    text = own or _("Delete “%(title)s”?", title=record.title)
    hint = "" if own else _("It can be restored from the recycle bin.")
    title = _("Delete %(name)s", name=pick(entity.defn.label, ask.ctx.locale))
    return DeleteView(title, text, f"{url}/delete", url, record.version, hint, error)


def _delete_page(ask: Ask, view: DeleteView, *, status: int = 200) -> Response[Any]:
    if ask.target == "dialog":
        return ask.fragment("records/_delete.html", status=status, delete=view)
    return ask.page("records/delete.html", status=status, delete=view)


@post("/r/{entity:str}/{record_id:uuid}/delete", status_code=200)
async def delete(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    async with ask.work():
        try:
            change = await execute(ctx, ops.Delete(entity=found.key, id=record_id, version=version_of(form)))
        except (Conflict, InvalidInput) as error:
            record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
            text = sentences(p.message for p in error.problems) or str(error.message)
            return _delete_page(ask, _delete_view(ask, found, record, text), status=error.status)
    return ask.redirect(f"/r/{found.key}", *toasts(change))


@post("/r/{entity:str}/{record_id:uuid}/restore", status_code=200)
async def restore(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        change = await execute(ask.ctx, ops.Restore(entity=found.key, id=record_id))
    return ask.redirect(f"/r/{found.key}/{record_id}" if change.record else f"/r/{found.key}/bin", *toasts(change))


@get("/files/{file_id:uuid}")
async def download(request: Request, file_id: FromPath[UUID]) -> Stream:
    """A file the person may see: their own upload, or one that hangs on a record they may read. `?size=` asks for a thumbnail."""
    ask = await signed_in(request)
    size = whole_number(request.query_params.get("size", ""))
    if size is not None:
        found = await open_thumbnail(ask.ctx, file_id, min(size, 2000))
    else:
        found = await open_file(ask.ctx, file_id, download=request.query_params.get("download") == "1")
    return Stream(found.chunks(), media_type=found.content_type, headers=found.headers)


router = Router("", route_handlers=[show, new, create, edit, update, refresh, lookup, confirm_delete, delete, restore, download])
