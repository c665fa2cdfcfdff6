"""Connections with other systems: addresses, secrets and what was said, for the webhooks of the configuration. And the door at which other
systems knock.

Who: whoever sets up the other side, with its documentation open; later somebody who hears "nothing arrives". What next: they send a test, read
the answer, send again.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas import outbound
from saas.db import current_database
from saas.errors import AppError, NotFound
from saas.i18n import gettext as _
from saas.i18n import listed, pick, use_locale
from saas.runtime import exchanges, inbound_hooks, inbound_mail, permissions, webhooks
from saas.runtime.contexts import system_context
from saas.tenants import integrations, record_audit
from saas.tenants.integrations import Integration
from saas.tenants.links import address_of
from saas.ui import formats
from saas.ui.errors import problem_response
from saas.ui.guards import Ask, site_of
from saas.ui.pages.connectors import state_words
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Toast

RIGHT = "config"


def _definitions(ask: Ask) -> list[tuple[str, Any]]:
    bundle = ask.ctx.config.bundle
    return [*(("webhook", h) for h in bundle.webhooks), *(("inbound", h) for h in bundle.inbound_hooks)]


def _definition(ask: Ask, kind: str, key: str) -> Any:
    """Errors: NotFound for what is not published."""
    found = next((d for k, d in _definitions(ask) if k == kind and d.key == key), None)
    if found is None:
        raise NotFound()
    return found


def _state(found: Integration | None, kind: str) -> tuple[str, str]:
    if found is None or (kind == "webhook" and not found.settings.get("url")):
        return _("not set up yet") if kind == "webhook" else _("ready"), "gray" if kind == "webhook" else "green"
    if found.stopped_at is not None:
        return _("switched off: failed for days"), "red"
    if not found.active:
        return _("switched off"), "gray"
    return (_("failing"), "orange") if found.failing_since is not None else (_("works"), "green")


@get("/settings/connections")
async def connections(request: Request) -> Response[Any]:
    ask = await open_settings(request, RIGHT)
    async with ask.work() as conn:
        known = {(k, i.key): i for k in ("webhook", "inbound") for i in await integrations.list_integrations(conn, ask.ctx.tenant_id, k)}
    rows = []
    for kind, d in _definitions(ask):
        found = known.get((kind, d.key))
        text, color = _state(found, kind)
        entity = ask.ctx.config.entities[d.entity]
        rows.append(
            {
                "url": f"/settings/connections/{kind}/{d.key}", "name": pick(d.label, ask.ctx.locale), "kind": _("Webhook") if kind == "webhook" else _("Inbound webhook"),
                "entity": pick(entity.defn.plural, ask.ctx.locale), "state": text, "color": color, "address": str(found.settings.get("url") or "") if found else "",
            }
        )  # fmt: skip
    async with ask.work() as conn:
        placed = {i.key: i for i in await integrations.list_integrations(conn, ask.ctx.tenant_id, "connector")}
    bundle = ask.ctx.config.bundle
    for c in bundle.connectors:
        text, color = state_words(c, placed.get(c.key))
        about = dict.fromkeys(pick(ask.ctx.config.entities[d.entity].defn.plural, ask.ctx.locale) for section in (bundle.mirrors, bundle.calls) for d in section if d.connector == c.key)
        rows.append(
            {
                "url": f"/settings/connections/connector/{c.key}", "name": pick(c.label, ask.ctx.locale), "kind": _("Connector"), "entity": listed(about), "state": text, "color": color,
                "address": str(placed[c.key].settings.get("url") or "") if c.key in placed else "",
            }
        )  # fmt: skip
    return await show_settings(ask, "connections", "connections", rows=rows)


@get("/settings/connections/{kind:str}/{key:str}")
async def connection(request: Request, kind: FromPath[str], key: FromPath[str]) -> Response[Any]:
    return await _connection(await open_settings(request, RIGHT), kind, key)


async def _connection(ask: Ask, kind: str, key: str, *, error: str = "", typed: str | None = None, secret: str = "", status: int = 200) -> Response[Any]:
    d, ctx, tenant = _definition(ask, kind, key), ask.ctx, site_of(ask.request).tenant
    assert tenant is not None
    async with ask.work() as conn:
        try:
            found: Integration | None = await integrations.get_integration(conn, ctx.tenant_id, kind, key=key)
        except NotFound:
            found = None
        log = await exchanges.list_exchanges(conn, ctx.tenant_id, found.id) if found is not None else []
    entity = ctx.config.entities[d.entity]
    rows = [
        {
            "at": formats.moment(ctx, x.at), "full": formats.full(ctx, x.at), "event": x.event, "status": x.status, "color": {"done": "green", "queued": "gray"}.get(x.status, "red"), "attempts": x.attempts,
            "http": x.http_status or "", "error": _(x.error) if x.error else "", "request": x.request, "answer": x.answer, "outbox": x.key if x.direction == "out" else "",
            "record": f"/r/{entity.key}/{x.record_id}" if x.record_id and permissions.may(ctx, "read", entity.key) else "", "again": x.direction == "out" and x.status != "done",
        }
        for x in log
    ]  # fmt: skip
    text, color = _state(found, kind)
    return await show_settings(
        ask, "connection", "connections", status=status, kind=kind, key=key, title=pick(d.label, ctx.locale), state=text, color=color, error=error, secret=secret,
        address=typed if typed is not None else str(found.settings.get("url") or "") if found else "", active=found.active if found else True, known=found is not None, rows=rows,
        inbound_url=address_of(tenant, inbound_hooks.path_of(ctx.tenant_id, found)) if kind == "inbound" and found else "", signed=getattr(d, "signed", True),
        design_url=f"/settings/{'webhooks' if kind == 'webhook' else 'inbound-hooks'}/{key}",
    )  # fmt: skip


@post("/settings/connections/{kind:str}/{key:str}", status_code=200)
async def save_connection(request: Request, kind: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """The address, or the first secret of what comes in."""
    ask = await open_settings(request, RIGHT)
    permissions.require_active(ask.ctx)
    d, form = _definition(ask, kind, key), await ask.form()
    settings: dict[str, Any] = {}
    if kind == "webhook":
        settings["url"] = str(form.get("url") or "").strip()
        try:
            outbound.check_url(settings["url"], current_database().settings)
        except outbound.OutboundFailed as error:
            return await _connection(ask, kind, key, error=str(error.message), typed=settings["url"], status=422)
    is_new, secret = False, integrations.new_secret()
    async with ask.work() as conn:
        try:
            await integrations.get_integration(conn, ask.ctx.tenant_id, kind, key=key)
        except NotFound:
            is_new = True
        await integrations.save_integration(
            conn, ask.ctx.tenant_id, kind, key, pick(d.label, ask.ctx.locale), settings, secret=secret if is_new else None, active=form.get("active") != "off", actor_id=ask.ctx.user_id
        )
    return await _connection(ask, kind, key, secret=secret) if is_new else ask.redirect(f"/settings/connections/{kind}/{key}", Toast(_("Saved")))


async def _found(ask: Ask, conn: Any, kind: str, key: str) -> Integration:
    permissions.require_active(ask.ctx)
    _definition(ask, kind, key)
    return await integrations.get_integration(conn, ask.ctx.tenant_id, kind, key=key)


@post("/settings/connections/{kind:str}/{key:str}/secret", status_code=200)
async def new_secret(request: Request, kind: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """Another secret, shown once; the old one is taken for a day more."""
    ask = await open_settings(request, RIGHT)
    async with ask.work() as conn:
        found = await _found(ask, conn, kind, key)
        secret = await integrations.change_secret(conn, ask.ctx.tenant_id, found.id)
        await record_audit(conn, ask.ctx.tenant_id, "integration.secret_changed", actor_id=ask.ctx.user_id, target=f"{kind}:{found.name}")
    return await _connection(ask, kind, key, secret=secret)


@post("/settings/connections/{kind:str}/{key:str}/test", status_code=200)
async def send_test(request: Request, kind: FromPath[str], key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, RIGHT)
    async with ask.work() as conn:
        await _found(ask, conn, kind, key)
        if kind != "webhook":
            raise NotFound()
        await webhooks.send_test(conn, ask.ctx.tenant_id, _definition(ask, kind, key), ask.ctx.now.isoformat())
    return ask.redirect(f"/settings/connections/{kind}/{key}", Toast(_("The test is on its way. Load this page again in a moment.")))


@post("/settings/connections/{kind:str}/{key:str}/again", status_code=200)
async def again(request: Request, kind: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """Send an event again, under the same key."""
    ask = await open_settings(request, RIGHT)
    url = f"/settings/connections/{kind}/{key}"
    try:
        message_id = UUID(str((await ask.form()).get("message") or ""))
    except ValueError as error:
        raise NotFound() from error
    async with ask.work() as conn:
        found = await _found(ask, conn, kind, key)
        mine = await conn.fetchval("SELECT true FROM exchange WHERE tenant_id = $1 AND integration_id = $2 AND key = $3", ask.ctx.tenant_id, found.id, str(message_id))
        if not mine:
            raise NotFound()
        changed = await conn.fetchval(
            "UPDATE outbox SET status = 'queued', attempts = 0, due_at = now(), error = '' WHERE tenant_id = $1 AND id = $2 AND kind = $3 AND status IN ('failed', 'cancelled', 'queued') RETURNING true",
            ask.ctx.tenant_id, message_id, webhooks.KIND,
        )  # fmt: skip
    return ask.redirect(url, Toast(_("It will be sent again in a moment."))) if changed else ask.redirect(url, Toast(_("Only what could not be sent can be sent again."), "warn"))


@post("/hooks/in/{token:str}", status_code=200, request_max_body_size=inbound_mail.MOST_BYTES)
async def knock(request: Request, token: FromPath[str]) -> Response[Any]:
    """A message of another system, as JSON, or an e-mail as it is. Its address is secret, its signature proves it where one is asked for.
    What is sent to an address there is not stays unread."""
    tenant = site_of(request).tenant
    if tenant is None or not tenant.config_revision:
        raise NotFound()
    ctx = await system_context(tenant.id, origin="webhook")
    with use_locale(ctx.locale):
        try:
            door = await inbound_hooks.door_of(ctx, token)
            found = await inbound_hooks.receive(ctx, door, await request.body(), request.headers)
        except AppError as error:
            if error.status >= 500:
                raise
            return problem_response(request, error)
    return Response(found.to_json(), headers={"cache-control": "no-store"})


router = Router("", route_handlers=[connections, connection, save_connection, new_secret, send_test, again, knock])
