"""The operator's API, on the operator host only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, get, patch, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import system_transaction, tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.runtime import usage
from saas.tenants import (
    USUAL,
    TenantRow,
    check_overrides,
    check_plan,
    find_tenant,
    limits_of,
    list_tenants,
    record_operator_audit,
    set_tenant_limits,
    set_tenant_plan,
    set_tenant_status,
    set_trial_end,
    slow,
)
from saas.ui.api import access, shapes
from saas.ui.api.usage import usage_json
from saas.ui.guards import client_ip


def _tenant(row: TenantRow) -> dict[str, Any]:
    return {
        "id": str(row.id), "slug": row.slug, "name": row.name, "locale": row.locale, "status": row.status, "plan": row.plan_key, "pack": row.pack_key,
        "revision": row.config_revision, "created_at": shapes.moment(row.created_at), "overrides": dict(row.limit_overrides), "trial_ends_at": shapes.moment(row.trial_ends_at),
    }  # fmt: skip


@get("/tenants")
async def operator_tenants(request: Request) -> Response[Any]:
    await access.operator(request)
    return access.answer({"data": [_tenant(row) for row in await list_tenants()]})


@post("/tenants", status_code=201)
async def operator_create_tenant(request: Request) -> Response[Any]:
    who = await access.operator(request)
    body = await access.body(request)
    needed = ("slug", "name", "pack", "admin_email", "admin_password")
    problems = [FieldProblem(k, "required", lazy("This field is required."), f"/{k}") for k in needed if not isinstance(body.get(k), str) or not body[k].strip()]
    problems += [FieldProblem(k, "wrong_type", lazy("A text is expected here."), f"/{k}") for k in ("locale", "plan") if not isinstance(body.get(k, ""), str)]
    if not isinstance(body.get("sample_data", False), bool):
        problems.append(FieldProblem("sample_data", "wrong_type", lazy("“%(name)s” must be true or false.", name="sample_data"), "/sample_data"))
    if problems:
        raise InvalidInput(problems)
    await request.app.state.provision(
        body["slug"], name=body["name"], pack_key=body["pack"], locale=body.get("locale") or "en", admin_email=body["admin_email"],
        admin_password=body["admin_password"], plan_key=body.get("plan") or USUAL, sample_data=body.get("sample_data", False),
    )  # fmt: skip
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, "tenant.created", operator_id=who.id, tenant=body["slug"], ip=client_ip(request))
    return access.answer(_tenant(await find_tenant(body["slug"])), 201)


@get("/tenants/{slug:str}")
async def operator_tenant(request: Request, slug: FromPath[str]) -> Response[Any]:
    await access.operator(request)
    return access.answer(_tenant(await find_tenant(slug)))


@patch("/tenants/{slug:str}")
async def operator_change_tenant(request: Request, slug: FromPath[str]) -> Response[Any]:
    """{"plan"?, "overrides"?, "trial_ends_at"?}: all of it or nothing. With `?preview=1` nothing is changed, and `over` lists what would be
    more than allowed then: it stays, and only more of it is refused."""
    who = await access.operator(request)
    body, row = await access.body(request), await find_tenant(slug)
    ends = _terms(body)
    if access.flag(request, "preview"):
        limits = limits_of(body.get("plan", row.plan_key), {**row.paid_limits, **body.get("overrides", row.limit_overrides)})
        async with tenant_transaction(row.id) as conn:
            lines = await usage.lines(conn, row.id, limits)
        return access.answer({"slug": slug, "over": [line.to_json() for line in usage.beyond(lines, limits)]})
    if "plan" in body:
        await set_tenant_plan(slug, body["plan"])
    if "trial_ends_at" in body:
        await set_trial_end(slug, ends)
    if "overrides" in body:  # last: the others are refused where a subscription runs
        await set_tenant_limits(slug, body["overrides"])
    async with system_transaction("operator_console") as conn:
        data = {key: body[key] for key in _TERMS if key in body}
        await record_operator_audit(conn, "tenant.terms_changed", operator_id=who.id, tenant=slug, ip=client_ip(request), data=data)
    return access.answer(_tenant(await find_tenant(slug)))


_TERMS = ("plan", "overrides", "trial_ends_at")


def _terms(body: dict[str, Any]) -> datetime | None:
    """Checks all parts before any of them is set; returns the end of the trial. Errors: InvalidInput."""
    if not set(_TERMS) & set(body):
        raise InvalidInput([FieldProblem("plan", "required", lazy("Say which plan."), "/plan")])
    if "plan" in body:
        if not isinstance(body["plan"], str) or not body["plan"]:
            raise InvalidInput([FieldProblem("plan", "required", lazy("Say which plan."), "/plan")])
        check_plan(body["plan"])
    if "overrides" in body:
        if not isinstance(body["overrides"], dict):
            raise InvalidInput([FieldProblem("overrides", "wrong_type", lazy("“overrides” is an object of limits."), "/overrides")])
        check_overrides(body["overrides"])
    given = body.get("trial_ends_at")
    if given is None:
        return None
    try:
        ends = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        ends = None
    if ends is None or ends.tzinfo is None:
        raise InvalidInput([FieldProblem("trial_ends_at", "format", lazy("A moment with its offset is expected here, such as 2026-12-31T23:59:59Z."), "/trial_ends_at")])
    return ends


@post("/tenants/{slug:str}/{act:str}", status_code=200)
async def operator_set_status(request: Request, slug: FromPath[str], act: FromPath[str]) -> Response[Any]:
    """{"reason"?}: what the people of the workspace read about it; without a body there is none."""
    who = await access.operator(request)
    before = await find_tenant(slug)
    status = {"suspend": "suspended", "resume": "active"}.get(act)
    if status is None:
        raise NotFound()
    reason = (await access.body(request)).get("reason", "") if await request.body() else ""
    if not isinstance(reason, str) or len(reason) > 500:
        raise InvalidInput([FieldProblem("reason", "wrong_type", lazy("A reason is a text of at most 500 characters."), "/reason")])
    await set_tenant_status(slug, status, reason=reason)
    after = {"status": status, "reason": reason} if status != "active" else status
    async with system_transaction("operator_console") as conn:
        kind = "tenant.suspended" if status != "active" else "tenant.resumed"
        await record_operator_audit(conn, kind, operator_id=who.id, tenant=slug, ip=client_ip(request), data={"before": before.status, "after": after})
    return access.answer(_tenant(await find_tenant(slug)))


@get("/tenants/{slug:str}/usage")
async def operator_usage(request: Request, slug: FromPath[str]) -> Response[Any]:
    await access.operator(request)
    row = await find_tenant(slug)
    async with tenant_transaction(row.id) as conn:
        lines = await usage.lines(conn, row.id, row.limits)
        days = await usage.days(conn, row.id)
    used = {line.key: line.used for line in lines}
    short = {"seats": used["seats"], "records": used["records"], "storage_bytes": used["storage"]}
    return access.answer({"slug": slug, **short, "overrides": dict(row.limit_overrides), **usage_json(row.plan_key, row.status, row.trial_ends_at, lines, days)})


@get("/tenants/{slug:str}/slow-queries")
async def operator_slow_queries(request: Request, slug: FromPath[str]) -> Response[Any]:
    """The last statements of a tenant that took long, without any value (docs/observability.md)."""
    await access.operator(request)
    return access.answer({"slug": slug, "data": await slow.slow_of(slug, limit=slow.KEPT)})


HANDLERS = [
    operator_tenants, operator_create_tenant, operator_tenant, operator_change_tenant, operator_set_status, operator_usage, operator_slow_queries,
]  # fmt: skip
