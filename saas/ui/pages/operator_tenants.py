"""The operator's tenants: the list, one tenant, and what can be done with it.

Who: an operator whose telephone rings (they search a name), or who looks in the morning who is in trouble (they sort by health). What
next: they open one tenant, see what is wrong, act, or ask to look in. Each act asks once more and stands in the operators' audit log with
what was before and after.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Stream

from saas.db import system_transaction
from saas.errors import AppError, BadRequest, FieldProblem, InvalidInput
from saas.i18n import LOCALE_NAMES, lazy, pick
from saas.i18n import gettext as _
from saas.metadata.packs import list_packs
from saas.runtime import usage
from saas.runtime.archive import restore_archive, write_archive
from saas.runtime.support import tell_of_export, tell_of_request
from saas.tenants import (
    TenantRow,
    ask_support_access,
    catalogue,
    figures,
    find_tenant,
    find_user,
    keep_tenant,
    limits_of,
    note_act,
    record_export,
    record_import,
    request_deletion,
    set_password,
    set_tenant_limits,
    set_tenant_plan,
    set_tenant_status,
    set_trial_end,
    support_ticket,
    withdraw_support_access,
)
from saas.tenants.features import FEATURES, set_tenant_feature
from saas.tenants.limits import amount
from saas.tenants.links import address_of
from saas.tenants.passwords import check_strength
from saas.tenants.plans import LIMITS, NAMES, USUAL
from saas.tenants.traffic import recent_errors
from saas.ui.console import Console, opened
from saas.ui.guards import whole_number
from saas.ui.views import Choice, Link, Toast

GB = Decimal(1024**3)
_AMOUNT = re.compile(r"[0-9][0-9,]{0,17}(\.[0-9]{0,6})?\Z", re.ASCII)
STATES = {
    "active": (lazy("active"), "green"), "past_due": (lazy("payment overdue"), "yellow"), "read_only": (lazy("read-only"), "orange"), "suspended": (lazy("suspended"), "red"), "leaving": (lazy("will be deleted"), "red"),
}  # fmt: skip
COLUMNS = (
    ("health", lazy("Health")), ("name", lazy("Name")), ("plan", lazy("Plan")), ("status", lazy("Status")), ("seats", lazy("People")), ("records", lazy("Records")), ("storage", lazy("Storage")),
    ("requests", lazy("Requests a minute")), ("errors", lazy("Errors, hour / day")), ("last", lazy("Last activity")),
)  # fmt: skip
_HEALTH = ((lazy("well"), "green"), (lazy("worth a look"), "yellow"), (lazy("in trouble"), "red"))


def _state(row: dict[str, Any]) -> tuple[str, str]:
    text, color = STATES["leaving" if row["delete_after"] else row["status"]] if row["delete_after"] or row["status"] in STATES else (row["status"], "gray")
    return str(text), color


def _plan_name(key: str) -> str:
    found = catalogue().get(key)
    return pick(found.label) if found else key


def _shown(console: Console, row: dict[str, Any]) -> dict[str, Any]:
    state, color = _state(row)
    health, health_color = _HEALTH[row["trouble"]]
    return {
        "slug": row["slug"], "name": row["name"], "state": state, "color": color, "plan": _plan_name(row["plan_key"]), "seats": f"{row['seats']:,}", "records": f"{row['records']:,}",
        "storage": amount("storage", row["storage"]), "rate": f"{row['requests_hour'] / 60:.1f}", "errors_hour": row["errors_hour"], "errors_day": row["errors_day"], "last": console.moment(row["last_at"]),
        "health": str(health), "health_color": health_color, "why": _why(row),
    }  # fmt: skip


def _why(row: dict[str, Any]) -> str:
    reasons = [
        (row["errors_hour"] or row["errors_day"], _("errors")), (row["jobs_failed"], _("jobs failed")), (row["jobs_late"], _("jobs wait too long")), (row["mail_failed"], _("mail not delivered")),
        (row["full_percent"] >= 100, _("a limit is reached")),
    ]  # fmt: skip
    return ", ".join(text for count, text in reasons if count)


# ---- the list --------------------------------------------------------------------------------------------------------------


async def show_tenants(request: Request) -> Response[Any]:
    console = await opened(request)
    asked = {name: request.query_params.get(name, "").strip()[:100] for name in ("q", "status", "plan", "sort")}
    sort = asked["sort"] or "name"
    page = max(1, whole_number(request.query_params.get("page", "1"), digits=5) or 1)
    found = await figures.list_figures(q=asked["q"], status=asked["status"], plan=asked["plan"], sort=sort, page=page)

    def url(**changes: Any) -> str:
        query = {k: v for k, v in {**asked, "page": "", **changes}.items() if v}
        return "/" + (f"?{urlencode(query)}" if query else "")

    heads = [Link(str(name), url(sort=f"-{key}" if sort == key else key), "arrow-down" if sort == f"-{key}" else "arrow-up" if sort == key else "", sort.removeprefix("-") == key, note="num" if key in ("seats", "records", "storage", "requests", "errors") else "") for key, name in COLUMNS]
    return console.page(
        "operator/tenants.html", "tenants", rows=[_shown(console, row) for row in found.rows], total=found.total, heads=heads, asked=asked,
        states=[Choice(key, str(text), key == asked["status"]) for key, (text, _color) in STATES.items()], plans=[Choice(p.key, pick(p.label), p.key == asked["plan"]) for p in catalogue().values()],
        previous=url(page=page - 1) if page > 1 else "", next=url(page=page + 1) if page * figures.PAGE < found.total else "", measured=console.moment(found.measured_at),
        first=(page - 1) * figures.PAGE + 1, last=(page - 1) * figures.PAGE + len(found.rows),
    )  # fmt: skip


# ---- one tenant ------------------------------------------------------------------------------------------------------------


@get("/tenants/{slug:str}")
async def tenant(request: Request, slug: FromPath[str]) -> Response[Any]:
    console = await opened(request)
    return await _tenant(console, await find_tenant(slug))


async def _tenant(console: Console, row: TenantRow, *, errors: dict[str, str] | None = None, values: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    figure = await figures.figures_of(row.id)
    assert figure is not None
    async with system_transaction("operator_console", of=row.id) as conn:
        lines = await usage.lines(conn, row.id, row.limits)
        jobs = await conn.fetch("SELECT id, kind, status, created_at, error FROM job WHERE tenant_id = $1 AND (status IN ('queued', 'running', 'paused') OR created_at > now() - interval '7 days') ORDER BY created_at DESC LIMIT 10", row.id)
        people = await conn.fetchrow("SELECT count(*) FILTER (WHERE status = 'active') AS active, count(*) AS all, max(last_login_at) AS seen FROM app_user WHERE tenant_id = $1", row.id)
        support = await conn.fetch("SELECT *, (status <> 'over' AND until > now()) AS live FROM support_access WHERE tenant_id = $1 ORDER BY asked_at DESC LIMIT 10", row.id)
        consent = json.loads(await conn.fetchval("SELECT support FROM tenant WHERE id = $1", row.id) or "{}").get("consent", False)
        audit = await conn.fetch("SELECT at, kind, data FROM audit_event WHERE tenant_id = $1 AND kind LIKE ANY(ARRAY['tenant.%', 'support.%', 'config.published']) AND kind NOT IN ('support.viewed', 'support.acted') ORDER BY at DESC LIMIT 15", row.id)
    async with system_transaction("operator_console") as conn:
        acts = await conn.fetch("SELECT a.at, a.kind, o.email FROM operator_audit a LEFT JOIN operator_account o ON o.id = a.operator_id WHERE a.tenant_id_text = $1 ORDER BY a.at DESC LIMIT 15", row.slug)
    shown = _shown(console, figure)
    given = {name: "" for name in ("reason", "plan", "until", "support_reason", "support_mode", "export_reason", "confirm", "")}
    facts = [
        (_("Address"), address_of(row)), (_("Language"), LOCALE_NAMES.get(row.locale, row.locale)), (_("Pack"), row.pack_key), (_("Revision of the configuration"), str(row.config_revision)),
        (_("Created on"), console.moment(row.created_at)), (_("People"), _("%(active)s active of %(all)s", active=people["active"], all=people["all"])), (_("Last sign-in"), console.moment(people["seen"])),
        (_("Requests, hour / day"), f"{figure['requests_hour']:,} / {figure['requests_day']:,}"), (_("Errors, hour / day"), f"{figure['errors_hour']:,} / {figure['errors_day']:,}"),
        (_("Trial until"), console.moment(row.trial_ends_at)), (_("Lives in"), figure["cell"] or _("the first database")),
    ]  # fmt: skip
    preview = (values or {}).get("preview", "")
    return console.page(
        "operator/tenant.html", "tenants", status=status, row=row, shown=shown, leaving=console.moment(row.delete_after), facts=[(name, text) for name, text in facts if text], lines=[_line(line) for line in lines],
        plans=[Choice(p.key, pick(p.label), p.key == (preview or row.plan_key)) for p in catalogue().values()],
        own_limits=_own_limits(row, values or {}, errors or {}), trial=row.trial_ends_at.strftime("%Y-%m-%d") if row.trial_ends_at else "", over=_over(lines, preview, row) if preview else None, preview=_plan_name(preview) if preview else "", preview_key=preview,
        jobs=[{"kind": j["kind"], "status": j["status"], "at": console.moment(j["created_at"]), "error": j["error"] or ""} for j in jobs],
        problems=[{**e, "at": console.moment(e["at"])} for e in await recent_errors(row.id, limit=10)], consent=consent,
        support=[
            {"id": str(s["id"]), "who": s["operator_name"], "mode": s["mode"], "reason": s["reason"], "at": console.moment(s["asked_at"]), "until": console.moment(s["until"]), "state": s["status"] if s["live"] else "over", "mine": s["operator_id"] == console.operator.id}
            for s in support
        ],
        features=[{"key": f.key, "label": str(f.label), "state": "own-on" if row.features.get(f.key) is True else "own-off" if row.features.get(f.key) is False else "", "usual": f.default} for f in FEATURES.values() if f.per_tenant],
        audit=[(console.moment(a["at"]), a["kind"]) for a in audit], acts=[(console.moment(a["at"]), a["kind"], a["email"] or "") for a in acts], url=address_of(row), errors={**given, **(errors or {})}, values={**given, **(values or {})},
    )  # fmt: skip


def _line(line: usage.Line) -> dict[str, Any]:
    return {"name": str(line.label), "used": amount(line.key, line.used), "allowed": amount(line.key, line.allowed) if line.allowed is not None else _("no limit"), "percent": line.percent, "level": line.level}


def _over(lines: list[usage.Line], plan_key: str, row: TenantRow) -> list[str]:
    """What would be over the limits of another plan: it stays, more of it is refused."""
    limits = limits_of(plan_key, row.limit_overrides)
    found = [(line, getattr(limits, line.key)) for line in lines if line.key != "api_requests"]
    return [_("%(limit)s: %(used)s of %(allowed)s", limit=str(line.label), used=amount(line.key, line.used), allowed=amount(line.key, allowed)) for line, allowed in found if allowed is not None and line.used > allowed]


# ---- acts ------------------------------------------------------------------------------------------------------------------


@post("/tenants/{slug:str}/{act:str}", status_code=200)
async def act(request: Request, slug: FromPath[str], act: FromPath[str]) -> Response[Any]:
    """suspend, resume, plan, trial, limits, feature, delete, keep, support, open-support, end-support, export."""
    console = await opened(request, change=True)
    row, form = await find_tenant(slug), await request.form()
    values = {name: str(value).strip() for name, value in form.items() if isinstance(value, str)}
    do = ACTS.get(act)
    if do is None:
        raise BadRequest()
    try:
        done = await do(console, row, values)
    except AppError as error:
        errors = {p.field or "": str(p.message) for p in error.problems if isinstance(p, FieldProblem)} or {"": str(error.message)}
        known = ("reason", "plan", "until", "confirm")
        shown = {name if name in known or name.startswith("most_") else "": text for name, text in errors.items()}
        if act in ("support", "export") and "reason" in errors:
            shown = {f"{act}_reason": errors["reason"]}
        return await _tenant(console, row, errors=shown, values=values, status=error.status)
    return done if isinstance(done, Response) else console.redirect(f"/tenants/{slug}", Toast(done))


async def _note(console: Console, row: TenantRow, kind: str, before: Any, after: Any) -> None:
    await note_act(console.operator, kind, tenant=row.slug, ip=console.ip, data={"before": before, "after": after})


async def _suspend(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    if len(values.get("reason", "")) < 5:
        raise InvalidInput([FieldProblem("reason", "required", lazy("Say why: the people of this workspace read it."))])
    await set_tenant_status(row.slug, "suspended", reason=values["reason"])
    await _note(console, row, "tenant.suspended", row.status, {"status": "suspended", "reason": values["reason"]})
    return _("%(name)s is suspended now", name=row.name)


async def _resume(console: Console, row: TenantRow, _values: dict[str, str]) -> str:
    await set_tenant_status(row.slug, "active")
    await _note(console, row, "tenant.resumed", row.status, "active")
    return _("%(name)s is active again", name=row.name)


async def _plan(console: Console, row: TenantRow, values: dict[str, str]) -> Any:
    if values.get("sure") != "yes":  # the preview says what would be over
        return await _tenant(console, row, values={"preview": values.get("plan", "") if values.get("plan") in catalogue() else ""})
    await set_tenant_plan(row.slug, values.get("plan", ""))
    await _note(console, row, "tenant.plan_changed", row.plan_key, values["plan"])
    return _("The plan is changed.")


async def _trial(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    text, end = values.get("until", ""), None
    if text:
        try:
            end = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(hours=23, minutes=59)
        except ValueError as error:
            raise InvalidInput([FieldProblem("until", "invalid", lazy("This is no date."))]) from error
    await set_trial_end(row.slug, end)
    await _note(console, row, "tenant.trial_changed", row.trial_ends_at, end)
    return _("The end of the trial is changed.")


async def _limits(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    overrides, problems = {}, []
    for name in LIMITS:
        how, text = values.get(f"how_{name}", ""), values.get(f"most_{name}", "")
        if how == "none":
            overrides[name] = None
        elif how == "most":
            try:
                overrides[name] = _limit(name, text)
            except (ValueError, ArithmeticError):
                problems.append(FieldProblem(f"most_{name}", "invalid", lazy("This must be a number from 0, for packs a list of keys.")))
    if problems:
        raise InvalidInput(problems)
    try:
        await set_tenant_limits(row.slug, overrides)
    except InvalidInput as error:
        raise InvalidInput([FieldProblem(f"most_{p.field}", p.code, p.message) for p in error.problems]) from error
    await _note(console, row, "tenant.limits_changed", dict(row.limit_overrides), overrides)
    return _("The limits are changed.")


def _limit(name: str, text: str) -> Any:
    """What an operator typed: a list of packs, gigabytes, or a number. Errors: ValueError, ArithmeticError."""
    if name == "packs":
        return text.replace(",", " ").split()
    if not _AMOUNT.match(text):  # no exponents: a million digits would be multiplied out
        raise ValueError(text)
    number = Decimal(text.replace(",", "")) * (GB if name == "storage" else 1)
    if name != "storage" and number != int(number):
        raise ValueError(text)
    return int(number)


def _own_limits(row: TenantRow, values: Mapping[str, str], errors: Mapping[str, str]) -> list[dict[str, Any]]:
    """A line of the form for each limit: that of the plan, and what this workspace has of its own."""
    plan, own = limits_of(row.plan_key), row.limit_overrides
    typed, found = any(name.startswith("how_") for name in values), []
    for name in LIMITS:
        usual, mine = getattr(plan, name), own.get(name)
        how = values.get(f"how_{name}", "") if typed else "" if name not in own else "none" if mine is None else "most"
        most = values.get(f"most_{name}", "") if typed else _limit_text(name, mine)
        shown = _("no limit") if usual is None else ", ".join(usual) if name == "packs" else amount(name, usual)
        label = _("%(limit)s, in GB", limit=str(NAMES[name])) if name == "storage" else str(NAMES[name])
        found.append({"name": name, "label": label, "usual": shown, "how": how, "most": most, "error": errors.get(f"most_{name}", ""), "can_be_none": name != "indexed_fields"})
    return found


def _limit_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    return " ".join(value) if name == "packs" else f"{Decimal(value) / GB:f}" if name == "storage" else str(value)


async def _feature(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    key, state = values.get("key", ""), {"on": True, "off": False}.get(values.get("state", ""))
    await set_tenant_feature(row.id, key, state)
    await _note(console, row, "tenant.feature_changed", {key: row.features.get(key)}, {key: state})
    return _("The switch is changed.")


async def _delete(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    if values.get("confirm") != row.slug:
        raise InvalidInput([FieldProblem("confirm", "wrong", lazy("Type the address of the workspace to confirm."))])
    moment = await request_deletion(row.id)
    await _note(console, row, "tenant.deletion_requested", None, moment)
    return _("The workspace will be deleted after %(when)s. Until then nothing can be changed in it.", when=console.moment(moment))


async def _keep(console: Console, row: TenantRow, _values: dict[str, str]) -> str:
    await keep_tenant(row.id)
    await _note(console, row, "tenant.deletion_taken_back", row.delete_after, None)
    return _("The workspace stays.")


async def _support(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    _access, ready = await ask_support_access(row, console.operator, mode=values.get("mode", ""), reason=values.get("reason", ""), ip=console.ip)
    if ready:
        return _("The tenant has agreed in advance: you may open it.")
    await tell_of_request(row.id, operator=console.operator.name, mode=values["mode"], reason=values["reason"])
    return _("The tenant's administrators were asked.")


async def _open_support(console: Console, row: TenantRow, values: dict[str, str]) -> Response[Any]:
    ticket = await support_ticket(row, console.operator, _id(values), ip=console.ip)
    # A page with a link, not a redirect: a form may only lead to our own host (form-action), and the address must not stay in the history.
    return console.page("operator/support_open.html", "tenants", row=row, url=address_of(row, f"/support/enter/{ticket}"))


async def _end_support(console: Console, row: TenantRow, values: dict[str, str]) -> str:
    await withdraw_support_access(row, console.operator, _id(values), ip=console.ip)
    return _("The access has ended.")


async def _export(console: Console, row: TenantRow, values: dict[str, str]) -> Response[Any]:
    """Everything of a tenant as one file, without passwords; its administrators are told. Made here and now: for what takes long there is
    `saas tenant export`."""
    reason = values.get("reason", "")
    if not 5 <= len(reason) <= 500:
        raise InvalidInput([FieldProblem("reason", "required", lazy("Say why, in 5 to 500 characters: the tenant reads it."))])
    folder = TemporaryDirectory(prefix="export-")
    path = Path(folder.name) / "archive.zip"
    try:
        written = await write_archive(row.id, path)
        await record_export(row.id, row.slug, rows=written.rows, with_passwords=False, reason=reason)
        await note_act(console.operator, "tenant.exported", tenant=row.slug, ip=console.ip, data={"rows": written.rows, "reason": reason})
        await tell_of_export(row.id, operator=console.operator.name, reason=reason)
    except BaseException:
        folder.cleanup()
        raise

    async def chunks() -> Any:
        try:
            with path.open("rb") as file:
                while block := await asyncio.to_thread(file.read, 262_144):
                    yield block
        finally:
            folder.cleanup()

    return Stream(chunks(), media_type="application/zip", headers={"content-disposition": f'attachment; filename="{row.slug}.zip"', "cache-control": "private, no-store"})


def _id(values: dict[str, str]) -> UUID:
    try:
        return UUID(values.get("id", ""))
    except ValueError as error:
        raise BadRequest() from error


ACTS = {
    "suspend": _suspend, "resume": _resume, "plan": _plan, "trial": _trial, "limits": _limits, "feature": _feature, "delete": _delete, "keep": _keep,
    "support": _support, "open-support": _open_support, "end-support": _end_support, "export": _export,
}  # fmt: skip


# ---- new ones, and whole ones ------------------------------------------------------------------------------------------------


@get("/tenants")
async def new_tenant(request: Request) -> Response[Any]:
    return _new_page(await opened(request))


def _new_page(console: Console, *, values: dict[str, str] | None = None, errors: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    blank = dict.fromkeys(("slug", "name", "pack", "locale", "plan", "admin_email", "admin_password", "sample_data", "file_slug", "file_name", "file", ""), "")
    given = {**blank, "locale": console.locale, "plan": USUAL, **(values or {})}
    return console.page(
        "operator/new_tenant.html", "tenants", status=status, values=given, errors={**blank, **(errors or {})}, packs=[Choice(p.key, f"{pick(p.label)} ({p.key})", p.key == given["pack"]) for p in list_packs()],
        plans=[Choice(p.key, pick(p.label), p.key == given["plan"]) for p in catalogue().values()], locales=[Choice(key, name, key == given["locale"]) for key, name in LOCALE_NAMES.items()],
    )  # fmt: skip


@post("/tenants", status_code=200)
async def create(request: Request) -> Response[Any]:
    console = await opened(request, change=True)
    form = await request.form()
    values = {name: str(form.get(name) or "").strip() for name in ("slug", "name", "pack", "locale", "plan", "admin_email", "sample_data")}
    missing = {name: _("This field is required.") for name in ("slug", "name", "pack", "admin_email") if not values[name]}
    if missing:
        return _new_page(console, values=values, errors=missing, status=422)
    try:
        await request.app.state.provision(
            values["slug"], name=values["name"], pack_key=values["pack"], locale=values["locale"] or "en", admin_email=values["admin_email"], admin_password=str(form.get("admin_password") or ""),
            plan_key=values["plan"] or USUAL, sample_data=values["sample_data"] == "on",
        )  # fmt: skip
    except AppError as error:
        names = {"email": "admin_email", "password": "admin_password"}
        errors = {names.get(p.field, p.field): str(p.message) for p in error.problems if isinstance(p, FieldProblem)} or {"slug" if error.status == 409 else "": str(error.message)}
        return _new_page(console, values=values, errors=errors, status=error.status)
    await note_act(console.operator, "tenant.created", tenant=values["slug"], ip=console.ip, data={"after": {k: values[k] for k in ("name", "pack", "locale", "plan", "admin_email")}})
    return console.redirect(f"/tenants/{values['slug']}", Toast(_("The workspace is ready.")))


@post("/tenants/import", status_code=200, request_max_body_size=None)
async def import_tenant(request: Request) -> Response[Any]:
    """A workspace from an archive, at another address if wanted."""
    console = await opened(request, change=True)
    form = await request.form()
    file, values = form.get("file"), {name: str(form.get(name) or "").strip() for name in ("file_slug", "file_name", "admin_email")}
    if not isinstance(file, UploadFile):
        return _new_page(console, values=values, errors={"file": _("Choose a file.")}, status=422)
    password = str(form.get("admin_password") or "")
    with TemporaryDirectory(prefix="import-") as folder:
        path = Path(folder) / "archive.zip"
        with path.open("wb") as target:
            while block := await file.read(262_144):
                await asyncio.to_thread(target.write, block)
        try:
            if password:
                check_strength(password)
            made = await restore_archive(path, slug=values["file_slug"] or None, name=values["file_name"] or None, plan_key=USUAL, needs=values["admin_email"] or None)
            await record_import(made.tenant_id, made.slug, rows=sum(made.rows.values()))
            if values["admin_email"] and password:
                await set_password(made.tenant_id, (await find_user(made.tenant_id, email=values["admin_email"]))["id"], password, must_change=True)
        except AppError as error:
            return _new_page(console, values=values, errors={"file": str(error.message)}, status=error.status)
    await note_act(console.operator, "tenant.imported", tenant=made.slug, ip=console.ip, data={"rows": sum(made.rows.values())})
    return console.redirect(f"/tenants/{made.slug}", Toast(_("The workspace is ready.")))


router = Router("", route_handlers=[tenant, act, new_tenant, create, import_tenant])
