"""The configuration as code: read, plan, publish, revisions, revert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest, NotFound
from saas.i18n import lazy
from saas.metadata import store
from saas.runtime import Context
from saas.runtime.permissions import require_active, require_setting
from saas.ui.api import access, shapes

LAST_REVISION = 2**31 - 1  # what the column holds


async def _admin(request: Request) -> Context:
    ctx = await access.context(request)
    require_setting(ctx, "config")
    if request.method != "GET":
        require_active(ctx)
    return ctx


def _revision(found: store.Revision) -> dict[str, Any]:
    return {
        "revision": found.number, "hash": found.hash, "message": found.message, "author": str(found.author_id) if found.author_id else None,
        "created_at": shapes.moment(found.created_at),
    }  # fmt: skip


@get("/config")
async def get_config(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    found = await store.revision(ctx.tenant_id)
    return access.answer({"revision": found.number, "hash": found.hash, "bundle": found.bundle})


async def _bundle(ctx: Context, body: Mapping[str, Any]) -> dict[str, Any]:
    """The bundle a request means: given whole, or as a JSON merge patch (RFC 7396) on the current one."""
    if isinstance(body.get("bundle"), dict):
        return body["bundle"]
    if isinstance(body.get("patch"), dict):
        return merge_patch((await store.revision(ctx.tenant_id)).bundle, body["patch"])
    raise BadRequest(lazy("Send “bundle” (the whole configuration) or “patch” (what changes)."), field="bundle")


def merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


@post("/config/plan", status_code=200)
async def plan_config(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    plan = await store.plan(ctx.tenant_id, await _bundle(ctx, await access.body(request)), author_id=ctx.user_id)
    return access.answer(
        {
            "plan_id": plan.id, "base_revision": plan.base_revision, "hash": plan.hash, "kind": plan.kind,
            "changes": [{"path": c.path, "kind": c.kind, "message": str(c.message), "records": c.records} for c in plan.changes],
        }
    )  # fmt: skip


@post("/config/publish", status_code=200)
async def publish_config(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    body = await access.body(request)
    message = str(body.get("message") or "")[:500]
    if "plan_id" in body:
        if not isinstance(body["plan_id"], str):
            raise BadRequest(lazy("“plan_id” must be the id that a plan was answered with."), field="plan_id")
        found = await store.publish_plan(ctx.tenant_id, body["plan_id"], message=message, author_id=ctx.user_id)
    else:
        base = body.get("base_revision", ctx.config.revision)
        if not isinstance(base, int) or isinstance(base, bool):
            raise BadRequest(lazy("“base_revision” must be the revision your change starts from."), field="base_revision")
        found = await store.publish(ctx.tenant_id, await _bundle(ctx, body), base_revision=base, message=message, author_id=ctx.user_id)
    return access.answer(_revision(found))


@get("/config/revisions")
async def list_revisions(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    limit, before = access.integer(request, "limit", 100, 200), access.integer(request, "before", LAST_REVISION, LAST_REVISION)
    found = await store.revisions(ctx.tenant_id, limit=limit, before=before)
    return access.answer({"data": [_revision(r) for r in found], "next": found[-1].number if len(found) == limit else None})


@post("/config/revisions/{number:int}/revert", status_code=200)
async def revert_config(request: Request, number: FromPath[int]) -> Response[Any]:
    ctx = await _admin(request)
    body = await access.body(request)
    if not 0 < number <= LAST_REVISION:
        raise NotFound(lazy("There is no such revision of the configuration."))
    found = await store.revert(ctx.tenant_id, number, base_revision=ctx.config.revision, message=str(body.get("message") or "")[:500], author_id=ctx.user_id)
    return access.answer(_revision(found))


HANDLERS = [get_config, plan_config, publish_config, list_revisions, revert_config]
