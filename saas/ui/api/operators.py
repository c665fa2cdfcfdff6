"""The operator's API, on the operator host only."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, patch, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import system_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants import USUAL, TenantRow, find_tenant, list_tenants, record_operator_audit, set_tenant_plan, set_tenant_status
from saas.ui.api import access, shapes


def _tenant(row: TenantRow) -> dict[str, Any]:
    return {
        "id": str(row.id), "slug": row.slug, "name": row.name, "locale": row.locale, "status": row.status, "plan": row.plan_key, "pack": row.pack_key,
        "revision": row.config_revision, "created_at": shapes.moment(row.created_at),
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
        await record_operator_audit(conn, "tenant.created", operator_id=who.id, tenant=body["slug"], ip=access.client_ip(request))
    return access.answer(_tenant(await find_tenant(body["slug"])), 201)


@get("/tenants/{slug:str}")
async def operator_tenant(request: Request, slug: FromPath[str]) -> Response[Any]:
    await access.operator(request)
    return access.answer(_tenant(await find_tenant(slug)))


@patch("/tenants/{slug:str}")
async def operator_change_tenant(request: Request, slug: FromPath[str]) -> Response[Any]:
    await access.operator(request)
    body = await access.body(request)
    await find_tenant(slug)
    if not isinstance(body.get("plan"), str) or not body["plan"]:
        raise InvalidInput([FieldProblem("plan", "required", lazy("Say which plan."), "/plan")])
    await set_tenant_plan(slug, body["plan"])
    return access.answer(_tenant(await find_tenant(slug)))


@post("/tenants/{slug:str}/{act:str}", status_code=200)
async def operator_set_status(request: Request, slug: FromPath[str], act: FromPath[str]) -> Response[Any]:
    await access.operator(request)
    await find_tenant(slug)
    status = {"suspend": "suspended", "resume": "active"}.get(act)
    if status is None:
        raise NotFound()
    await set_tenant_status(slug, status)
    return access.answer(_tenant(await find_tenant(slug)))


@get("/tenants/{slug:str}/usage")
async def operator_usage(request: Request, slug: FromPath[str]) -> Response[Any]:
    await access.operator(request)
    row = await find_tenant(slug)
    async with system_transaction("operator_console", of=row.id) as conn:
        found = await conn.fetchrow(
            "SELECT (SELECT count(*) FROM app_user WHERE tenant_id = $1 AND status = 'active') AS seats, "
            "(SELECT count(*) FROM record WHERE tenant_id = $1 AND deleted_at IS NULL) AS records, "
            "(SELECT coalesce(sum(size_bytes), 0) FROM file WHERE tenant_id = $1 AND deleted_at IS NULL) AS storage_bytes",
            row.id,
        )
    return access.answer({"slug": slug, **{k: int(v) for k, v in dict(found).items()}})


HANDLERS = [
    operator_tenants, operator_create_tenant, operator_tenant, operator_change_tenant, operator_set_status, operator_usage,
]  # fmt: skip
