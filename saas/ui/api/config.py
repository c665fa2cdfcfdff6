"""The configuration as code: read, plan, publish, look back, compare, revert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest, NotFound
from saas.i18n import lazy, pick
from saas.metadata import store
from saas.metadata.evolve import Change
from saas.runtime import Context, configuration
from saas.runtime.permissions import require_active, require_setting
from saas.ui.api import access, shapes

LAST_REVISION = store.MAX_REVISION


async def _admin(request: Request) -> Context:
    ctx = await access.context(request)
    require_setting(ctx, "config")
    if request.method != "GET":
        require_active(ctx)
    return ctx


# ---- shapes -------------------------------------------------------------------------------------------------------------


def _revision(found: store.Revision) -> dict[str, Any]:
    return {
        "revision": found.number, "hash": found.hash, "message": found.message, "author": str(found.author_id) if found.author_id else None,
        "created_at": shapes.moment(found.created_at),
    }  # fmt: skip


def _change(found: Change) -> dict[str, Any]:
    details = [{"name": str(d.name), "before": _plain(d.before), "after": _plain(d.after)} for d in found.details]
    return {
        "path": found.path, "kind": found.kind, "noun": str(found.noun), "title": str(found.title), "message": str(found.message), "records": found.records,
        "details": details,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, list, dict)) else str(value)


def _plan(found: configuration.Plan) -> dict[str, Any]:
    report = found.report
    problems = [
        {"path": p["path"], "code": p["code"], "message": str(p["message"]), "hint": str(p["hint"]), "fixes": [{"key": f["key"], "label": str(f["label"])} for f in p["fixes"]]}
        for p in report.problems
    ]  # fmt: skip
    return {
        "plan_id": str(found.id), "base_revision": found.base_revision, "hash": found.hash, "kind": found.kind, "can_publish": report.can_publish,
        "obstacles": [str(o) for o in report.obstacles], "changes": [_change(c) for c in report.changes], "problems": problems,
        "impacts": [i.shown() for i in report.impacts],
        "examples": [{"key": e.key, "label": pick(e.label), "passed": e.passed, "message": str(e.message)} for e in report.examples],
        "seconds": report.seconds, "data": list(found.data), "created_at": shapes.moment(found.created_at),
        "author": str(found.author_id) if found.author_id else None,
    }  # fmt: skip


# ---- what a request means -----------------------------------------------------------------------------------------------


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


def _base(body: Mapping[str, Any]) -> int | None:
    base = body.get("base_revision")
    if base is not None and (not isinstance(base, int) or isinstance(base, bool) or not 0 <= base < 2**31):
        raise BadRequest(lazy("“base_revision” must be the revision your change starts from."), field="base_revision")
    return base


def _data(body: Mapping[str, Any]) -> Any:
    found = body.get("data") or []
    if not isinstance(found, list):
        raise BadRequest(lazy("“data” must be a list of data steps."), field="data")
    return found


def _message(body: Mapping[str, Any]) -> str:
    return str(body.get("message") or "")[:500]


def _number(number: int) -> int:
    if not 0 < number <= LAST_REVISION:
        raise NotFound(lazy("There is no such revision of the configuration."))
    return number


# ---- routes -------------------------------------------------------------------------------------------------------------


@get("/config")
async def get_config(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    found = await store.revision(ctx.tenant_id)
    return access.answer({"revision": found.number, "hash": found.hash, "bundle": found.bundle})


@post("/config/plan", status_code=200, limit="publish")
async def plan_config(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    body = await access.body(request, once=True)
    plan = await configuration.make_plan(ctx, await _bundle(ctx, body), data=_data(body), base_revision=_base(body))
    return access.answer(_plan(plan))


@get("/config/plans/{plan_id:str}")
async def get_plan(request: Request, plan_id: FromPath[str]) -> Response[Any]:
    ctx = await _admin(request)
    found = await configuration.get_plan(ctx, plan_id)
    return access.answer({**_plan(found), "bundle": found.bundle})


@post("/config/publish", status_code=200, limit="publish")
async def publish_config(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    body = await access.body(request, once=True)
    if "plan_id" in body:
        if not isinstance(body["plan_id"], str):
            raise BadRequest(lazy("“plan_id” must be the id that a plan was answered with."), field="plan_id")
        found = await configuration.publish(ctx, plan_id=body["plan_id"], message=_message(body))
    else:
        base, data = _base(body), _data(body)
        found = await configuration.publish(ctx, raw=await _bundle(ctx, body), base_revision=base, data=data, message=_message(body))
    return access.answer(_revision(found))


@get("/config/revisions")
async def list_revisions(request: Request) -> Response[Any]:
    ctx = await _admin(request)
    limit, before = access.integer(request, "limit", 100, 200), access.integer(request, "before", LAST_REVISION, LAST_REVISION)
    found = await store.revisions(ctx.tenant_id, limit=limit, before=before)
    return access.answer({"data": [_revision(r) for r in found], "next": found[-1].number if len(found) == limit else None})


@get("/config/revisions/{number:int}")
async def get_revision(request: Request, number: FromPath[int]) -> Response[Any]:
    ctx = await _admin(request)
    found = await store.revision(ctx.tenant_id, _number(number))
    return access.answer({**_revision(found), "bundle": found.bundle, "data": list(found.data)})


@get("/config/revisions/{number:int}/compare/{other:int}")
async def compare_revisions(request: Request, number: FromPath[int], other: FromPath[int]) -> Response[Any]:
    """What changed from the first to the second, whichever was published first."""
    ctx = await _admin(request)
    changes = await configuration.compare_revisions(ctx, _number(number), _number(other))
    return access.answer({"from": number, "to": other, "changes": [_change(c) for c in changes]})


@post("/config/revisions/{number:int}/revert", status_code=200, limit="publish")
async def revert_config(request: Request, number: FromPath[int]) -> Response[Any]:
    ctx = await _admin(request)
    body = await access.body(request, once=True)
    found = await configuration.revert(ctx, _number(number), base_revision=_base(body), data=_data(body), message=_message(body))
    return access.answer(_revision(found))


HANDLERS = [get_config, plan_config, get_plan, publish_config, list_revisions, get_revision, compare_revisions, revert_config]
