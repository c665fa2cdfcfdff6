"""What happens behind the pages: jobs and mail of all tenants, and what operators did. Who: an operator who hears “nothing happens”, or
“who did that?”; next they let a job try again, or open the tenant."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, BadRequest
from saas.i18n import gettext as _
from saas.runtime import jobs as runtime_jobs
from saas.runtime.contexts import system_context
from saas.runtime.jobs import job_kinds
from saas.tenants import get_tenant, list_operators, monitoring, note_act
from saas.tenants.mail import ERRORS, KINDS
from saas.tenants.operators import list_operator_audit
from saas.ui import settings_views
from saas.ui.console import Console, opened
from saas.ui.views import Choice, Toast

EVENTS = 100


@get("/monitor/jobs")
async def jobs(request: Request) -> Response[Any]:
    return await _jobs(await opened(request))


async def _jobs(console: Console, *, error: str = "", status: int = 200) -> Response[Any]:
    asked = console.request.query_params.get("status", "failed")
    asked = asked if asked in monitoring.JOB_STATES else "failed"
    counts = await monitoring.job_counts()
    oldest = counts["oldest"]
    rows = [
        {
            "id": str(j["id"]), "slug": j["slug"], "tenant": j["name"], "kind": str(kind.label) if (kind := job_kinds.find(j["kind"])) else j["kind"], "attempts": j["attempts"], "error": _(j["error"]) if j["error"] else "",
            "created": console.moment(j["created_at"]), "at": console.moment(j["finished_at"] or j["run_at"]),
        }
        for j in await monitoring.list_all_jobs(asked)
    ]  # fmt: skip
    return console.page(
        "operator/jobs.html", "jobs", status=status, rows=rows, counts=counts, oldest=_minutes(oldest), error=error, current=asked,
        states=[Choice(s, settings_views.job_status(s)[0], s == asked, settings_views.job_status(s)[1]) for s in monitoring.JOB_STATES],
    )  # fmt: skip


def _minutes(since: datetime | None) -> str:
    if since is None:
        return ""
    minutes = int((datetime.now(UTC) - since).total_seconds()) // 60
    return _("%(count)s min", count=minutes) if minutes < 120 else _("%(count)s h", count=minutes // 60)


@post("/monitor/jobs/{job_id:uuid}", status_code=200)
async def steer(request: Request, job_id: FromPath[UUID]) -> Response[Any]:
    """`act`: retry, cancel."""
    console = await opened(request, change=True)
    act = str((await request.form()).get("act") or "")
    if act not in ("retry", "cancel"):
        raise BadRequest()
    tenant_id = await monitoring.tenant_of_job(job_id)
    ctx = await system_context(tenant_id)
    try:
        info = await (runtime_jobs.retry_job if act == "retry" else runtime_jobs.cancel_job)(ctx, job_id)
    except AppError as error:
        return await _jobs(console, error=str(error.message), status=error.status)
    await note_act(console.operator, f"job.{'retried' if act == 'retry' else 'cancelled'}", tenant=(await get_tenant(tenant_id)).slug, ip=console.ip, data={"job": str(job_id), "kind": info.kind})
    return console.redirect("/monitor/jobs", Toast(_("The job tries again.") if act == "retry" else _("The job is cancelled.")))


@get("/monitor/mail")
async def mail(request: Request) -> Response[Any]:
    console = await opened(request)
    asked = request.query_params.get("status", "failed")
    asked = asked if asked in monitoring.MAIL_STATES else "failed"
    counts = await monitoring.mail_counts()
    rows = [
        {
            "slug": m["slug"], "kind": str(KINDS[m["kind"]][0]) if m["kind"] in KINDS else m["kind"], "attempts": m["attempts"], "error": str(ERRORS.get(m["error"], m["error"])), "at": console.moment(m["created_at"]),
            "next": console.moment(m["next_attempt_at"]) if m["status"] == "queued" else "",
        }
        for m in await monitoring.list_all_mail(asked)
    ]  # fmt: skip
    events = await monitoring.list_events()
    return console.page(
        "operator/mail.html", "mail", rows=rows, current=asked, states=[Choice(s, f"{settings_views.mail_status(s)[0]} ({counts[s]})", s == asked, settings_views.mail_status(s)[1]) for s in monitoring.MAIL_STATES],
        events=[{**e, "at": console.moment(e["received_at"]), "color": {"applied": "green", "failed": "red", "waiting": "blue"}.get(e["state"], "gray")} for e in events],
    )  # fmt: skip


# ---- audit -------------------------------------------------------------------------------------------------------------------


def _asked(request: Request) -> dict[str, str]:
    return {name: request.query_params.get(name, "").strip()[:100] for name in ("kind", "tenant", "operator", "since", "until")}


async def _found(asked: dict[str, str], *, limit: int, before: str = "") -> list[dict[str, Any]]:
    try:
        since, until = (datetime.strptime(asked[name], "%Y-%m-%d").replace(tzinfo=UTC) if asked[name] else None for name in ("since", "until"))
        last = UUID(before) if before else None
    except ValueError as error:
        raise BadRequest() from error
    return await list_operator_audit(kind=asked["kind"], tenant=asked["tenant"], email=asked["operator"], since=since, until=until, before=last, limit=limit)


@get("/operator-audit")
async def audit(request: Request) -> Response[Any]:
    console, asked = await opened(request), _asked(request)
    found = await _found(asked, limit=EVENTS, before=request.query_params.get("before", ""))
    rows = [{"at": console.moment(e["at"]), "who": e["email"] or "", "kind": e["kind"], "tenant": e["tenant"], "ip": e["ip"], "data": json.dumps(e["data"], ensure_ascii=False) if e["data"] else ""} for e in found]
    query = {k: v for k, v in asked.items() if v}
    return console.page(
        "operator/audit.html", "audit", rows=rows, asked=asked, operators=[Choice(o["email"], o["name"], o["email"] == asked["operator"]) for o in await list_operators()],
        csv_url=f"/operator-audit/csv?{urlencode(query)}", next=f"/operator-audit?{urlencode({**query, 'before': found[-1]['id']})}" if len(found) == EVENTS else "",
    )  # fmt: skip


@get("/operator-audit/csv")
async def audit_csv(request: Request) -> Response[Any]:
    await opened(request)
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["at", "operator", "kind", "tenant", "ip", "data"])
    for e in await _found(_asked(request), limit=50_000):
        writer.writerow([_cell(v) for v in (e["at"].isoformat(), e["email"] or "", e["kind"], e["tenant"], e["ip"], json.dumps(e["data"], ensure_ascii=False))])
    return Response(target.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers={"content-disposition": 'attachment; filename="operator-audit.csv"', "cache-control": "no-store"})


def _cell(text: str) -> str:
    """Spreadsheets run what begins like a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


router = Router("", route_handlers=[jobs, steer, mail, audit, audit_csv])
