"""SMS: who carries them, and how that is spoken with. A provider is a class here; the tenant's settings choose it. Without one, texts are
only recorded.

`http` asks an address of the tenant's provider; names of the request and of the answer are mapped by settings:

    {"mode": "http", "url": "https://sms.example/send", "format": "json", "auth": "signature",
     "fields": {"mobile": "{{ to }}", "content": "{{ text }}", "uid": "{{ id }}"},
     "answer_id": "data.id", "answer_ok": "code", "answer_ok_value": "0",
     "report_id": "id", "report_status": "status", "report_delivered": "DELIVRD"}
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import urlencode
from uuid import UUID

from saas import outbound
from saas.db import current_database
from saas.i18n import LazyString, lazy
from saas.runtime.signatures import HEADER, signature
from saas.tenants.integrations import Integration, list_integrations
from saas.tenants.tokens import make_token, read_token

FORMATS = ("json", "form")
AUTHS = ("signature", "bearer", "basic", "none")
REPORT = "sms_report"
STANDARD: Mapping[str, Any] = {"mode": "recorded", "url": "", "format": "json", "auth": "signature", "fields": {"to": "{{ to }}", "text": "{{ text }}", "id": "{{ id }}"}}
ERRORS: Mapping[str, LazyString] = {
    "provider": lazy("The provider refused the message."),
    "provider_away": lazy("The provider could not be reached."),
    "not_delivered": lazy("The provider could not deliver the message."),
    "no_provider": lazy("No provider is set up any more."),
}


@dataclass(frozen=True, slots=True)
class Carried:
    """What a provider answered. `ref` is what it calls the message; `error` a key of ERRORS; `again`: another attempt may succeed."""

    ref: str = ""
    reply: str = ""
    error: str = ""
    again: bool = False


class Provider(Protocol):
    """Carries one text. Asked outside of transactions; `message_id` stays the same for every attempt at a message, so a provider that
    knows it sends once."""

    key: ClassVar[str]

    async def carry(self, integration: Integration, message_id: UUID, number: str, text: str) -> Carried: ...


class HttpProvider:
    key = "http"

    async def carry(self, integration: Integration, message_id: UUID, number: str, text: str) -> Carried:
        options = {**STANDARD, **integration.settings}
        places = {"to": number, "text": text, "id": str(message_id)}
        fields = {name: _filled(str(value), places) for name, value in options["fields"].items()}
        is_json = options["format"] == "json"
        body = json.dumps(fields, ensure_ascii=False).encode() if is_json else urlencode(fields).encode()
        headers = {"content-type": "application/json" if is_json else "application/x-www-form-urlencoded", "idempotency-key": str(message_id), **auth_headers(options["auth"], integration, body)}
        try:
            answer = await outbound.request("POST", str(options["url"]), settings=current_database().settings, headers=headers, content=body)
        except outbound.OutboundFailed as error:
            return Carried(reply=str(error.message), error="provider_away", again=not error.for_good)
        return _read(options, answer)


PROVIDERS: Mapping[str, Provider] = {HttpProvider.key: HttpProvider()}


def auth_headers(kind: str, integration: Integration, body: bytes) -> dict[str, str]:
    """What proves to the other side who asks."""
    if kind == "bearer":
        return {"authorization": f"Bearer {integration.secret}"}
    if kind == "basic":  # the secret is "user:password"
        return {"authorization": "Basic " + base64.b64encode(integration.secret.encode()).decode()}
    return {HEADER.lower(): signature(integration.secrets, body, time.time())} if kind == "signature" else {}


def _filled(text: str, places: Mapping[str, str]) -> str:
    for name in places:
        text = text.replace("{{ " + name + " }}", "\x00" + name + "\x00").replace("{{" + name + "}}", "\x00" + name + "\x00")
    for name, value in places.items():  # in a second step: what a text says is no place
        text = text.replace("\x00" + name + "\x00", value.replace("\x00", ""))
    return text


def _read(options: Mapping[str, Any], answer: outbound.Answer) -> Carried:
    shown = answer.content[:300].decode("utf-8", "replace")
    if not answer.is_good:
        return Carried(reply=f"{answer.status} {shown}"[:300], error="provider", again=answer.status in (408, 425, 429) or answer.status >= 500)
    try:
        content = json.loads(answer.content or b"{}")
    except ValueError:
        content = {}
    if options.get("answer_ok") and str(at(content, str(options["answer_ok"]))) != str(options.get("answer_ok_value", "")):
        return Carried(reply=shown, error="provider")
    ref = at(content, str(options.get("answer_id") or "")) if options.get("answer_id") else None
    return Carried(ref=str(ref)[:200] if ref not in (None, "") else "", reply=shown)


def at(content: Any, path: str) -> Any:
    """What stands at `data.items.0.id` of JSON; None where nothing does."""
    for part in path.split("."):
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, list) and part.isascii() and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            return None
    return content


async def provider_of(conn: Any, tenant_id: UUID) -> Integration | None:
    """The tenant's way of sending texts, while it is switched on."""
    found = await list_integrations(conn, tenant_id, "sms")
    return next((i for i in found if i.active and i.settings.get("mode") in PROVIDERS), None)


async def has_provider(conn: Any, tenant_id: UUID) -> bool:
    return await provider_of(conn, tenant_id) is not None


# ---- reports of delivery -----------------------------------------------------------------------------------------------


def report_path(tenant_id: UUID) -> str:
    """Where the provider says what became of messages: an address that nobody else can know."""
    return f"/hooks/sms/{make_token(REPORT, tenant_id, {'r': 1})}"


async def take_report(conn: Any, tenant_id: UUID, token: str, content: Any) -> list[UUID] | None:
    """Note what a provider reports of one message or a list of them; returns those that were known. None: this is no address of ours."""
    if read_token(REPORT, tenant_id, token) is None:
        return None
    found = await list_integrations(conn, tenant_id, "sms")
    if not found:
        return None
    options = {"report_id": "id", "report_status": "status", "report_delivered": "delivered", **{name: value for name, value in found[0].settings.items() if value != ""}}
    good = {word.strip().lower() for word in str(options["report_delivered"]).split(",")}
    known: list[UUID] = []
    for item in (content if isinstance(content, list) else [content])[:500]:
        ref, status = at(item, str(options["report_id"])), str(at(item, str(options["report_status"]))).lower()
        if ref in (None, ""):
            continue
        changed = await conn.fetch(
            "UPDATE message SET status = $3, delivered_at = CASE WHEN $3 = 'delivered' THEN now() END, error = $4, reply = $5 "
            "WHERE tenant_id = $1 AND provider_ref = $2 AND channel = 'sms' AND status IN ('sent', 'failed', 'delivered') RETURNING id",
            tenant_id, str(ref)[:200], "delivered" if status in good else "failed", "" if status in good else "not_delivered", status[:300],
        )  # fmt: skip
        known += [row["id"] for row in changed]
    return known
