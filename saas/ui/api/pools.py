"""Pools over HTTP: how the caller stands to them, and claiming, assigning and giving back."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.pools.moves import Standing, standings
from saas.runtime.records import entity_of
from saas.ui.api import access, shapes
from saas.ui.api.records import record_id


@get("/records/{entity:str}/pools")
async def list_pools(request: Request, entity: FromPath[str]) -> Response[Any]:
    """The pools the caller sees: what they hold of each, and what they may still claim."""
    ctx = await access.context(request)
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await standings(conn, ctx, entity_of(ctx, entity))
    return access.answer({"data": [_standing(s) for s in found]})


def _standing(s: Standing) -> dict[str, Any]:
    return {"key": s.key, "label": s.label, "can_claim": s.may_claim, "held": s.held, "most_held": s.most, "claimed_today": s.claimed_today, "claims_per_day": s.per_day}


@post("/records/{entity:str}/claim", status_code=200)
async def claim_next(request: Request, entity: FromPath[str]) -> Response[Any]:
    """{"pool"?}: the next record of the pool becomes the caller's. Two callers never get the same."""
    ctx = await access.context(request)
    pool = (await access.body(request)).get("pool")
    if pool is not None and not isinstance(pool, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="pool"), field="pool")
    return access.answer(shapes.change(await execute(ctx, ops.Claim(entity=entity, pool=pool))))


@post("/records/{entity:str}/{rid:str}/claim", status_code=200)
async def claim(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer(shapes.change(await execute(ctx, ops.Claim(entity=entity, id=record_id(rid)))))


@post("/records/{entity:str}/{rid:str}/assign", status_code=200)
async def assign(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    """{"owner"}: that person becomes responsible."""
    ctx = await access.context(request)
    owner = access.identifier(str((await access.body(request)).get("owner") or ""), "owner")
    return access.answer(shapes.change(await execute(ctx, ops.Assign(entity=entity, id=record_id(rid), to=owner))))


@post("/records/{entity:str}/{rid:str}/release", status_code=200)
async def release(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer(shapes.change(await execute(ctx, ops.Release(entity=entity, id=record_id(rid)))))


HANDLERS = [list_pools, claim_next, claim, assign, release]
