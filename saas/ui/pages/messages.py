"""Messages to people: sent from a record or a list, looked up in the log, and wanted no more.

Who: a salesperson who writes to one customer or to forty of a list; an administrator who hears "I got nothing"; somebody outside who wants no
more, straight from their mailbox, often on a telephone. What next: they see what was sent, send again, or are done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.errors import AppError, BadRequest, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, pick, use_locale
from saas.metadata.property_words import CHANNELS
from saas.runtime import messages, permissions
from saas.runtime.contexts import system_context
from saas.runtime.jobs import JobInfo
from saas.runtime.messages import sms
from saas.runtime.messages.bulk import chosen
from saas.runtime.messages.delivering import ERRORS
from saas.runtime.messages.log import RIGHT, STATUSES, Message
from saas.runtime.messages.outcomes import tell
from saas.runtime.records import entity_of
from saas.tenants import integrations, record_audit
from saas.tenants.ids import uuid_of
from saas.tenants.links import address_of
from saas.tenants.mail import check_recipient, mail_is_sent
from saas.ui import filters, formats
from saas.ui.guards import Ask, html, page_data, signed_in, site_of
from saas.ui.listing import open_listing
from saas.ui.pages.settings import PAGE, open_settings, show_settings
from saas.ui.render import render
from saas.ui.views import Choice, Toast

MOST_HOOK_BYTES = 200_000


def status_words(status: str) -> tuple[str, str]:
    """(words, colour)"""
    return {
        "queued": (_("waiting"), "gray"), "sent": (_("sent"), "green"), "delivered": (_("delivered"), "green"), "failed": (_("not delivered"), "red"), "recorded": (_("only recorded"), "yellow"),
        "left_out": (_("left out: wants none"), "gray"),
    }[status]  # fmt: skip


# ---- sending -----------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/messages")
async def choose_message(request: Request, entity: FromPath[str]) -> Response[Any]:
    """For `?ids=`, or the list that the rest of the address describes."""
    ask = await signed_in(request)
    return await sending_page(ask, entity, request.query_params.getall("ids", []), request.url.query, {})


@post("/r/{entity:str}/messages", status_code=200)
async def send_message(request: Request, entity: FromPath[str]) -> Response[Any]:
    """`act` look: what would be sent; send: send it."""
    ask = await signed_in(request)
    form = await ask.form()
    ids = [str(i) for i in form.getall("ids", [])]
    typed = {name: str(form.get(name) or "") for name in ("template", "channel", "query", "act")}
    try:
        found = await _records(ask, entity, ids, typed["query"])
        if typed["act"] != "send":
            shown = await messages.preview(ask.ctx, entity, typed["template"], typed["channel"], found)
            return await sending_page(ask, entity, ids, typed["query"], typed, shown=shown)
        sent = await messages.send_to_many(ask.ctx, entity, typed["template"], typed["channel"], found)
    except BadRequest as error:
        return await sending_page(ask, entity, ids, typed["query"], typed, error=str(error.message), status=422)
    if isinstance(sent, JobInfo):
        return ask.redirect(f"/jobs/{sent.id}")
    return ask.redirect(f"/r/{entity}/{found[0]}" if len(found) == 1 else f"/r/{entity}", Toast(_told(sent), "good" if sent.queued else "warn"))


def _told(sent: messages.Sent) -> str:
    parts = [_("%(count)s on their way.", count=sent.queued)] if sent.queued else [_("Nothing was sent.")]
    if sent.recorded:
        parts.append(_("%(count)s only recorded: nothing is set up that would send them.", count=sent.recorded))
    if sent.left_out:
        parts.append(_("%(count)s left out because they want none.", count=sent.left_out))
    if sent.unusable:
        parts.append(_("%(count)s without a usable address.", count=sent.unusable))
    return " ".join(parts)


async def _records(ask: Ask, entity_key: str, ids: Sequence[str], query: str) -> list[UUID]:
    if ids:
        return await chosen(ask.ctx, entity_key, ids=[i for text in ids if (i := uuid_of(text))])
    entity = entity_of(ask.ctx, entity_key)
    params = _params(query)
    async with ask.work() as conn:
        listing = await open_listing(conn, ask.ctx, entity, f"/r/{entity.key}", params, kind="list")
    return await chosen(ask.ctx, entity_key, filter=filters.filter_json(ask.ctx, entity, listing.state), view=listing.view.key or None, q=listing.state.q or None)


def _params(query: str) -> Any:
    from litestar.datastructures import MultiDict

    return MultiDict([(name, value) for name, values in parse_qs(query[:8000], keep_blank_values=True).items() for value in values])


async def sending_page(
    ask: Ask, entity_key: str, ids: Sequence[str], query: str, typed: Mapping[str, str], *, shown: messages.Preview | None = None, error: str = "", status: int = 200
) -> Response[Any]:  # fmt: skip
    ctx, entity = ask.ctx, entity_of(ask.ctx, entity_key)
    permissions.require(ctx, "update" if len(ids) == 1 else "bulk", entity.key)
    templates = [t for t in ctx.config.bundle.templates if t.entity == entity.key]
    chosen_template = next((t for t in templates if t.key == typed.get("template")), templates[0] if templates else None)
    channel = typed.get("channel") or (chosen_template.channels[0] if chosen_template else "email")
    async with ask.work():
        pass
    return ask.page(
        "records/messages.html", status=status, entity=entity.key, plural=pick(entity.defn.plural, ctx.locale), ids=ids, query=query if not ids else "", error=error, shown=shown,
        templates=[Choice(t.key, pick(t.label, ctx.locale), chosen_template is not None and t.key == chosen_template.key) for t in templates],
        channels=[Choice(c, str(label), c == channel) for c, label in CHANNELS.items() if any(c in t.channels for t in templates)],
        may_write=permissions.may_configure(ctx, "config"), back=f"/r/{entity.key}/{ids[0]}" if len(ids) == 1 else f"/r/{entity.key}",
    )  # fmt: skip


# ---- the log -----------------------------------------------------------------------------------------------------------


@get("/settings/messages")
async def message_log(request: Request) -> Response[Any]:
    ask = await open_settings(request, RIGHT)
    status, channel = request.query_params.get("status", ""), request.query_params.get("channel", "")
    async with ask.work() as conn:
        found = await messages.list_messages(
            conn, ask.ctx, status=status if status in STATUSES else None, channel=channel if channel in CHANNELS else None, before=uuid_of(request.query_params.get("before", "")), limit=PAGE
        )
        provider = await sms.provider_of(conn, ask.ctx.tenant_id)
    more = urlencode({"status": status, "channel": channel, "before": str(found[-1].id)}) if len(found) == PAGE else ""
    return await show_settings(
        ask, "messages", "messages", rows=[_line(ask, m) for m in found], next_url=f"/settings/messages?{more}" if more else "", is_sent=mail_is_sent(), has_sms=provider is not None,
        statuses=[Choice("", _("All"), not status), *(Choice(s, status_words(s)[0], s == status) for s in STATUSES)],
        channels=[Choice("", _("All"), not channel), *(Choice(c, str(label), c == channel) for c, label in CHANNELS.items())],
    )  # fmt: skip


def _line(ask: Ask, m: Message) -> dict[str, Any]:
    ctx = ask.ctx
    entity = next((e for e in ctx.config.entities.values() if e.number == m.entity_id), None)
    text, color = status_words(m.status)
    template = next((t for t in ctx.config.bundle.templates if t.key == m.template_key), None)
    return {
        "id": str(m.id), "at": formats.moment(ctx, m.created_at), "full": formats.full(ctx, m.created_at), "to": m.recipient, "channel": str(CHANNELS.get(m.channel, m.channel)),
        "subject": m.subject or m.body[:80], "body": m.body, "status": text, "color": color, "error": str(ERRORS.get(m.error, m.error)), "reply": m.reply, "attempts": m.attempts,
        "template": pick(template.label, ctx.locale) if template else m.template_key, "sender": m.sender or _("by itself"), "again": m.can_send_again,
        "record_url": f"/r/{entity.key}/{m.record_id}" if entity and m.record_id and permissions.may(ctx, "read", entity.key) else "", "record": pick(entity.defn.label, ctx.locale) if entity else "",
        "sent": formats.full(ctx, m.sent_at) if m.sent_at else "", "delivered": formats.full(ctx, m.delivered_at) if m.delivered_at else "",
    }  # fmt: skip


@get("/settings/messages/{message_id:uuid}")
async def one_message(request: Request, message_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, RIGHT)
    async with ask.work() as conn:
        found = await messages.get_message(conn, ask.ctx, message_id)
    return await show_settings(ask, "sent_message", "messages", m=_line(ask, found))


@post("/settings/messages/{message_id:uuid}/again", status_code=200)
async def message_again(request: Request, message_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, RIGHT)
    url = f"/settings/messages/{message_id}"
    try:
        async with ask.work() as conn:
            await messages.send_again(conn, ask.ctx, message_id)
    except AppError as error:
        if error.status >= 500 or error.status in (403, 404):
            raise
        return ask.redirect(url, Toast(str(error.message), "error"))
    return ask.redirect(url, Toast(_("The message is on its way again.")))


# ---- who wants none ----------------------------------------------------------------------------------------------------


@get("/settings/opt-outs")
async def opt_outs(request: Request) -> Response[Any]:
    return await _opt_outs(await open_settings(request, RIGHT))


async def _opt_outs(ask: Ask, *, error: str = "", address: str = "", status: int = 200) -> Response[Any]:
    async with ask.work() as conn:
        found = await messages.list_opt_outs(conn, ask.ctx)
    reasons = {"link": _("by the link in a message"), "staff": _("noted here"), "person": _("by themselves")}
    rows = [
        {"channel": r["channel"], "shown": str(CHANNELS.get(r["channel"], "")), "address": r["address"], "reason": reasons.get(r["reason"], r["reason"]), "at": formats.moment(ask.ctx, r["created_at"])}
        for r in found
    ]  # fmt: skip
    channels = [Choice(c, str(CHANNELS[c]), c == "email") for c in ("email", "sms")]
    return await show_settings(ask, "opt_outs", "opt-outs", status=status, rows=rows, channels=channels, error=error, address=address)


@post("/settings/opt-outs", status_code=200)
async def change_opt_outs(request: Request) -> Response[Any]:
    """`act` add or remove."""
    ask = await open_settings(request, RIGHT)
    form = await ask.form()
    channel, address = str(form.get("channel") or ""), str(form.get("address") or "").strip()[:300]
    if channel not in ("email", "sms"):
        raise BadRequest()
    is_new = form.get("act") != "remove"
    if is_new and channel == "email":
        try:
            check_recipient(address)
        except InvalidInput as error:
            return await _opt_outs(ask, error=str(error.problems[0].message), address=address, status=422)
    if not address:
        return await _opt_outs(ask, error=_("Say which address or number."), status=422)
    async with ask.work() as conn:
        await (messages.opt_out(conn, ask.ctx, channel, address=address, reason="staff") if is_new else messages.opt_in(conn, ask.ctx, channel, address=address))
        await record_audit(conn, ask.ctx.tenant_id, "opt_out.added" if is_new else "opt_out.removed", actor_id=ask.ctx.user_id, target=channel)
    return ask.redirect("/settings/opt-outs", Toast(_("Saved")))


@get("/unsubscribe/{token:str}")
async def ask_unsubscribe(request: Request, token: FromPath[str]) -> Response[Any]:
    """Only a button: programs that look at links before people do must not decide for them."""
    return await _unsubscribe(request, token, act=False)


@post("/unsubscribe/{token:str}", status_code=200)
async def unsubscribe(request: Request, token: FromPath[str]) -> Response[Any]:
    """From that page, or by one click of a mail program (RFC 8058), which comes from nowhere and is signed in nowhere: the token is all it has
    and all it needs."""
    return await _unsubscribe(request, token, act=True)


async def _unsubscribe(request: Request, token: str, *, act: bool) -> Response[Any]:
    tenant = site_of(request).tenant
    found = messages.read_link(tenant.id, token) if tenant is not None else None
    if tenant is None or found is None:
        raise NotFound(lazy("This link does not lead anywhere. Please open it exactly as it stands in the message."))
    channel, address = found
    if act:
        ctx = await system_context(tenant.id)
        again = (await request.form()).get("again") == "1"
        async with tenant_transaction(tenant.id) as conn:
            await (messages.opt_in(conn, ctx, channel, address=address) if again else messages.opt_out(conn, ctx, channel, address=address, reason="link"))
    else:
        again = False
    logo = f"/brand/logo?v={tenant.brand['logo']}" if tenant.brand.get("logo") else ""
    data = {**page_data(request), "brand_name": tenant.name, "mark": tenant.name[:1].upper(), "logo": logo, "address": address, "action": request.url.path, "done": act and not again, "back": act and again}
    return html(render("public/unsubscribe.html", **data), headers={"referrer-policy": "no-referrer"})


# ---- SMS ---------------------------------------------------------------------------------------------------------------


_TEXTS = ("url", "answer_id", "answer_ok", "answer_ok_value", "report_id", "report_status", "report_delivered")


@get("/settings/sms")
async def sms_settings(request: Request) -> Response[Any]:
    ask = await open_settings(request, "config")
    async with ask.work() as conn:
        found = await integrations.list_integrations(conn, ask.ctx.tenant_id, "sms")
    return await _sms_page(ask, dict(found[0].settings) if found else {}, bool(found))


async def _sms_page(ask: Ask, values: Mapping[str, Any], known: bool, errors: Mapping[str, str] | None = None, *, status: int = 200) -> Response[Any]:
    shown = {**dict.fromkeys(_TEXTS, ""), **sms.STANDARD, **values}
    fields = "\n".join(f"{name}={text}" for name, text in shown["fields"].items()) if isinstance(shown["fields"], Mapping) else str(shown["fields"])
    tenant = site_of(ask.request).tenant
    assert tenant is not None
    return await show_settings(
        ask, "sms", "sms", status=status, v={**shown, "fields": fields}, known=known, errors={name: (errors or {}).get(name, "") for name in (*_TEXTS, "fields", "secret")},
        modes=[Choice("recorded", _("Only record them"), shown["mode"] == "recorded"), Choice("http", _("Give them to a provider over HTTP"), shown["mode"] == "http")],
        formats=[Choice("json", "JSON", shown["format"] == "json"), Choice("form", _("Form"), shown["format"] == "form")],
        auths=[
            Choice("signature", _("Signature (HMAC)"), shown["auth"] == "signature"), Choice("bearer", _("Bearer token"), shown["auth"] == "bearer"),
            Choice("basic", _("User and password"), shown["auth"] == "basic"), Choice("none", _("Nothing"), shown["auth"] == "none"),
        ],
        report_url=address_of(tenant, sms.report_path(tenant.id)),
    )  # fmt: skip


@post("/settings/sms", status_code=200)
async def save_sms(request: Request) -> Response[Any]:
    ask = await open_settings(request, "config")
    permissions.require_active(ask.ctx)
    form = await ask.form()
    values: dict[str, Any] = {name: str(form.get(name) or "").strip()[:500] for name in _TEXTS}
    values["mode"] = "http" if form.get("mode") == "http" else "recorded"
    values["format"] = "form" if form.get("format") == "form" else "json"
    values["auth"] = str(form.get("auth")) if form.get("auth") in sms.AUTHS else "signature"
    lines = [line.partition("=") for line in str(form.get("fields") or "").splitlines()[:30] if line.strip()]
    values["fields"] = {name.strip()[:100]: text.strip()[:500] for name, _sign, text in lines}
    secret = str(form.get("secret") or "").strip()[:500]
    errors = _sms_errors(ask, values)
    async with ask.work() as conn:
        found = await integrations.list_integrations(conn, ask.ctx.tenant_id, "sms")
        if not errors:
            await integrations.save_integration(conn, ask.ctx.tenant_id, "sms", "sms", "SMS", values, secret=secret or None, actor_id=ask.ctx.user_id)
    if errors:
        return await _sms_page(ask, values, bool(found), errors, status=422)
    return ask.redirect("/settings/sms", Toast(_("Saved")))


def _sms_errors(ask: Ask, values: Mapping[str, Any]) -> dict[str, str]:
    from saas import outbound
    from saas.db import current_database

    errors = {}
    if values["mode"] == "http":
        try:
            outbound.check_url(values["url"], current_database().settings)
        except outbound.OutboundFailed as error:
            errors["url"] = str(error.message)
        if not any("to" in text and "{{" in text for text in values["fields"].values()):
            errors["fields"] = _("One field must hold {{ to }}, the number, and one {{ text }}.")
    return errors


@post("/hooks/sms/{token:str}", status_code=200)
async def sms_report(request: Request, token: FromPath[str]) -> Response[Any]:
    """What a provider says became of messages. Its address is the secret. JSON or a form."""
    tenant = site_of(request).tenant
    body = await request.body()
    if tenant is None or len(body) > MOST_HOOK_BYTES:
        raise NotFound()
    if "json" in request.headers.get("content-type", ""):
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest() from error
    else:
        content = dict((await request.form()).items())
    with use_locale(tenant.locale):
        async with tenant_transaction(tenant.id) as conn:
            known = await sms.take_report(conn, tenant.id, token, content)
            if known:
                await tell(conn, await system_context(tenant.id), known)
    if known is None:
        raise NotFound()
    return Response({"known": len(known)})


router = Router(
    "", route_handlers=[choose_message, send_message, message_log, one_message, message_again, opt_outs, change_opt_outs, ask_unsubscribe, unsubscribe, sms_settings, save_sms, sms_report]
)
