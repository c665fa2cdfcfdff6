"""What the caller's role can see, as JSON Schema and as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import NotFound
from saas.i18n import lazy, pick
from saas.metadata.compile import record_schema_for
from saas.runtime import permissions
from saas.ui.api import access, openapi, shapes


@get("/schema")
async def list_schema(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    entities = [shapes.entity_summary(ctx, e) for e in ctx.config.entities.values() if permissions.may(ctx, "read", e.key) or permissions.may(ctx, "create", e.key)]
    return access.answer({"revision": ctx.config.revision, "entities": entities})


@get("/schema/{entity:str}")
async def entity_schema(request: Request, entity: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = ctx.config.entities.get(entity)
    if found is None or not (permissions.may(ctx, "read", entity) or permissions.may(ctx, "create", entity)):
        raise NotFound(lazy("There is nothing called “%(key)s” here.", key=entity))
    schema = record_schema_for(ctx.config, entity, permissions.static_access(ctx, found), ctx.locale)
    if found.pipeline and permissions.static_access(ctx, found).get(found.pipeline.field, "hidden") != "hidden":
        schema = {
            **schema,
            "x-pipeline": {
                "key": found.pipeline.key, "field": found.pipeline.field,
                "stages": [{"key": s.key, "label": pick(s.label, ctx.locale), "kind": s.kind, "color": s.color} for s in found.pipeline.stages],
                "transitions": [
                    {"key": t.key, "label": pick(t.label, ctx.locale), "from": list(t.sources), "to": t.to, "require": list(t.require)}
                    for t in found.pipeline.transitions
                    if permissions.transition_roles(ctx, found.pipeline, t) is not False
                ],
            },
        }  # fmt: skip
    return access.answer(schema)


@get("/openapi.json")
async def openapi_document(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer(openapi.document(ctx, f"{request.url.scheme}://{request.headers.get('host', '')}/api/v1"))


HANDLERS = [list_schema, entity_schema, openapi_document]
