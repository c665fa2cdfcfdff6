"""Connectors: which other systems there are (a definition), where they are and how it goes (an installation's), and live lists on records.

Who: an admin who connects the company's ERP, starting with sample answers; later somebody who asks why an order is not there. What next:
they switch to the real address, fetch now, and read what was said. And whoever opens a record and wants to see what the other system knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas import outbound
from saas.db import current_database
from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.models import ConnectorDef, LiveColumnDef
from saas.runtime import Context, connectors, exchanges, jobs, permissions
from saas.runtime.connectors.asking import KIND, connection_in, is_on
from saas.runtime.connectors.mirrors import Freshness
from saas.runtime.messages.sms import AUTHS
from saas.runtime.records import entity_of
from saas.runtime.words import told
from saas.tenants import integrations
from saas.tenants.integrations import Integration
from saas.ui import formats
from saas.ui.builder import words
from saas.ui.builder.controls import Control, ControlKind, control_kinds, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.stacks import fresh_key, missing
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Choice, Toast

RIGHT = "config"
URL, SECTION = "/settings/connectors", "connectors"


# ---- live lists --------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/live/{key:str}", limit="report")
async def live_list(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """The rows, as a piece of the record's page, which asks for it when it is opened."""
    ask = await signed_in(request)
    ctx, found = ask.ctx, entity_of(ask.ctx, entity)
    said = await connectors.look_up(ctx, found, record_id, key)
    columns = said.defn.columns
    rows = [[_shown(ctx, c, v) for c, v in zip(columns, row, strict=True)] for row in said.rows]
    async with ask.work():
        pass
    return ask.fragment(
        "records/_live.html", url=f"/r/{found.key}/{record_id}/live/{key}", label=pick(said.defn.label, ctx.locale), key=key, rows=rows, more=said.more,
        error=str(said.error) if said.error is not None else "", is_stub=said.mode == "stub", at=formats.clock(ctx, ctx.now),
        columns=[{"label": pick(c.label, ctx.locale), "num": c.type in ("number", "money")} for c in columns], headers={"cache-control": "no-store"},
    )  # fmt: skip


def _shown(ctx: Context, column: LiveColumnDef, value: Any) -> str:
    """A value of another system in the reader's words; what is none of its type is shown as it came."""
    if value in (None, "") or isinstance(value, (dict, list)):
        return ""
    try:
        if column.type in ("number", "money"):
            return formats.amount(ctx, value, money=column.type == "money")
        if column.type == "date":
            return formats.day(ctx, date.fromisoformat(str(value)[:10]))
        if column.type == "datetime":
            at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
            return formats.full(ctx, at if at.tzinfo else at.replace(tzinfo=ctx.zone))
    except (ValueError, ArithmeticError):
        return str(value)[:500]
    return str(value)[:500]


# ---- connections of connectors -------------------------------------------------------------------------------------------


def state_words(connector: ConnectorDef, found: Integration | None) -> tuple[str, str]:
    """(words, colour) of how it goes with a connector."""
    if found is not None and found.stopped_at is not None:
        return _("switched off: failed for days"), "red"
    if not is_on(connector, found):
        return _("switched off"), "gray"
    if connectors.mode_of(connector, found) == "stub":
        return _("gives sample answers"), "blue"
    if found is None or not found.settings.get("url"):
        return _("not set up yet"), "gray"
    return (_("failing"), "orange") if found.failing_since is not None else (_("works"), "green")


def _connector(ctx: Context, key: str) -> ConnectorDef:
    """Errors: NotFound for what is not published."""
    found = next((c for c in ctx.config.bundle.connectors if c.key == key), None)
    if found is None:
        raise NotFound()
    return found


@get("/settings/connections/connector/{key:str}")
async def connection(request: Request, key: FromPath[str]) -> Response[Any]:
    return await _connection(await open_settings(request, RIGHT), key)


async def _connection(ask: Ask, key: str, *, errors: Mapping[str, str] | None = None, typed: Mapping[str, Any] | None = None, status: int = 200) -> Response[Any]:
    ctx, d = ask.ctx, _connector(ask.ctx, key)
    async with ask.work() as conn:
        found = await connection_in(conn, ctx.tenant_id, key)
        log = await exchanges.list_exchanges(conn, ctx.tenant_id, found.id) if found is not None else []
        fresh = await connectors.freshness_of(conn, ctx, connector=key)
    values = dict(typed or (found.settings if found is not None else {}))
    mode = str(values.get("mode") or "") if values.get("mode") in ("live", "stub") else d.mode
    text, color = state_words(d, found)
    auth_words = {"signature": _("a signature with the secret"), "bearer": _("the secret as a bearer token"), "basic": _("user:password as the secret"), "none": _("nothing")}
    return await show_settings(
        ask, "connector", "connections", status=status, key=key, title=pick(d.label, ctx.locale), about=pick(d.description, ctx.locale), state=text, color=color, errors={"url": "", "secret": "", **(errors or {})},
        url=str(values.get("url") or ""), active=found.active if found else True, known=found is not None, design_url=f"{URL}/{key}",
        modes=[Choice("stub", _("Give the sample answers; nothing leaves"), mode == "stub"), Choice("live", _("Ask the other system"), mode == "live")],
        auths=[Choice(a, auth_words[a], a == (values.get("auth") or "bearer")) for a in AUTHS], mirrors=[mirror_line(ctx, f) for f in fresh], rows=[_exchange(ctx, x) for x in log],
    )  # fmt: skip


def mirror_line(ctx: Context, fresh: Freshness) -> dict[str, Any]:
    """How a mirror stands, in words."""
    entity = ctx.config.entities[fresh.mirror.entity]
    counts = fresh.counts
    return {
        "key": fresh.mirror.key, "label": pick(fresh.mirror.label, ctx.locale), "url": f"/settings/mirrors/{fresh.mirror.key}", "entity": pick(entity.defn.plural, ctx.locale),
        "entity_url": f"/r/{entity.key}" if permissions.may(ctx, "read", entity.key) else "", "at": formats.moment(ctx, fresh.at) if fresh.at else _("never"), "full": formats.full(ctx, fresh.at) if fresh.at else "",
        "error": told(fresh.error), "late": fresh.is_late, "every": fresh.mirror.minutes, "created": counts.get("created", 0), "changed": counts.get("changed", 0),
        "same": counts.get("same", 0), "failed": counts.get("failed", 0), "problems": counts.get("problems", []),
    }  # fmt: skip


def _exchange(ctx: Context, x: exchanges.Exchange) -> dict[str, Any]:
    bundle = ctx.config.bundle
    named = next((d for section in (bundle.calls, bundle.mirrors, bundle.live_lists) for d in section if d.key == x.event), None)
    entity = next((e for e in ctx.config.entities.values() if e.number == x.entity_id), None)
    return {
        "at": formats.moment(ctx, x.at), "full": formats.full(ctx, x.at), "event": pick(named.label, ctx.locale) if named is not None else x.event, "status": x.status,
        "color": {"done": "green", "queued": "gray"}.get(x.status, "red"), "attempts": x.attempts, "http": x.http_status or "", "error": told(x.error), "request": x.request, "answer": x.answer,
        "record": f"/r/{entity.key}/{x.record_id}" if entity and x.record_id and permissions.may(ctx, "read", entity.key) else "", "outbox": f"/settings/outbox/{x.key}" if x.key and permissions.may_configure(ctx, "jobs") else "",
    }  # fmt: skip


@post("/settings/connections/connector/{key:str}", status_code=200)
async def save_connection(request: Request, key: FromPath[str]) -> Response[Any]:
    """Where it is, how it is proved who asks, and whether it is asked at all."""
    ask = await open_settings(request, RIGHT)
    permissions.require_active(ask.ctx)
    d, form = _connector(ask.ctx, key), await ask.form()
    mode, auth = str(form.get("mode") or ""), str(form.get("auth") or "")
    settings = {"mode": mode if mode in ("live", "stub") else d.mode, "url": str(form.get("url") or "").strip(), "auth": auth if auth in AUTHS else "bearer"}
    secret = str(form.get("secret") or "").strip()
    if settings["url"] or settings["mode"] == "live":
        try:
            outbound.check_url(settings["url"], current_database().settings)
        except outbound.OutboundFailed as error:
            return await _connection(ask, key, errors={"url": str(error.message)}, typed=settings, status=422)
    if len(secret) > 2000:
        return await _connection(ask, key, errors={"secret": _("This is too long.")}, typed=settings, status=422)
    async with ask.work() as conn:
        await integrations.save_integration(
            conn, ask.ctx.tenant_id, KIND, key, pick(d.label, ask.ctx.locale), settings, secret=secret or None, active=form.get("active") != "off", actor_id=ask.ctx.user_id
        )
    return ask.redirect(f"/settings/connections/connector/{key}", Toast(_("Saved")))


@post("/settings/connections/connector/{key:str}/pull", status_code=200)
async def pull_now(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, RIGHT)
    permissions.require_active(ask.ctx)
    _connector(ask.ctx, key)
    async with ask.work() as conn:
        job_id = await jobs.enqueue(conn, ask.ctx, "pull_mirrors", {"connector": key})
    return ask.redirect(f"/jobs/{job_id}")


# ---- the definition --------------------------------------------------------------------------------------------------------


@control_kinds.register
class JsonControl(ControlKind):
    """JSON as it is written in a bundle; what is none stays as it was typed and is told."""

    key = "json"
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        text = str(form.get(control.name) or "").strip()
        try:
            return json.loads(text) if text else None
        except (ValueError, RecursionError):
            return text

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"text": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1) if value else ""}


def _named() -> dict[str, str]:
    return {
        "url": URL, "icon": "link", "noun": _("Connector"), "title": _("Connectors"), "new": _("New connector"),
        "lead": _("Other systems that are asked in JSON: their rows are mirrored or shown with a record, and records are sent to them. Their addresses stand under Connections."),
        "empty": _("An ERP, a bank, a shop. Begin with sample answers, and switch to the real address when everything fits."),
    }  # fmt: skip


def _modes() -> tuple[Choice, ...]:
    return (Choice("live", _("asks the other system")), Choice("stub", _("gives sample answers")))


def _controls() -> list[Control]:
    return [
        Control("label", "label", _("Name"), required=True), Control("description", "label", _("Description"), advanced=True),
        Control("mode", "choice", _("To begin with"), _("Under Connections an installation chooses again."), default="live", choices=_modes()),
        Control("samples", "json", _("Sample answers"), _("A list of {\"path\", \"rows\", \"number\"?, \"pattern\"?, \"adds\"?}: the rows that are there, and how a row that is sent gets its number.")),
        Control("active", "bool", _("Switched on"), default=True),
    ]  # fmt: skip


def _path(key: str) -> str:
    return f"{SECTION}[{key}]"


@get(URL)
async def listing(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    mode_words = {c.key: c.text for c in _modes()}
    rows = []
    for raw in desk.raw.get(SECTION, ()):
        if isinstance(raw, Mapping):
            key = str(raw.get("key"))
            uses = sum(1 for name in ("mirrors", "live_lists", "calls") for d in desk.raw.get(name, ()) if isinstance(d, Mapping) and d.get("connector") == key)
            rows.append({
                "key": key, "name": desk.words(raw.get("label"), key), "url": f"{URL}/{key}", "entity": mode_words.get(str(raw.get("mode", "live")), ""),
                "about": _("used in %(count)s places", count=uses), "problems": len(desk.problems_at(_path(key))),
            })  # fmt: skip
    return await desk.page("settings/described/index", SECTION, section=_named(), rows=rows)


async def _form(desk: Desk, key: str, values: Mapping[str, Any], errors: Errors, *, mark: str, status: int = 200) -> Response[Any]:
    controls = _controls()
    published = any(c.key == key for c in desk.ask.ctx.config.bundle.connectors)
    return await desk.page(
        "settings/described/form", SECTION, status=status, section=_named(), title=desk.words(values.get("label"), key) if key else _("New connector"), key=key, entity_key="", entity="", mark=mark,
        entity_url="", drawn=await draw(desk, controls, values, errors), problems=left_over(errors, controls), action=f"{URL}/{key or 'new'}", further=f"/settings/connections/connector/{key}" if published else "",
        broken=[str(p.message) for p in desk.problems_at(_path(key))] if key and not errors else [],
    )  # fmt: skip


async def _save(desk: Desk, old: Mapping[str, Any]) -> Response[Any]:
    key, form, controls = str(old.get("key") or ""), await desk.ask.form(), _controls()
    values, mark = read(desk, controls, form), str(form.get("_mark") or "")
    errors: Errors = missing(desk, controls, values)
    if isinstance(values.get("samples"), str):
        errors = {**errors, "samples": _("This is not JSON.")}
    if errors:
        return await _form(desk, key, values, errors, mark=mark, status=422)
    new = laid(old, controls, values)
    if not key:
        new = {"key": fresh_key(desk, values.get("label"), SECTION, "connector"), **new}
    what = (_("Connector"), desk.words(new.get("label"), new["key"]))
    found = await desk.save(_path(new["key"]), new, words.changed(*what) if key else words.added(*what), mark=mark if key else None)
    if found:
        return await _form(desk, key, values, found, mark=mark, status=422)
    return desk.done(URL)


@get(f"{URL}/new")
async def new(request: Request) -> Response[Any]:
    return await _form(await open_desk(request), "", {"mode": "stub", "active": True}, {}, mark="")


@post(f"{URL}/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    return await _save(await open_desk(request), {})


@get(f"{URL}/{{key:str}}")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _form(desk, key, desk.find(_path(key)), {}, mark=desk.mark(_path(key)))


@post(f"{URL}/{{key:str}}", status_code=200)
async def save(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _save(desk, desk.find(_path(key)))


@get(f"{URL}/{{key:str}}/remove")
async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await ask_removal(desk, _path(key), SECTION, name=desk.words(desk.find(_path(key)).get("label"), key), back=f"{URL}/{key}", action=f"{URL}/{key}/remove")


@post(f"{URL}/{{key:str}}/remove", status_code=200)
async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    name = desk.words(desk.find(_path(key)).get("label"), key)
    await take_out(desk, await desk.ask.form(), _path(key), words.removed(_("Connector"), name))
    return desk.done(URL)


router = Router("", route_handlers=[live_list, connection, save_connection, pull_now, listing, new, create, show, save, ask_remove, remove])
