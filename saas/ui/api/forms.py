"""Entry forms over HTTP: what they ask, and a record with its parts sent in one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy, pick
from saas.metadata.models import FormDef
from saas.runtime import Context, composing, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.records import entity_of
from saas.ui.api import access, shapes
from saas.ui.api.records import confirmed, once, record_id


@get("/forms")
async def list_forms(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer({"data": [shape(ctx, form) for form in composing.forms_of(ctx)], "next": None})


def shape(ctx: Context, form: FormDef) -> dict[str, Any]:
    parts = [
        {"key": part.key, "label": label, "entity": target.entity.key, "many": part.list is not None, "fields": list(part.fields), "creates": list(part.creates), "min": part.min}
        for part, target, label in composing.labels(ctx, form)
    ]
    return {"key": form.key, "label": pick(form.label, ctx.locale), "entity": form.entity, "fields": list(form.fields), "parts": parts}


@post("/forms/{key:str}", status_code=201)
async def send_form(request: Request, key: FromPath[str]) -> Response[Any]:
    """`{"values": {…}, "parts": {"customer": {"id"} or {"values"}, "lines": [{"values"}, …]}}`; with an `id` the record is changed, and lines
    with an id are changed or, with `"delete": true`, deleted."""
    ctx = await access.context(request)
    body = await access.body(request)
    form = composing.form_called(ctx, key)
    require_reach(ctx, form)
    given = body.get("parts", {})
    if not isinstance(given, Mapping):
        raise BadRequest(lazy("“%(name)s” must be an object.", name="parts"), field="parts")
    parts = {name: [_entered(x, name) for x in value] if isinstance(value, list) else _entered(value, name) if value is not None else None for name, value in given.items()}
    asked = ops.Compose(entity=form.entity, form=key, main=_entered({k: v for k, v in body.items() if k in ("id", "values", "version")}, ""), parts=parts, confirm_duplicates=confirmed(body))

    async def run() -> tuple[int, dict[str, Any]]:
        return 200 if asked.main.id else 201, shapes.change(await execute(ctx, asked))

    status, content = await once(ctx, request, body, run)
    return access.answer(content, status)


def require_reach(ctx: Context, form: FormDef) -> None:
    """An API key of chosen entities must reach all that the form makes."""
    inner = ctx.replace(form=form.key)
    permissions.require(inner, "create", entity_of(ctx, form.entity).key)


def _entered(found: Any, name: str) -> ops.Entered:
    if not isinstance(found, Mapping) or not set(found) <= {"id", "values", "version", "delete"} or not isinstance(found.get("values", {}), Mapping):
        raise BadRequest(lazy("“%(name)s” must hold objects with “id” or “values”.", name=name or "values"), field=name or "values")
    version, given = found.get("version"), found.get("id")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise BadRequest(lazy("“version” must be the version number you read."), field="version")
    return ops.Entered(values=dict(found.get("values", {})), id=record_id(str(given)) if given is not None else None, version=version, delete=found.get("delete") is True)


HANDLERS = [list_forms, send_form]
