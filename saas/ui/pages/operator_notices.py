"""What concerns everybody: announcements (who: an operator before maintenance; next they read it on a tenant's page) and feature switches
(who: an operator who has to stop something now, or opens it for some)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, BadRequest, FieldProblem, InvalidInput
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.tenants import catalogue, find_tenant, note_act, platform
from saas.tenants.features import FEATURES, is_on, set_installation_feature
from saas.ui.console import Console, opened
from saas.ui.guards import local_path, signed_in
from saas.ui.views import Choice, Toast

KINDS = {"info": lazy("Information"), "warning": lazy("Warning"), "danger": lazy("Trouble")}
_FORM = "%Y-%m-%dT%H:%M"


@get("/announcements")
async def announcements(request: Request) -> Response[Any]:
    return await _page(await opened(request))


async def _page(console: Console, *, values: dict[str, Any] | None = None, errors: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    now = datetime.now(UTC)
    blank = {"text_en": "", "text_zh_CN": "", "kind": "info", "from": now.strftime(_FORM), "until": (now + timedelta(days=1)).strftime(_FORM), "plans": [], "tenants": ""}
    given = {**blank, **(values or {})}
    rows = [
        {
            "id": str(a["id"]), "kind": a["kind"], "kind_name": str(KINDS[a["kind"]]), "text": a["text_zh_cn"] if console.locale == "zh_CN" else a["text_en"], "from": console.moment(a["from_at"]), "until": console.moment(a["until_at"]),
            "state": "over" if a["is_over"] else "coming" if a["is_coming"] else "shown", "whom": ", ".join([*(pick(catalogue()[p].label) if p in catalogue() else p for p in a["plans"]), *a["slugs"]]) or _("everybody"),
        }
        for a in await platform.list_announcements()
    ]  # fmt: skip
    return console.page(
        "operator/announcements.html", "announcements", status=status, rows=rows, values=given, errors={**dict.fromkeys((*blank, ""), ""), **(errors or {})}, kinds=[Choice(k, str(v), k == given["kind"]) for k, v in KINDS.items()],
        plans=[Choice(p.key, pick(p.label), p.key in given["plans"]) for p in catalogue().values()],
    )  # fmt: skip


@post("/announcements", status_code=200)
async def announce(request: Request) -> Response[Any]:
    console = await opened(request, change=True)
    form = await request.form()
    values: dict[str, Any] = {name: str(form.get(name) or "").strip() for name in ("text_en", "text_zh_CN", "kind", "from", "until", "tenants")}
    values["plans"] = [str(p) for p in form.getall("plans", []) if str(p) in catalogue()]
    try:
        begin, end = (_moment(name, values[name]) for name in ("from", "until"))
        tenants = tuple([(await find_tenant(slug)).id for slug in values["tenants"].replace(",", " ").split()])
        made = await platform.announce(values["kind"], {"en": values["text_en"], "zh_CN": values["text_zh_CN"]}, begin, end, plans=tuple(values["plans"]), tenants=tenants, operator_id=console.operator.id)
    except InvalidInput as error:
        return await _page(console, values=values, errors=error.by_field(), status=422)
    except AppError as error:
        return await _page(console, values=values, errors={"tenants": str(error.message)}, status=422)
    await note_act(console.operator, "announcement.made", ip=console.ip, data={"id": str(made), "after": values})
    return console.redirect("/announcements", Toast(_("It is shown above the pages within seconds, or when its time comes.")))


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput([FieldProblem(name, "invalid", lazy("This is no date."))]) from error


@post("/announcements/{announcement_id:uuid}/end", status_code=200)
async def end(request: Request, announcement_id: FromPath[UUID]) -> Response[Any]:
    console = await opened(request, change=True)
    await platform.end_announcement(announcement_id)
    await note_act(console.operator, "announcement.ended", ip=console.ip, data={"id": str(announcement_id)})
    return console.redirect("/announcements", Toast(_("It is not shown any more.")))


@post("/announcements/{announcement_id:uuid}/dismiss", status_code=200)
async def dismiss(request: Request, announcement_id: FromPath[UUID]) -> Response[Any]:
    """A person of a tenant has read it."""
    ask = await signed_in(request)
    assert ask.ctx.user_id is not None
    if any(a.id == announcement_id for a in platform.known().announcements):
        await platform.dismiss(ask.ctx.tenant_id, ask.ctx.user_id, announcement_id)
    return ask.redirect(local_path(str((await ask.form()).get("next") or "")))


# ---- switches ----------------------------------------------------------------------------------------------------------------


@get("/switches")
async def switches(request: Request) -> Response[Any]:
    console = await opened(request)
    rows = [{"key": f.key, "label": str(f.label), "help": str(f.help), "on": is_on(None, f.key), "per_tenant": f.per_tenant, "changed": f.key in platform.known().switches} for f in FEATURES.values()]
    return console.page("operator/switches.html", "switches", rows=rows)


@post("/switches/{key:str}", status_code=200)
async def switch(request: Request, key: FromPath[str]) -> Response[Any]:
    console = await opened(request, change=True)
    state = str((await request.form()).get("state") or "")
    if key not in FEATURES or state not in ("on", "off"):
        raise BadRequest()
    before = is_on(None, key)
    await set_installation_feature(key, state == "on", operator_id=console.operator.id)
    await platform.refresh()
    await note_act(console.operator, "feature.changed", ip=console.ip, data={"before": {key: before}, "after": {key: state == "on"}})
    return console.redirect("/switches", Toast(_("Switched. All processes know it within seconds.")))


router = Router("", route_handlers=[announcements, announce, end, dismiss, switches, switch])
