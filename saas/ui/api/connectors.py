"""Connectors over HTTP: how fresh what they mirror is, fetching it now, and rows that are asked for with a record."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.runtime import connectors, jobs, permissions
from saas.runtime.records import entity_of
from saas.runtime.words import told
from saas.ui.api import access, shapes
from saas.ui.api.records import record_id


@get("/connectors")
async def list_connectors(request: Request) -> Response[Any]:
    """Those whose mirrors one may read; with the right to the configuration all of them."""
    ctx = await access.context(request)
    everything = permissions.may_configure(ctx, "config")
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        fresh = [f for f in await connectors.freshness_of(conn, ctx) if everything or permissions.may(ctx, "read", f.mirror.entity)]
        found = []
        for connector in ctx.config.bundle.connectors:
            mine = [f for f in fresh if f.connector is connector]
            if mine or everything:
                found.append({
                    "key": connector.key, "label": pick(connector.label, ctx.locale), "mode": connectors.mode_of(connector, await connectors.connection_in(conn, ctx.tenant_id, connector.key)),
                    "mirrors": [{
                        "key": f.mirror.key, "entity": f.mirror.entity, "at": shapes.moment(f.at), "late": f.is_late, "error": told(f.error) if everything else "", "counts": dict(f.counts) if everything else {},
                    } for f in mine],
                })  # fmt: skip
    return access.answer({"data": found, "next": None})


@post("/connectors/{key:str}/pull", status_code=202)
async def pull_connector(request: Request, key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    if not permissions.may_configure(ctx, "config"):
        raise PermissionDenied(lazy("Your role does not include this part of the settings."))
    permissions.require_active(ctx)
    if not any(c.key == key for c in ctx.config.bundle.connectors):
        raise NotFound()
    async with tenant_transaction(ctx.tenant_id) as conn:
        job_id = await jobs.enqueue(conn, ctx, "pull_mirrors", {"connector": key})
    return access.answer({"job": (await jobs.get_job(ctx, job_id)).to_json()}, 202)


@get("/records/{entity:str}/{rid:str}/live/{key:str}", limit="report")
async def live_rows(request: Request, entity: FromPath[str], rid: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """Each row by the keys of its columns; `error` says why there are none."""
    ctx = await access.context(request)
    found = await connectors.look_up(ctx, entity_of(ctx, entity), record_id(rid), key)
    keys = [c.key for c in found.defn.columns]
    return access.answer({
        "key": key, "data": [dict(zip(keys, row, strict=True)) for row in found.rows], "more": found.more, "mode": found.mode, "error": str(found.error) if found.error is not None else None,
        "columns": [{"key": c.key, "label": pick(c.label, ctx.locale), "type": c.type} for c in found.defn.columns], "next": None,
    })  # fmt: skip


HANDLERS = [list_connectors, pull_connector, live_rows]
