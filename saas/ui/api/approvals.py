"""Approvals over HTTP: what waits for the caller, starting, deciding; and who stands in for whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Request, delete, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import AppError, BadRequest
from saas.i18n import lazy
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.approvals import deputies, flows, reading
from saas.ui.api import access, shapes
from saas.ui.api.records import ids_of, record_id

MOST_AT_ONCE = 100


@get("/approvals/tasks")
async def list_tasks(request: Request) -> Response[Any]:
    """`box`: mine (to decide), started or done."""
    ctx = await access.context(request)
    asked = request.query_params
    found = await reading.tasks(
        ctx, asked.get("box") or "mine", approval=asked.get("approval") or None, limit=access.integer(request, "limit", 50, reading.MAX_TASKS), before=_moment(asked.get("before"))
    )
    return access.answer({"data": [plain(t) for t in found]})


@get("/records/{entity:str}/{rid:str}/approvals")
async def list_approvals(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    """The approvals of a record with their steps, and those that may be started."""
    ctx = await access.context(request)
    found = await reading.record_flows(ctx, entity, record_id(rid))
    offered = await reading.startable(ctx, entity, record_id(rid))
    return access.answer({"data": [plain(f) for f in found], "start": [plain(s) for s in offered]})


@post("/records/{entity:str}/{rid:str}/approvals", status_code=201)
async def start_approval(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    """{"approval", "way"?, "people"?, "together"?, "comment"?}; with "preview" nothing begins and the steps are answered."""
    ctx = await access.context(request)
    body = await access.body(request)
    key, way = _text(body, "approval"), _text(body, "way") or None
    if not key:
        raise BadRequest(lazy("“%(name)s” must be a text.", name="approval"), field="approval")
    people = ids_of(body, "people", most=20) if body.get("people") is not None else []
    together = body.get("together") is True
    if body.get("preview") is True:
        steps = await reading.preview(ctx, entity, record_id(rid), key, way=way, people=people, together=together)
        return access.answer({"steps": [plain(s) for s in steps]}, 200)
    change = await execute(ctx, ops.StartApproval(entity=entity, id=record_id(rid), approval=key, way=way, people=people, together=together, comment=_text(body, "comment")))
    return access.answer({**shapes.change(change), "approval": await _newest(ctx, entity, record_id(rid))}, 201)


@post("/approvals/tasks", status_code=200)
async def decide_many(request: Request) -> Response[Any]:
    """{"ids", "act": approve or reject, "comment"?}: each for itself; what could not be decided says why, the others are."""
    ctx = await access.context(request)
    body = await access.body(request)
    act, ids = _text(body, "act"), ids_of(body, "ids", most=MOST_AT_ONCE)
    if act not in ("approve", "reject"):
        raise BadRequest(lazy("“act” is one of: %(known)s.", known="approve, reject"), field="act")
    told: list[dict[str, Any]] = []
    for task_id in dict.fromkeys(ids):
        try:
            entity, rid, flow_id = await reading.task_place(ctx, task_id)
            await execute(ctx, ops.ActOnApproval(entity=entity, id=rid, flow=flow_id, act=act, task=task_id, comment=_text(body, "comment")))
            told.append({"id": str(task_id), "done": True})
        except AppError as error:
            text = " ".join([str(error.message), *(str(p.message) for p in error.problems)])
            told.append({"id": str(task_id), "done": False, "code": error.code, "message": text})
    return access.answer({"data": told})


@post("/approvals/tasks/{task:str}", status_code=200)
async def decide(request: Request, task: FromPath[str]) -> Response[Any]:
    """{"act": approve, reject, return, before, after or delegate, "comment"?, "to"?, "person"?}."""
    ctx = await access.context(request)
    body = await access.body(request)
    task_id = access.identifier(task, "task")
    act = _text(body, "act")
    if act not in flows.OF_TASK:
        raise BadRequest(lazy("“act” is one of: %(known)s.", known=", ".join(flows.OF_TASK)), field="act")
    return await _act(ctx, await reading.task_place(ctx, task_id), act, body, task_id)


@post("/approvals/{flow:str}", status_code=200)
async def act_on(request: Request, flow: FromPath[str]) -> Response[Any]:
    """{"act": withdraw, resubmit, comment or reassign, "comment"?, "person"?}."""
    ctx = await access.context(request)
    body = await access.body(request)
    act = _text(body, "act")
    known = [key for key in flows.ACTS if key not in flows.OF_TASK]
    if act not in known:
        raise BadRequest(lazy("“act” is one of: %(known)s.", known=", ".join(known)), field="act")
    return await _act(ctx, await reading.flow_place(ctx, access.identifier(flow, "id")), act, body, None)


async def _act(ctx: Context, place: tuple[str, UUID, UUID], act: str, body: Mapping[str, Any], task_id: UUID | None) -> Response[Any]:
    entity, rid, flow_id = place
    person = access.identifier(_text(body, "person"), "person") if body.get("person") else None
    change = await execute(
        ctx, ops.ActOnApproval(entity=entity, id=rid, flow=flow_id, act=act, task=task_id, comment=_text(body, "comment"), to=_text(body, "to") or None, person=person)
    )
    return access.answer({**shapes.change(change), "approval": await _newest(ctx, entity, rid)})


async def _newest(ctx: Context, entity: str, rid: UUID) -> Any:
    found = await reading.record_flows(ctx, entity, rid, 1)
    return plain(found[0]) if found else None


@get("/deputies")
async def list_deputies(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer({"data": [plain(d) for d in await deputies.deputies(ctx, everybody=access.flag(request, "everybody"))]})


@post("/deputies", status_code=201)
async def set_deputy(request: Request) -> Response[Any]:
    """{"first_day", "last_day", "deputy"?, "person"?}: the caller is away on these days (another person, for those who look after people), and
    somebody decides for them."""
    ctx = await access.context(request)
    body = await access.body(request)
    person = access.identifier(_text(body, "deputy"), "deputy") if body.get("deputy") else None
    whose = access.identifier(_text(body, "person"), "person") if body.get("person") else None
    found = await deputies.set_deputy(ctx, person, _day(body, "first_day"), _day(body, "last_day"), user_id=whose)
    return access.answer({"id": str(found)}, 201)


@delete("/deputies/{did:str}", status_code=204)
async def remove_deputy(request: Request, did: FromPath[str]) -> None:
    ctx = await access.context(request)
    await deputies.remove_deputy(ctx, record_id(did))


def plain(found: Any) -> Any:
    """A dataclass as JSON."""
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        return {f.name: plain(getattr(found, f.name)) for f in dataclasses.fields(found)}
    if isinstance(found, (list, tuple)):
        return [plain(x) for x in found]
    if isinstance(found, datetime | date):
        return found.isoformat().replace("+00:00", "Z")
    return str(found) if isinstance(found, UUID) else found


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    if found is not None and not isinstance(found, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name=name), field=name)
    return found or ""


def _day(body: Mapping[str, Any], name: str) -> date | None:
    text = _text(body, name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(lazy("“%(name)s” must be a day such as 2025-12-31.", name=name), field=name) from error


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(lazy("This page link is broken; start again from the first page."), field="before") from error
    if found is not None and found.tzinfo is None:
        raise BadRequest(lazy("This page link is broken; start again from the first page."), field="before")
    return found


HANDLERS = [list_tasks, decide_many, list_approvals, start_approval, decide, act_on, list_deputies, set_deputy, remove_deputy]
