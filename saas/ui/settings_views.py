"""The menu of the settings, and what the pages of people, the audit log and jobs show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from saas.i18n import LOCALE_NAMES, LazyString, lazy, listed, pick
from saas.i18n import gettext as _
from saas.metadata.naming import titled
from saas.runtime import Context, permissions
from saas.tenants import clock
from saas.tenants.features import FEATURES
from saas.tenants.mail import ERRORS, KINDS
from saas.ui import formats
from saas.ui.support import may_open
from saas.ui.views import Link, NavGroup

ADMIN = "admin"  # not a part of the settings that a role could be given: administrators only
CLOCK = "clock"  # administrators, where the clock may be moved or is moved
# (group, [(address below /settings, name, icon, the right it needs)])
PAGES: Sequence[tuple[LazyString, Sequence[tuple[str, LazyString, str, str]]]] = (
    (lazy("Workspace"), (("first-steps", lazy("First steps"), "check-square", ADMIN), ("brand", lazy("Brand"), "palette", "brand"), ("domain", lazy("Domain"), "world", ADMIN), ("packs", lazy("Packs"), "package-import", "config"), ("plan", lazy("Plan and usage"), "chart-bar", ADMIN), ("billing", lazy("Subscription"), "credit-card", ADMIN), ("sample", lazy("Sample data"), "flask", ADMIN), ("clock", lazy("Clock"), "clock", CLOCK), ("everything", lazy("Export everything"), "archive", ADMIN), ("leave", lazy("Delete the workspace"), "trash", ADMIN))),
    (
        lazy("Data"),
        (
            ("entities", lazy("Entities"), "database", "config"), ("relations", lazy("Relations"), "relations", "config"), ("option-sets", lazy("Option lists"), "tags", "config"),
            ("numbering", lazy("Numbering"), "numbering", "config"), ("values", lazy("Values"), "adjustments", "config"), ("labels", lazy("Labels"), "language", "config"),
        ),
    ),
    (
        lazy("Screens"),
        (
            ("views", lazy("Views"), "list-details", "config"), ("layouts", lazy("Layouts"), "layout", "config"), ("menus", lazy("Menus"), "menu", "config"),
            ("documents", lazy("Documents"), "printer", "config"), ("charts", lazy("Drawings"), "sitemap", "config"), ("reports", lazy("Reports"), "reports", "config"), ("dashboards", lazy("Dashboards"), "dashboard", "config"),
        ),
    ),
    (
        lazy("Behaviour"),
        (
            ("pipelines", lazy("Pipelines"), "pipeline", "config"), ("automations", lazy("Automations"), "bolt", "config"), ("schedules", lazy("Schedules"), "calendar-time", "config"), ("timetable", lazy("Timetable"), "history", "config"),
            ("approvals", lazy("Approvals"), "shield", "config"), ("forms", lazy("Entry forms"), "forms", "config"), ("pricing", lazy("Pricing"), "percent", "config"), ("statements", lazy("Statements"), "file-text", "config"), ("ledgers", lazy("Ledgers"), "coins", "config"), ("reviews", lazy("Reviews"), "list-details", "config"), ("examples", lazy("Examples"), "flask", "config"),
        ),
    ),
    (
        lazy("Messages and outside"),
        (
            ("templates", lazy("Message texts"), "mail", "config"), ("messages", lazy("Sent messages"), "message", "audit"), ("web-forms", lazy("Web forms"), "list", "config"), ("connectors", lazy("Connectors"), "link", "config"), ("mirrors", lazy("Mirrors"), "download", "config"), ("live-lists", lazy("Live lists"), "list", "config"), ("calls", lazy("Calls"), "world", "config"), ("webhooks", lazy("Webhooks"), "world", "config"), ("inbound-hooks", lazy("Inbound webhooks"), "download", "config"), ("connections", lazy("Connections"), "link", "config"), ("opt-outs", lazy("Who wants none"), "ban", "audit"), ("sms", lazy("SMS"), "phone", "config"),
        ),
    ),
    (lazy("People"), (("users", lazy("People"), "users", "users"), ("departments", lazy("Departments"), "sitemap", "users"), ("roles", lazy("Roles"), "shield", "config"), ("simulator", lazy("Access simulator"), "simulate", "config"), ("security", lazy("Security"), "lock", "security"), ("sso", lazy("Single sign-on"), "passport", ADMIN), ("keys", lazy("API keys"), "key", "users"), ("support", lazy("Support access"), "eye", ADMIN))),
    (
        lazy("Changes"),
        (
            ("draft", lazy("Draft"), "pencil", "config"), ("revisions", lazy("Revisions"), "history", "config"), ("data-changes", lazy("Changes to records"), "replace", "config"),
            ("removed", lazy("Removed"), "archive", "config"),
        ),
    ),
    (lazy("Watch"), (("speed", lazy("Speed"), "gauge", "config"), ("audit", lazy("Audit log"), "eye", "audit"), ("log", lazy("Operation log"), "history", "audit"), ("mail", lazy("Mail"), "mail", "audit"), ("runs", lazy("Automation runs"), "bolt", "jobs"), ("outbox", lazy("Outbox"), "exchange", "jobs"), ("jobs", lazy("Jobs"), "server", "jobs"))),
)  # fmt: skip


def parts_without(right: str) -> list[str]:
    """Addresses below /settings of the pages that need another right than this one."""
    return [part for _group, pages in PAGES for part, _name, _icon, needed in pages if needed != right]


def _may(ctx: Context, right: str) -> bool:
    if right == CLOCK:
        return permissions.is_admin(ctx) and (clock.may_move(ctx.tenant) or ctx.tenant.clock_offset_seconds != 0)
    return permissions.is_admin(ctx) if right == ADMIN else permissions.may_configure(ctx, right)


def navigation(ctx: Context, current: str) -> tuple[NavGroup, ...]:
    """Groups of settings pages the person may open."""
    groups = []
    for title, pages in PAGES:
        links = tuple(Link(str(name), f"/settings/{part}", icon, part == current) for part, name, icon, right in pages if _may(ctx, right) and (ctx.support is None or may_open(f"/settings/{part}")))
        if links:
            groups.append(NavGroup(str(title), links))
    return tuple(groups)


# What the audit log calls its events; others show their key.
AUDIT_EVENTS = {
    "record.shared": lazy("Record shared"), "record.unshared": lazy("Sharing of a record ended"), "records.merged": lazy("Records merged"), "records.unmerged": lazy("Merge of records undone"),
    "sign_in.succeeded": lazy("Signed in"), "sign_in.failed": lazy("Sign-in failed"), "password.changed": lazy("Password changed"),
    "password_reset.asked": lazy("New password asked for"), "password_reset.done": lazy("New password chosen by link"),
    "invitation.sent": lazy("Invitation sent"), "invitation.resent": lazy("Invitation sent again"), "invitation.withdrawn": lazy("Invitation withdrawn"),
    "invitation.accepted": lazy("Invitation accepted"), "mail.read": lazy("Recorded message read"),
    "domain.added": lazy("Domain named"), "domain.verified": lazy("Domain proved"), "domain.lost": lazy("Domain lost"), "domain.removed": lazy("Domain removed"), "domain.main": lazy("Main address chosen"),
    "sso.changed": lazy("Single sign-on changed"), "sso.refused": lazy("Single sign-on refused"), "sso.linked": lazy("Connected with single sign-on"), "sso.unlinked": lazy("Connection with single sign-on removed"),
    "user.created": lazy("Person added"), "user.changed": lazy("Person changed"), "user.deactivated": lazy("Person deactivated"), "user.reactivated": lazy("Person let in again"),
    "second_factor.enabled": lazy("Second factor set up"), "second_factor.disabled": lazy("Second factor switched off"), "second_factor.reset": lazy("Second factor reset by an administrator"),
    "recovery_codes.renewed": lazy("New recovery codes made"), "security.changed": lazy("Security rules changed"), "session.ended": lazy("Sessions ended"),
    "api_key.created": lazy("API key made"), "api_key.revoked": lazy("API key revoked"),
    "deputy.set": lazy("Deputy named"), "deputy.removed": lazy("Deputy ended"),
    "department.created": lazy("Department added"), "department.changed": lazy("Department changed"), "department.deleted": lazy("Department deleted"),
    "simulation.started": lazy("Started to look as somebody else"), "simulation.ended": lazy("Stopped looking as somebody else"),
    "user.closed": lazy("Account closed by its record"), "user.opened": lazy("Account opened by its record"), "verification.set": lazy("Verification item chosen"), "verification.failed": lazy("Wrong verification item"), "verification.removed": lazy("Verification item taken away"), "records.purged": lazy("Records purged"),
    "user.roles_changed": lazy("Role replaced by another"), "config.planned": lazy("Change of the configuration planned"), "config.published": lazy("Configuration published"), "config.reverted": lazy("Configuration reverted"), "config.purged": lazy("Removed values purged"), "brand.changed": lazy("Name or colour changed"), "numbers.continued": lazy("Next number set"),
    "records.exported": lazy("Records exported"), "records.imported": lazy("Records imported"), "sample.loaded": lazy("Sample data loaded"), "sample.cleared": lazy("Sample data cleared"), "sample.restored": lazy("Sample data brought back"), "tenant.signed_up": lazy("Signed up"),
    "support.consent_changed": lazy("Consent to support changed"), "support.asked": lazy("Support asked to look in"), "support.approved": lazy("Support access approved"),
    "support.refused": lazy("Support access refused"), "support.opened": lazy("Support looked in"), "support.viewed": lazy("Support opened a page"), "support.acted": lazy("Support sent a form"),
    "support.ended": lazy("Support access ended"),
    "user.segments": lazy("Segments of a person changed"), "clock.moved": lazy("Clock moved"), "clock.reset": lazy("Clock put back"),
    "tenant.created": lazy("Workspace created"), "tenant.suspended": lazy("Workspace suspended"), "tenant.resumed": lazy("Workspace resumed"),
    "tenant.plan_changed": lazy("Plan changed"), "tenant.limits_changed": lazy("Own limits changed"), "tenant.feature_changed": lazy("Feature switch changed"), "tenant.trial_changed": lazy("End of the trial changed"), "tenant.past_due": lazy("Payment overdue"), "tenant.read_only": lazy("Workspace read-only"), "tenant.moving": lazy("Workspace moving to another server"),
    "tenant.export_started": lazy("Export of everything asked for"), "tenant.exported": lazy("Everything exported"), "tenant.export_fetched": lazy("Export of everything fetched"),
    "billing.checkout_started": lazy("Payment page opened"), "billing.changed": lazy("Subscription changed"), "billing.extra_changed": lazy("Extra automation runs changed"),
    "billing.cancelled": lazy("Subscription cancelled"), "billing.resumed": lazy("Cancellation taken back"), "billing.followed": lazy("Plan and seats follow the subscription"),
    "billing.past_due": lazy("Payment overdue"), "billing.read_only": lazy("Read-only: payment overdue"), "billing.suspended": lazy("Suspended: payment overdue"), "billing.paid": lazy("Paid"),
    "billing.trial_over": lazy("Trial over"), "billing.terms_changed": lazy("Terms of payment changed by the operator"), "billing.invoice_recorded": lazy("Invoice recorded"),
    "billing.invoice_paid": lazy("Invoice marked as paid"), "billing.invoice_void": lazy("Invoice cancelled"), "billing.invoice_open": lazy("Invoice opened again"),
    "integration.added": lazy("Connection added"), "integration.changed": lazy("Connection changed"), "integration.stopped": lazy("Connection switched off after failing for days"), "integration.secret_changed": lazy("Secret of a connection changed"),
    "message.sent_again": lazy("Message sent again"), "opt_out.added": lazy("Noted who wants no messages"), "opt_out.removed": lazy("Taken back who wants no messages"),
    "tenant.imported": lazy("Workspace restored from an archive"), "tenant.deletion_requested": lazy("Deletion of the workspace asked for"), "tenant.deletion_taken_back": lazy("Deletion of the workspace taken back"),
}  # fmt: skip


# What it notes about them: those that say nothing to people are left out.
AUDIT_FACTS = {
    "changed": lazy("changed"), "roles": lazy("roles"), "role": lazy("role"), "instead": lazy("instead"), "operations": lazy("records"), "base": lazy("after revision"),
    "to": lazy("as in revision"), "changes": lazy("changes"), "problems": lazy("problems"), "can_publish": lazy("can be published"), "next": lazy("next number"), "name": lazy("name"),
    "color": lazy("colour"), "color_dark": lazy("colour in the dark look"), "files": lazy("files"), "plan": lazy("plan"), "entity": lazy("entity"), "count": lazy("records"),
    "email": lazy("e-mail"), "reason": lazy("reason"), "field": lazy("field"), "values": lazy("values"), "records": lazy("records"), "user": lazy("person"), "second_factor": lazy("second factor"), "prefix": lazy("begins with"), "scopes": lazy("scopes"), "entities": lazy("entities"),
    "minimum_length": lazy("minimum length"), "refuse_common": lazy("common passwords refused"), "refuse_personal": lazy("names in passwords refused"), "maximum_days": lazy("maximum age in days"),
    "second_factor_for_all": lazy("second factor for everybody"), "second_factor_roles": lazy("second factor for roles"), "job": None, "hash": None, "rows": lazy("rows"), "bytes": None, "before": lazy("before"), "after": lazy("after"),
    "login_en": lazy("sign-in text in English"), "login_zh_CN": lazy("sign-in text in Chinese"), "sender_name": lazy("name of the sender"), "reply_to": lazy("address for answers"),
    "redirects": lazy("other addresses lead there"), "way": lazy("by"), "detail": lazy("detail"), "issuer": lazy("issuer"), "client_id": lazy("client id"), "secret": lazy("secret changed"), "email_domains": lazy("e-mail domains"),
    "creates": lazy("makes people"), "default_role": lazy("role of new people"), "role_claim": lazy("claim with roles"), "role_map": lazy("values and roles"),
    "from": lazy("from"), "made_at": lazy("made"), "version": lazy("version"), "by": None, "operator": lazy("operator"), "mode": lazy("mode"), "method": None, "consent": lazy("consent"), "by_consent": lazy("by consent"), "limits": lazy("limits"), "ends": lazy("ends"), "with_passwords": lazy("with passwords"), "successor": lazy("taken over by"),
    "format": lazy("format"), "columns": lazy("fields"), "duplicates": lazy("duplicates"), "first_day": lazy("first day"), "last_day": lazy("last day"), "subject": lazy("with"), "status": lazy("status"), "seats": lazy("seats"),
    "left": lazy("not done"), "export": lazy("file"), "merge": None, "losers": None, "records_led": lazy("links led on"), "access": None, "session": None, "level": lazy("may"), "until": lazy("until"),
}  # fmt: skip
AUDIT_WORDS = {
    "superior_id": lazy("superior"), "department_ids": lazy("departments"), "role_keys": lazy("roles"), "name": lazy("name"), "email": lazy("e-mail"), "title": lazy("title"),
    "locale": lazy("language"), "status": lazy("status"), "logo": lazy("logo"), "icon": lazy("icon"), "password": lazy("password"), "app": lazy("code of the app"), "recovery": lazy("recovery code"), "sso": lazy("single sign-on"),
    "off": lazy("off"), "on": lazy("on"), "required": lazy("required"), "print": lazy("print view"), "xlsx": "Excel", "csv": "CSV", "pdf": "PDF",
    "read": lazy("read"), "edit": lazy("edit"),
}  # fmt: skip


def audit_facts(ctx: Context, data: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The details of an event in words: “roles: Salesperson; changed: superior”. `names`: of people by their id."""

    about = ctx.config.entities.get(str(data.get("entity")))
    fields = about.fields if about else {}

    def words(name: str, value: Any) -> str:
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, (list, tuple)):
            return listed(words(name, v) for v in value)
        if name in ("role", "roles", "instead", "second_factor_roles", "default_role") and str(value) in ctx.config.roles:
            return pick(ctx.config.roles[str(value)].label)
        if name in ("entity", "entities") and str(value) in ctx.config.entities:
            return pick(ctx.config.entities[str(value)].defn.plural)
        if name == "columns" and str(value) in fields:
            return pick(fields[str(value)].label)
        if name in ("subject", "user"):
            kind, _colon, key = str(value).rpartition(":")
            return words("role", key) if kind == "role" else names.get(key, key)
        return str(AUDIT_WORDS.get(str(value), value)) if name in ("changed", "files", "second_factor", "way", "mode", "format", "level") else str(value)

    shown = [(AUDIT_FACTS.get(name, name), words(name, value)) for name, value in data.items() if value not in (None, "", []) and not (name == "entity" and ("subject" in data or "columns" in data))]
    return "; ".join(str(titled(name, text)) for name, text in shown if name is not None)


def audit_target(ctx: Context, kind: str, target: str, names: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """Whom or what an event is about: a person, an entity, a feature; else as it was written down."""
    entity = str(data.get("entity")) if kind.startswith("record.") else target.partition("/")[0]
    if kind.startswith("record.") and entity in ctx.config.entities:
        return pick(ctx.config.entities[entity].defn.label)
    if kind.startswith("records.") and entity in ctx.config.entities:
        return pick(ctx.config.entities[entity].defn.plural)
    if kind == "tenant.feature_changed" and target in FEATURES:
        return str(FEATURES[target].label)
    return names.get(target, target)


def part_name(key: str) -> str:
    """A part of the settings a role may use."""
    return {
        "config": _("Configuration"), "users": _("People"), "audit": _("Audit log"), "jobs": _("Jobs"), "brand": _("Appearance"), "import": _("Import"),
        "export": _("Export"), "api": _("API"), "security": _("Security"),
    }.get(key, key)  # fmt: skip


def _role_names(ctx: Context, keys: Iterable[str]) -> str:
    return listed(pick(ctx.config.roles[k].label) for k in keys if k in ctx.config.roles)


# ---- people, jobs ------------------------------------------------------------------------------------------------------


def people(ctx: Context, users: list[dict[str, Any]], departments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {d["id"]: pick(d["name"], ctx.locale) for d in departments}
    return [
        {
            "id": str(u["id"]), "name": u["name"], "email": u["email"], "title": u["title"], "roles": _role_names(ctx, u["role_keys"]), "active": u["status"] == "active",
            "department": listed(names[d] for d in u["department_ids"] if d in names), "seen": formats.moment(ctx, u["last_login_at"]) if u["last_login_at"] else "",
        }
        for u in users
    ]  # fmt: skip


def invitations(ctx: Context, found: list[dict[str, Any]], departments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Open invitations as the page of people shows them."""
    names = {d["id"]: pick(d["name"], ctx.locale) for d in departments}
    rows = []
    for i in found:
        text, color = (_("run out"), "yellow") if i["is_over"] else mail_status(i["mail_status"] or "", invitation=True)
        rows.append(
            {
                "id": str(i["id"]), "email": i["email"], "name": i["name"], "roles": _role_names(ctx, i["role_keys"]), "department": names.get(i["department_id"], ""), "inviter": i["inviter"],
                "sent": formats.moment(ctx, i["sent_at"]), "until": formats.full(ctx, i["expires_at"]), "status": text, "color": color, "mail_id": str(i["mail_id"] or ""),
                "error": str(ERRORS.get(i["mail_error"] or "", "")),
            }
        )  # fmt: skip
    return rows


def mail_status(status: str, *, invitation: bool = False) -> tuple[str, str]:
    """(words, colour) of how a message is getting on."""
    return {
        "queued": (_("waiting"), "gray"), "sending": (_("being sent"), "blue"), "sent": (_("waiting for an answer") if invitation else _("sent"), "blue" if invitation else "green"),
        "failed": (_("not delivered"), "red"), "recorded": (_("only recorded"), "yellow"),
    }.get(status, (status, "gray"))  # fmt: skip


def mail(ctx: Context, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The log of messages."""
    rows = []
    for m in found:
        text, color = mail_status(m["status"])
        if m["status"] == "queued" and m["attempts"]:
            text, color = _("waiting to try again"), "yellow"
        rows.append(
            {
                "id": str(m["id"]), "kind": str(KINDS[m["kind"]][0]) if m["kind"] in KINDS else m["kind"], "to": m["recipient"], "name": m["recipient_name"], "subject": m["subject"],
                "status": text, "color": color, "attempts": m["attempts"], "error": str(ERRORS.get(m["error"], m["error"])), "reply": m["reply"] if m["error"] else "",
                "at": formats.full(ctx, m["created_at"]), "sent": formats.full(ctx, m["sent_at"]) if m["sent_at"] else "", "recorded": m["status"] == "recorded",
                "next": formats.full(ctx, m["next_attempt_at"]) if m["status"] == "queued" and m["attempts"] else "", "language": LOCALE_NAMES.get(m["locale"], m["locale"]),
            }
        )  # fmt: skip
    return rows


def job_status(status: str) -> tuple[str, str]:
    """(words, colour) of what a job is doing."""
    return {
        "queued": (_("waiting"), "gray"), "running": (_("running"), "blue"), "paused": (_("paused"), "yellow"), "done": (_("done"), "green"), "failed": (_("failed"), "red"),
        "cancelled": (_("cancelled"), "gray"),
    }.get(status, (status, "gray"))  # fmt: skip
