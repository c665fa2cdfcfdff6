"""Support that a tenant can trust: an operator looks into one tenant for an hour, as the tenant allows it (docs/support.md).

    asked -> ready -> open -> over       an administrator's approval, or, for reading, the tenant's standing consent, makes it ready;
                                         the operator opens it with a ticket that is good once and for a minute

The session is no person's: it stands in `support_access` with its own token, carries the operator's identity and takes no seat. Its end
is set when it opens and never moves. Each request is asked anew whether it still holds, and writes its line into the tenant's audit log
before anything else happens.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import system_transaction, tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.operators import OperatorInfo, record_operator_audit
from saas.tenants.sessions import SessionInfo, Support, UserRow, hash_token
from saas.tenants.tenants import TenantRow, get_tenant

MINUTES = 60
ASKED_DAYS, READY_HOURS, TICKET_SECONDS = 7, 24, 60
PREFIX = "support."  # of a session's token: tells it from a person's without asking the database
MODES = ("read", "write")
# A row that still waits or runs; what ran out needs nobody to say so.
_LIVE = "a.status <> 'over' AND a.until > now() AND NOT (a.by_consent AND a.status IN ('ready', 'open') AND NOT coalesce((t.support ->> 'consent')::boolean, false))"
_FROM = "support_access a JOIN tenant t ON t.id = a.tenant_id"


@dataclass(frozen=True, slots=True)
class SupportRules:
    """What the tenant allows without being asked. `consent`: support may look for an hour, never change. `role_key`: the role they act in;
    "" for an administrator's."""

    consent: bool = False
    role_key: str = ""


async def get_support_rules(tenant_id: UUID) -> SupportRules:
    async with tenant_transaction(tenant_id) as conn:
        text = await conn.fetchval("SELECT support FROM tenant WHERE id = $1", tenant_id)
    found = json.loads(text or "{}")
    return SupportRules(bool(found.get("consent")), str(found.get("role_key") or ""))


async def set_support_rules(tenant_id: UUID, rules: SupportRules, *, actor_id: UUID | None) -> None:
    """Consent taken back ends at once what it had opened."""
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("UPDATE tenant SET support = $2::jsonb WHERE id = $1", tenant_id, json.dumps({"consent": rules.consent, "role_key": rules.role_key}))
        if not rules.consent:
            await conn.execute(
                "UPDATE support_access SET status = 'over', outcome = 'consent', ended_at = now(), session_hash = NULL, ticket_hash = NULL "
                "WHERE tenant_id = $1 AND by_consent AND status IN ('ready', 'open')",
                tenant_id,
            )
        await record_audit(conn, tenant_id, "support.consent_changed", actor_id=actor_id, data={"consent": rules.consent, "role": rules.role_key})


# ---- the operator ----------------------------------------------------------------------------------------------------------


async def ask_support_access(tenant: TenantRow, operator: OperatorInfo, *, mode: str, reason: str, ip: str = "") -> tuple[UUID, bool]:
    """Ask to look into a tenant; returns the id, and whether it may be opened at once. Errors: InvalidInput, Conflict when the operator has
    one waiting or running there."""
    reason = reason.strip()
    problems = [] if mode in MODES else [FieldProblem("mode", "unknown", lazy("Choose what you need."))]
    if not 5 <= len(reason) <= 500:
        problems.append(FieldProblem("reason", "required", lazy("Say why, in 5 to 500 characters: the tenant reads it.")))
    if problems:
        raise InvalidInput(problems)
    access_id = new_id()
    async with system_transaction("operator_console", of=tenant.id) as conn:
        rules = json.loads(await conn.fetchval("SELECT support FROM tenant WHERE id = $1 FOR UPDATE", tenant.id) or "{}")
        if await conn.fetchval(f"SELECT 1 FROM {_FROM} WHERE a.tenant_id = $1 AND a.operator_id = $2 AND {_LIVE}", tenant.id, operator.id):  # noqa: S608  constants
            raise Conflict(lazy("You have asked already, or are looking in: see below."))
        ready = mode == "read" and bool(rules.get("consent"))
        await conn.execute(
            "INSERT INTO support_access (tenant_id, id, operator_id, operator_name, operator_email, mode, reason, by_consent, status, role_key, until) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(hours => $11))",
            tenant.id, access_id, operator.id, operator.name, operator.email, mode, reason, ready, "ready" if ready else "asked", str(rules.get("role_key") or "") if ready else "",
            READY_HOURS if ready else ASKED_DAYS * 24,
        )
        await record_audit(conn, tenant.id, "support.asked", target=str(access_id), ip=ip, data={"operator": operator.email, "mode": mode, "reason": reason, "by_consent": ready})
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, "support.asked", operator_id=operator.id, tenant=tenant.slug, ip=ip, data={"mode": mode, "reason": reason, "by_consent": ready})
    return access_id, ready


async def support_ticket(tenant: TenantRow, operator: OperatorInfo, access_id: UUID, *, ip: str = "") -> str:
    """A one-time token for the tenant's host, good for a minute. For a session that runs already it opens the same hour again: another
    browser, not another hour. Errors: NotFound, Conflict when it is not (or no longer) allowed."""
    ticket = secrets.token_urlsafe(32)
    async with system_transaction("operator_console", of=tenant.id) as conn:
        row = await conn.fetchrow(
            f"SELECT a.status, ({_LIVE}) AS live FROM {_FROM} WHERE a.tenant_id = $1 AND a.id = $2 AND a.operator_id = $3 FOR UPDATE OF a", tenant.id, access_id, operator.id  # noqa: S608
        )
        if row is None:
            raise NotFound()
        if not row["live"] or row["status"] not in ("ready", "open"):
            raise Conflict(lazy("The tenant has not allowed this, or it is over."))
        await conn.execute(
            "UPDATE support_access SET ticket_hash = $3, ticket_until = now() + make_interval(secs => $4) WHERE tenant_id = $1 AND id = $2",
            tenant.id, access_id, hash_token(ticket), TICKET_SECONDS,
        )
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, "support.opened", operator_id=operator.id, tenant=tenant.slug, ip=ip, data={"access": str(access_id)})
    return ticket


async def withdraw_support_access(tenant: TenantRow, operator: OperatorInfo, access_id: UUID, *, ip: str = "") -> None:
    """The operator needs it no more. Errors: NotFound."""
    async with system_transaction("operator_console", of=tenant.id) as conn:
        row = await conn.fetchrow("SELECT status FROM support_access WHERE tenant_id = $1 AND id = $2 AND operator_id = $3 AND status <> 'over' FOR UPDATE", tenant.id, access_id, operator.id)
        if row is None:
            raise NotFound()
        await _end(conn, tenant.id, access_id, "ended" if row["status"] == "open" else "withdrawn", operator.email)
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, "support.ended", operator_id=operator.id, tenant=tenant.slug, ip=ip, data={"access": str(access_id)})


# ---- the tenant ------------------------------------------------------------------------------------------------------------


async def list_support_accesses(tenant_id: UUID, *, limit: int = 50) -> list[dict[str, Any]]:
    """Newest first; `live`: it waits or runs."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT a.*, ({_LIVE}) AS live, u.name AS decided_name FROM {_FROM} LEFT JOIN app_user u ON u.tenant_id = a.tenant_id AND u.id = a.decided_by "  # noqa: S608  constants
            "WHERE a.tenant_id = $1 ORDER BY a.asked_at DESC LIMIT $2",
            tenant_id, limit,
        )
    return [dict(row) for row in rows]


async def decide_support_access(tenant_id: UUID, access_id: UUID, *, approve: bool, actor_id: UUID, role_key: str = "") -> None:
    """An administrator's answer. Errors: NotFound, Conflict when there is nothing to decide any more."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("SELECT status, until > now() AS waits, mode, operator_email FROM support_access WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant_id, access_id)
        if row is None:
            raise NotFound()
        if row["status"] != "asked" or not row["waits"]:
            raise Conflict(lazy("There is nothing to decide here any more."))
        await conn.execute(
            "UPDATE support_access SET status = $3, outcome = $4, decided_by = $5, decided_at = now(), role_key = $6, ended_at = CASE WHEN $3 = 'over' THEN now() END, "
            "until = CASE WHEN $3 = 'ready' THEN now() + make_interval(hours => $7) ELSE until END WHERE tenant_id = $1 AND id = $2",
            tenant_id, access_id, "ready" if approve else "over", "" if approve else "refused", actor_id, role_key, READY_HOURS,
        )
        kind = "support.approved" if approve else "support.refused"
        await record_audit(conn, tenant_id, kind, actor_id=actor_id, target=str(access_id), data={"operator": row["operator_email"], "mode": row["mode"], "role": role_key})


async def end_support_access(tenant_id: UUID, access_id: UUID, *, actor_id: UUID | None) -> None:
    """End it now, or take an approval back; without `actor_id` the operator leaves. Something over already is no error."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("SELECT operator_email FROM support_access WHERE tenant_id = $1 AND id = $2 AND status <> 'over' FOR UPDATE", tenant_id, access_id)
        if row is not None:
            await _end(conn, tenant_id, access_id, "ended_by_tenant" if actor_id else "ended", row["operator_email"], actor_id)


async def _end(conn: Any, tenant_id: UUID, access_id: UUID, outcome: str, operator: str, actor_id: UUID | None = None) -> None:
    await conn.execute(
        "UPDATE support_access SET status = 'over', outcome = $3, ended_at = now(), session_hash = NULL, ticket_hash = NULL WHERE tenant_id = $1 AND id = $2", tenant_id, access_id, outcome
    )
    await record_audit(conn, tenant_id, "support.ended", actor_id=actor_id, target=str(access_id), data={"operator": operator})


async def list_looks(tenant_id: UUID, access: Mapping[str, Any], *, before: UUID | None = None, limit: int = 200) -> list[dict[str, Any]]:
    """What one access opened and sent, newest first: lines of the audit log. `before`: the id of the last one seen."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT id, at, kind, target, ip FROM audit_event WHERE tenant_id = $1 AND kind IN ('support.viewed', 'support.acted') AND at BETWEEN $3 AND $4 "
            "AND (data ->> 'access' = $2 OR (NOT data ? 'access' AND data ->> 'operator' = $5)) AND ($6::uuid IS NULL OR id < $6) ORDER BY id DESC LIMIT $7",
            tenant_id, str(access["id"]), access["opened_at"], access["ended_at"] or access["until"], access["operator_email"], before, limit,
        )
    return [dict(row) for row in rows]


async def support_names(conn: Any, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What records' histories call those who were no people of the tenant's."""
    rows = await conn.fetch("SELECT id, operator_name FROM support_access WHERE tenant_id = $1 AND id = ANY($2::uuid[])", tenant_id, list(ids)) if ids else []
    return {row["id"]: _("Support: %(name)s", name=row["operator_name"]) for row in rows}


def is_support(token: str | None) -> bool:
    """Whether this is a token of such a session, not a person's."""
    return token is not None and token.startswith(PREFIX)


# ---- the session -----------------------------------------------------------------------------------------------------------


async def open_support_session(tenant_id: UUID, ticket: str, *, ip: str = "") -> tuple[str, datetime] | None:
    """Use a ticket up on its tenant's host; returns (token, end). None for one that is unknown, used, too old, or another tenant's."""
    token = PREFIX + secrets.token_urlsafe(32)
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            "UPDATE support_access a SET ticket_hash = NULL, session_hash = $3, csrf_secret = $4, status = 'open', opened_at = coalesce(a.opened_at, now()), "  # noqa: S608  constants
            "until = CASE WHEN a.status = 'open' THEN a.until ELSE now() + make_interval(mins => $5) END "
            f"FROM tenant t WHERE t.id = a.tenant_id AND a.tenant_id = $1 AND a.ticket_hash = $2 AND a.ticket_until > now() AND a.status IN ('ready', 'open') AND {_LIVE} "
            "RETURNING a.id, a.until, a.operator_email, a.mode",
            tenant_id, hash_token(ticket), hash_token(token), secrets.token_urlsafe(24), MINUTES,
        )
        if row is None:
            return None
        await record_audit(conn, tenant_id, "support.opened", target=str(row["id"]), ip=ip, data={"operator": row["operator_email"], "mode": row["mode"]})
    return token, row["until"]


async def find_support_session(tenant_id: UUID, token: str, *, method: str, path: str, ip: str = "", request_id: str = "") -> SessionInfo | None:
    """Who holds this token, while it holds; the look is noted in the tenant's audit log first. None once the hour, the approval, the consent
    or the operator's account is over. Not inside a transaction."""
    if not token.startswith(PREFIX):
        return None
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            f"SELECT a.id, a.operator_id, a.operator_name, a.operator_email, a.mode, a.role_key, a.until, a.csrf_secret FROM {_FROM} "  # noqa: S608  constants
            f"WHERE a.tenant_id = $1 AND a.session_hash = $2 AND a.status = 'open' AND {_LIVE}",
            tenant_id, hash_token(token),
        )
    if row is None or not await _may_still(row["operator_id"], row["mode"]):
        return None
    async with tenant_transaction(tenant_id) as conn:
        kind = "support.viewed" if method in ("GET", "HEAD", "OPTIONS") else "support.acted"
        await record_audit(conn, tenant_id, kind, target=path[:300], ip=ip, request_id=request_id, data={"operator": row["operator_email"], "method": method, "access": str(row["id"])})
    support = Support(row["id"], row["operator_id"], row["operator_name"], row["mode"], row["until"])
    person = UserRow(
        id=row["id"], name=_("Support: %(name)s", name=row["operator_name"]), email=row["operator_email"], locale=None, title="", superior_id=None, must_change_password=False,
        role_keys=(row["role_key"],) if row["role_key"] else (), department_id=None, department_ids=(), department_tree_ids=(), team_ids=(),
    )  # fmt: skip
    return SessionInfo(row["id"], "support", row["csrf_secret"], row["until"], person, await get_tenant(tenant_id), support=support)


async def _may_still(operator_id: UUID, mode: str) -> bool:
    async with system_transaction("operator_console") as conn:
        role = await conn.fetchval("SELECT role FROM operator_account WHERE id = $1 AND status = 'active'", operator_id)
    return role == "full" or (role is not None and mode == "read")
