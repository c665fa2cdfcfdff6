"""Entry forms: one page for a record, the records it refers to and its lines.

Who: whoever takes an order on the telephone, with no time to enter a customer first. What next: they read the totals back, save, and
stand on the new record.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import Conflict, DuplicateFound, InvalidInput, PermissionDenied, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.runtime import composing, execute, permissions
from saas.runtime import operations as ops
from saas.ui import composed
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.records import toasts

ADD, DROP = "add:", "drop:"


@get("/entry/{key:str}")
async def new(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    form = composing.form_called(ask.ctx, key)
    permissions.require(ask.ctx.replace(form=form.key), "create", form.entity)
    main, parts = composed.entered(ask.ctx, form, request.query_params, None)  # type: ignore[arg-type]  # prefilled by links
    async with ask.work() as conn:
        view = await composed.view(conn, ask.ctx, form, main, parts)
    return ask.page("records/compose.html", form=view)


@get("/entry/{key:str}/{record_id:uuid}")
async def edit(request: Request, key: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    form = composing.form_called(ask.ctx, key)
    async with ask.work() as conn:
        record, main, parts = await composed.stored(ask.ctx.replace(form=form.key), form, record_id)
        if not (record.can and record.can.update):
            raise PermissionDenied() if permissions.is_open(ask.ctx) else permissions.closed(ask.ctx.tenant)
        view = await composed.view(conn, ask.ctx, form, main, parts, title=record.title)
    return ask.page("records/compose.html", form=view)


@post("/entry/{key:str}", status_code=200)
async def create(request: Request, key: FromPath[str]) -> Response[Any]:
    return await _send(await signed_in(request), key, None)


@post("/entry/{key:str}/{record_id:uuid}", status_code=200)
async def update(request: Request, key: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    return await _send(await signed_in(request), key, record_id)


async def _send(ask: Ask, key: str, record_id: UUID | None) -> Response[Any]:
    ctx, form, posted = ask.ctx, composing.form_called(ask.ctx, key), await ask.form()
    main, parts = composed.entered(ctx, form, posted, record_id)
    act = str(posted.get("act") or "")
    async with ask.work() as conn:
        if act.startswith((ADD, DROP)):
            name, _colon, number = act.partition(":")[2].partition(":")
            if act.startswith(DROP) and number.isdigit() and isinstance(parts.get(name), list) and int(number) < len(parts[name]):
                del parts[name][int(number)]
            view = await composed.view(conn, ctx, form, main, parts, more=name if act.startswith(ADD) else "")
            return ask.page("records/compose.html", form=view)
        try:
            change = await execute(ctx, ops.Compose(entity=form.entity, form=key, main=main, parts=parts, confirm_duplicates=posted.get("confirm_duplicates") == "1"))
        except (InvalidInput, DuplicateFound, Conflict, PlanLimitReached) as error:
            view = await composed.view(conn, ctx, form, main, parts, error=error)
            return ask.page("records/compose.html", status=error.status, form=view)
    return ask.redirect(f"/r/{form.entity}/{change.record.id}" if change.record else f"/r/{form.entity}", *toasts(change))


@post("/entry/{key:str}/live", status_code=200)
async def live(request: Request, key: FromPath[str]) -> Response[Any]:
    """What the record and its lines would come to, while they are typed. Nothing is written."""
    ask = await signed_in(request)
    form = composing.form_called(ask.ctx, key)
    main, parts = composed.entered(ask.ctx, form, await ask.form(), None)
    async with ask.work() as conn:
        found = await composing.foresee(conn, ask.ctx, form, main, parts)
    label = {part.key: text for part, _target, text in composing.labels(ask.ctx, form)}

    def named(entity: Any, texts: dict[str, str]) -> list[tuple[str, str]]:
        return [(pick(entity.fields[k].label, ask.ctx.locale), text) for k, text in texts.items() if text]

    shown = [
        {"label": label[f.part.key] if f.part else "", "lines": [(n + 1, named(f.entity, line)) for n, line in enumerate(f.lines) if line], "totals": named(f.entity, f.totals), "total": _("Total") if f.part else pick(f.entity.defn.label, ask.ctx.locale)}
        for f in found
    ]  # fmt: skip
    return ask.fragment("records/_compose_live.html", parts=shown)


router = Router("", route_handlers=[new, edit, create, update, live])
