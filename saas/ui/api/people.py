"""People who leave, and who takes over; for those who look after people."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.runtime import succession
from saas.ui.api import access


@get("/people/{person:str}/duties")
async def show_duties(request: Request, person: FromPath[str]) -> Response[Any]:
    """What somebody is responsible for, per entity and field."""
    ctx = await access.context(request)
    found = await succession.duties(ctx, access.identifier(person, "id"))
    parts = [{"entity": p.entity, "field": p.field, "open": p.open, "closed": p.closed} for p in found.parts]
    return access.answer({"records": parts, "leads": found.led, "api_keys": found.keys})


@post("/people/{person:str}/deactivate", status_code=200)
async def deactivate(request: Request, person: FromPath[str]) -> Response[Any]:
    """Body {"successor"?: id or null (nobody takes over), "records"?: "open" (default) or "all"}."""
    ctx = await access.context(request)
    body = await access.body(request) if await request.body() else {}
    given, records = body.get("successor"), body.get("records", "open")
    if not isinstance(records, str) or not (given is None or isinstance(given, str)):
        raise InvalidInput([FieldProblem("successor", "invalid", lazy("This value is not of the right kind."), "/successor")])
    successor = access.identifier(given, "successor") if given else None
    return _answer("inactive", await succession.deactivate(ctx, access.identifier(person, "id"), successor_id=successor, scope=records))


@post("/people/{person:str}/reactivate", status_code=200)
async def reactivate(request: Request, person: FromPath[str]) -> Response[Any]:
    """Give back what the successor took over and still has."""
    ctx = await access.context(request)
    return _answer("active", await succession.reactivate(ctx, access.identifier(person, "id")))


def _answer(status: str, job: Any) -> Response[Any]:
    return access.answer({"status": status, "job": job.to_json() if job else None})


HANDLERS = [show_duties, deactivate, reactivate]
