"""What surrounds records: reports, views, people to choose from, the caller's notifications, the log of operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import BadRequest, NotFound
from saas.i18n import lazy, pick
from saas.metadata.models import ViewDef
from saas.runtime import Context, activity, notifications, permissions, reports, views
from saas.tenants import list_departments, list_users
from saas.ui.api import access, records, shapes

# ---- reports -----------------------------------------------------------------------------------------------------------


@get("/reports")
async def list_reports(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer({"data": reports.list_reports(ctx)})


@get("/reports/{key:str}", limit="report")
async def get_report(request: Request, key: FromPath[str]) -> Response[Any]:
    """One report with its figures; its parameters stand in the query."""
    ctx = await access.context(request)
    found = await reports.load_report(ctx, key, _report_params(ctx, key, request))
    return access.answer({**found, "widgets": [{**widget, "label": widget.get("title", "")} for widget in found["widgets"]]})


def _report_params(ctx: Context, key: str, request: Request) -> dict[str, str]:
    """Each of the query's parameters, of which the report must know all. Errors: BadRequest."""
    report = reports.report_of(ctx, key)
    known = {name for p in report.params for name in (p.key, f"{p.key}_from", f"{p.key}_to")}
    given = dict(request.query_params)
    for name in given:
        if name not in known:
            raise BadRequest(lazy("This report has no parameter “%(name)s”.", name=name[:60]), field=name[:60])
    return given


# ---- views, people -----------------------------------------------------------------------------------------------------


@get("/views/{entity:str}")
async def list_views(request: Request, entity: FromPath[str]) -> Response[Any]:
    """The views of an entity that the caller sees: those of the configuration, then the saved ones."""
    ctx = await access.context(request)
    found = ctx.config.entities.get(entity)
    if found is None or not permissions.may(ctx, "read", entity):
        raise NotFound(lazy("There is nothing called “%(key)s” here.", key=entity))
    async with tenant_transaction(ctx.tenant_id) as conn:
        saved = await views.saved_views(conn, ctx, found)
    shown = [(view, False) for view in views.configured_views(ctx, found)] + [(view, True) for view in saved]
    return access.answer({"data": [_view(ctx, view, saved=own, fields=permissions.static_access(ctx, found)) for view, own in shown]})


def _view(ctx: Context, view: ViewDef, *, saved: bool, fields: dict[str, str]) -> dict[str, Any]:
    """The filter of a configured view stays inside: it may name fields that the caller may not see."""
    shape = {
        "key": view.key, "label": pick(view.label, ctx.locale), "kind": view.kind, "sort": list(view.sort), "page_size": view.page_size,
        "columns": [c for c in view.columns if fields.get(c.partition(".")[0], "hidden") != "hidden"],
        "default": view.default, "saved": saved,
    }  # fmt: skip
    return {**shape, "filter": view.filter} if saved or permissions.may_configure(ctx, "config") else shape


@get("/users")
async def list_people(request: Request) -> Response[Any]:
    """Active people to choose from; `q`: words of the name, `department` (its key or id, with those below it), `role`. Who is here from
    outside (all roles external) finds only themselves."""
    ctx = await access.context(request)
    outside = permissions.is_outsider(ctx)
    query = {name: request.query_params.get(name, "").strip() for name in ("q", "department", "role")}
    departments = {d["id"]: d for d in await list_departments(ctx.tenant_id)}
    within: set[Any] = set()
    for key, d in departments.items():  # parents come first
        if query["department"] in (d["key"], str(key)) or d["parent_id"] in within:
            within.add(key)
    found = [
        {"id": str(u["id"]), "name": u["name"], "roles": list(u["role_keys"]), "departments": [_department(ctx, departments[d]) for d in u["department_ids"] if d in departments]}
        for u in await list_users(ctx.tenant_id, only_active=True)
        if (not outside or u["id"] == ctx.user_id) and all(word in u["name"].lower() for word in query["q"].lower().split())
        and (not query["department"] or within.intersection(u["department_ids"])) and (not query["role"] or query["role"] in u["role_keys"])
    ]  # fmt: skip
    return access.answer({"data": found})


def _department(ctx: Context, department: Mapping[str, Any]) -> dict[str, str]:
    return {"id": str(department["id"]), "key": department["key"], "name": pick(department["name"], ctx.locale)}


# ---- notifications -----------------------------------------------------------------------------------------------------


@get("/notifications")
async def list_notifications(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    limit = access.integer(request, "limit", 50, 200)
    before = request.query_params.get("before")
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await notifications.inbox(
            conn, ctx, limit=limit, before=access.identifier(before, "before") if before else None, unread=access.flag(request, "unread")
        )
        unread = await notifications.unread_count(conn, ctx)
    data = [
        {
            "id": str(n["id"]), "created_at": shapes.moment(n["created_at"]), "read_at": shapes.moment(n["read_at"]), "title": n["title"], "body": n["body"],
            "entity": n["entity_key"], "record": str(n["record_id"]) if n["record_id"] else None, "kind": n["kind"],
        }
        for n in found
    ]  # fmt: skip
    return access.answer({"data": data, "unread": unread, "next": data[-1]["id"] if len(data) == limit else None})


@post("/notifications/read", status_code=204)
async def read_notifications(request: Request) -> None:
    """Body {"ids": […]}; without ids all are marked. Ids that are not the caller's own change nothing."""
    ctx = await access.context(request)
    body = await access.body(request)
    ids = records.ids_of(body, "ids", most=1000) if "ids" in body else None
    async with tenant_transaction(ctx.tenant_id) as conn:
        await notifications.mark_read(conn, ctx, ids)


@get("/notifications/channels")
async def get_told_by(request: Request) -> Response[Any]:
    """By which ways the caller is told of what they have not read after some minutes, of those there are."""
    ctx = await access.context(request)
    async with tenant_transaction(ctx.tenant_id) as conn:
        channels, _has_phone = await notifications.told_by(conn, ctx)
    return access.answer({"channels": channels})


@post("/notifications/channels", status_code=200)
async def tell_by(request: Request) -> Response[Any]:
    """Body {"channels": ["email", "sms"]}: from now on."""
    ctx = await access.context(request)
    channels = (await access.body(request)).get("channels")
    if not isinstance(channels, list) or not set(map(str, channels)) <= set(notifications.CHANNELS):
        raise BadRequest(lazy("“%(name)s” is a list of some of: %(values)s.", name="channels", values=", ".join(notifications.CHANNELS)), field="channels")
    return access.answer({"channels": await notifications.tell_by(ctx, channels)})


# ---- the log of operations -----------------------------------------------------------------------------------------------


@get("/log")
async def operation_log(request: Request) -> Response[Any]:
    """Who did what to which record, newest first: `entity`, `person`, the days `first` to `last` (those of the last week unless told), `before` as `next` names it."""
    ctx = await access.context(request)
    permissions.require_setting(ctx, "audit")
    query = request.query_params
    limit, entity, person = access.integer(request, "limit", 50, 200), query.get("entity"), query.get("person")
    if entity and (entity not in ctx.config.entities or not permissions.may(ctx, "read", entity)):
        raise NotFound(lazy("There is nothing called “%(key)s” here.", key=entity[:60]))
    found = await activity.log(
        ctx, entity=entity or None, person=access.identifier(person, "person") if person else None, first=_day(query.get("first"), "first"), last=_day(query.get("last"), "last"),
        before=_place(query.get("before")), limit=limit,
    )  # fmt: skip
    told = shapes.history([e.told for e in found], limit)["data"]
    data = [{**line, "id": str(e.event_id), "entity": e.entity.key, "record": str(e.record_id), "title": e.title, "deleted": e.is_deleted} for e, line in zip(found, told, strict=True)]
    return access.answer({"data": data, "next": f"{found[-1].at.isoformat()}~{found[-1].event_id}" if len(found) == limit else None})


def _day(text: str | None, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(lazy("“%(name)s” must be a date.", name=name), field=name) from error


def _place(text: str | None) -> tuple[datetime, UUID] | None:
    moment, _tilde, event = (text or "").partition("~")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise ValueError(moment)
        return at.astimezone(UTC), access.identifier(event, "before")
    except (ValueError, OverflowError) as error:
        raise BadRequest(lazy("“%(name)s” is not a place in this list.", name="before"), field="before") from error


HANDLERS = [list_reports, get_report, list_views, list_people, list_notifications, read_notifications, get_told_by, tell_by, operation_log]
