"""What our messages say: a text and an HTML template of each kind, in the reader's language and the company's colour."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_timezone_name
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from saas.db import current_database
from saas.i18n import LazyString, get_locale, gettext, lazy, use_locale
from saas.i18n import noop as N_
from saas.tenants.brand import COLOUR, ink_on
from saas.tenants.tenants import TenantRow

# Kind -> (what the log calls it, its subject).
KINDS: Mapping[str, tuple[LazyString, str]] = {
    "invitation": (lazy("Invitation"), N_("%(inviter)s invites you to %(company)s")),
    "password_reset": (lazy("New password"), N_("Choose a new password for %(company)s")),
    "domain_missing": (lazy("Domain's record missing"), N_("%(company)s: the record of %(domain)s is missing")),
    "domain_lost": (lazy("Domain lost"), N_("%(company)s no longer answers at %(domain)s")),
    "support_request": (lazy("Support asks to look in"), N_("Support asks to look into %(company)s")),
    "operator_export": (lazy("Exported by the operator"), N_("Everything in %(company)s was exported by the operator")),
    "usage": (lazy("Warning of a limit"), N_("%(company)s: %(title)s")),
    "password_changed": (lazy("Password changed"), N_("Your password for %(company)s was changed")),
    "workspaces": (lazy("Addresses of workspaces"), N_("Your workspaces")),
    "billing_past_due": (lazy("Payment overdue"), N_("%(company)s: a payment is overdue")),
    "billing_read_only": (lazy("Workspace read-only"), N_("%(company)s can only be read now: a payment is overdue")),
    "billing_suspended": (lazy("Workspace suspended"), N_("%(company)s is suspended: a payment is overdue")),
    "billing_paid": (lazy("Payment received"), N_("%(company)s: thank you, everything is paid")),
    "trial_soon": (lazy("Trial ends soon"), N_("%(company)s: the trial ends soon")),
    "trial_over": (lazy("Trial over"), N_("%(company)s: the trial is over")),
    "record_message": (lazy("Message about a record"), N_("%(title)s")),
    "signup": (lazy("Confirmation of a sign-up"), N_("Confirm your new workspace for %(wanted)s")),
}
DEFAULT_COLOUR = "#3b5bdb"
MOST = 100  # characters of a name in a message
_TYPED = ("name", "inviter", "operator", "wanted")  # what people chose themselves
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_ADDRESS = re.compile(r"(?i)(://|\bwww\.)")


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to be queued. `sender_name` stands before our own address; answers go to `reply_to` where it is given."""

    kind: str
    locale: str
    sender_name: str
    subject: str
    text: str
    html: str
    reply_to: str = ""


@functools.cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    env = Environment(loader=loader, autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False, keep_trailing_newline=True)
    env.globals.update(_=gettext)
    return env


def plain_name(text: str) -> str:
    """A name that people typed, as it may stand in a message: one line, not long, nothing that mail programs make a link of."""
    return " ".join(_ADDRESS.sub(" ", _CONTROL.sub(" ", text)).split())[:MOST]


def compose(kind: str, tenant: TenantRow, locale: str, values: Mapping[str, Any]) -> Message:
    """A message of our own to one person of a tenant. `values`: what the template of the kind names; moments become words in the
    tenant's time zone."""
    colour = f"#{str(tenant.brand.get('color') or DEFAULT_COLOUR).lstrip('#').lower()}"
    colour = colour if COLOUR.fullmatch(colour) else DEFAULT_COLOUR
    company = plain_name(str(tenant.brand.get("sender_name") or tenant.name))
    message = _composed(kind, company, colour, tenant.time_zone, locale, values)
    with use_locale(locale):  # the address is the platform's, so its name stands beside the company's: nobody sends as somebody else
        shown = gettext("%(company)s via %(product)s", company=company, product=plain_name(current_database().settings.product_name))
    return replace(message, sender_name=shown, reply_to=str(tenant.brand.get("reply_to") or ""))


def compose_own(tenant: TenantRow, locale: str, subject: str, text: str, *, link: str = "", unsubscribe: str = "") -> Message:
    """A message that a tenant wrote itself, to whomever it concerns. `link` becomes a button; `unsubscribe`: the address of the page on
    which its receiver wants no more."""
    company = plain_name(str(tenant.brand.get("sender_name") or tenant.name))
    title = " ".join(_CONTROL.sub(" ", subject).split()) or company
    paragraphs = [part.splitlines() for part in re.split(r"\n\s*\n", text.strip())]
    message = compose("record_message", tenant, locale, {"name": "", "title": title, "text": text, "paragraphs": paragraphs, "link": link, "unsubscribe": unsubscribe})
    return replace(message, subject=title, sender_name=message.sender_name or company)


def compose_platform(kind: str, locale: str, values: Mapping[str, Any]) -> Message:
    """A message of the installation's own, to somebody who belongs to no tenant yet. Moments are in UTC."""
    return _composed(kind, plain_name(current_database().settings.product_name), DEFAULT_COLOUR, "UTC", locale, values)


def _composed(kind: str, company: str, colour: str, time_zone: str, locale: str, values: Mapping[str, Any]) -> Message:
    with use_locale(locale):
        shown = {key: _moment(value, time_zone) if isinstance(value, datetime) else plain_name(value) if key in _TYPED else value for key, value in values.items()}
        data = {**shown, "company": company, "colour": colour, "ink": ink_on(colour), "lang": locale.replace("_", "-")}
        subject = gettext(KINDS[kind][1], **{name: value for name, value in data.items() if isinstance(value, str)})
        text, html = (_environment().get_template(f"{kind}.{end}").render(subject=subject, **data) for end in ("txt", "html"))
    return Message(kind, locale, company, " ".join(_CONTROL.sub(" ", subject).split()), text.strip() + "\n", html)


def _moment(at: datetime, time_zone: str) -> str:
    zone, locale = ZoneInfo(time_zone), get_locale()
    local = at.astimezone(zone)
    return f"{format_date(local, 'long', locale=locale)} {format_time(local, 'short', tzinfo=zone, locale=locale)} ({get_timezone_name(local, locale=locale)})"
