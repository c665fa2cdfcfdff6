"""Pools over HTTP: how the caller stands to them, and claiming, assigning and giving back."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import execute, handing_over, permissions
from saas.runtime import operations as ops
from saas.runtime.pools.moves import Standing, standings
from saas.runtime.records import entity_of
from saas.ui.api import access, shapes
from saas.ui.api.records import ids_of, record_id, values_of


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
    """{"values"?}: of fields that the stage change asks for."""
    ctx = await access.context(request)
    return access.answer(shapes.change(await execute(ctx, ops.Release(entity=entity, id=record_id(rid), values=values_of(await access.body(request))))))


@post("/records/{entity:str}/transfer", status_code=200)
async def transfer(request: Request, entity: FromPath[str]) -> Response[Any]:
    """{"to", "ids" | "filter", "view", "q", "children"?, "preview"?}: a job that can be taken back; with `preview` only the counts."""
    ctx = await access.context(request)
    permissions.require(ctx, "update", entity_of(ctx, entity).key)
    body = await access.body(request)
    ids = ids_of(body, "ids", most=20_000) if "ids" in body else None
    asked: dict[str, Any] = {"ids": ids} if ids is not None else {"filter": body.get("filter"), "view": body.get("view"), "q": body.get("q")}
    if ids is None and not any(asked.values()):  # never everything by an omission
        raise BadRequest(lazy("Say which records: “ids”, or a “filter”, “view” or “q”."), field="ids")
    if not all(isinstance(asked.get(name), str | None) for name in ("view", "q")):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="view"), field="view")
    if body.get("preview") is True:
        found = await handing_over.preview(ctx, entity, **asked)
        return access.answer({"asked": found.asked, "count": found.count, "children": [{"key": b.key, "label": b.label, "count": b.count} for b in found.below]})
    children = body.get("children", [])
    if not isinstance(children, list) or not all(isinstance(c, str) for c in children):
        raise BadRequest(lazy("“%(name)s” must be a list of texts.", name="children"), field="children")
    job = await handing_over.hand_over(ctx, entity, access.identifier(str(body.get("to") or ""), "to"), children=children, **asked)
    return access.answer({"job": job.to_json()})


@post("/jobs/{jid:str}/undo", status_code=200)
async def undo_job(request: Request, jid: FromPath[str]) -> Response[Any]:
    """What such a job gave away goes back, as far as nobody gave it on."""
    ctx = await access.context(request)
    return access.answer({"job": (await handing_over.take_back(ctx, record_id(jid))).to_json()})


HANDLERS = [list_pools, claim_next, claim, assign, release, transfer, undo_job]
