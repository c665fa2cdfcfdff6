"""Sessions of web and API. The database knows only hashes of tokens."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import is_frozen, session_known, tenant_transaction
from saas.observe.seen import somebody
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.rules import rules_of, security_rules
from saas.tenants.tenants import TenantRow, tenant_row

LIFETIME = {"web": timedelta(days=14), "api": timedelta(days=90)}
_IDLE_DAYS = 7  # for web sessions
_TOUCH_MINUTES = 5


@dataclass(frozen=True, slots=True)
class UserRow:
    """A person as a session needs it. `department_tree_ids` are the own departments with all below them; `team_ids` the
    active people whose superior this one is."""

    id: UUID
    name: str
    email: str
    locale: str | None
    title: str
    superior_id: UUID | None
    must_change_password: bool
    role_keys: tuple[str, ...]
    department_id: UUID | None
    department_ids: tuple[UUID, ...]
    department_tree_ids: tuple[UUID, ...]
    team_ids: tuple[UUID, ...]
    has_second_factor: bool = False
    needs_second_factor: bool = False  # by the tenant's rules


@dataclass(frozen=True, slots=True)
class KeyScope:
    """What an API key may do of what its person may. `scopes`: read, write (with read), config; `entities` None: all."""

    scopes: frozenset[str]
    entities: frozenset[str] | None = None

    def reaches(self, entity: str) -> bool:
        return self.entities is None or entity in self.entities


@dataclass(frozen=True, slots=True)
class Support:
    """An operator who looks in (saas.tenants.support): nobody of the tenant's, without a seat. `mode`: read, write. `until` never moves."""

    access_id: UUID
    operator_id: UUID
    operator: str
    mode: str
    until: datetime

    @property
    def may_write(self) -> bool:
        return self.mode == "write"


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Everything a request needs to know about who asks. `view_as`: whose eyes the pages are seen through, {"roles", "user_id", "draft"}.
    `key`: the limits of an API key (kind "key"); `web` and `api` sessions have none. `support`: those of an operator (kind "support")."""

    id: UUID
    kind: str
    csrf_secret: str
    expires_at: datetime
    user: UserRow
    tenant: TenantRow
    view_as: Mapping[str, Any] | None = None
    key: KeyScope | None = None
    support: Support | None = None
    has_read_notices: bool = True  # those that a role wants confirmed after signing in

    @property
    def config_revision(self) -> int:
        return self.tenant.config_revision


async def open_session(
    tenant_id: UUID, user_id: UUID, kind: str = "web", ip: str = "", user_agent: str = ""
) -> tuple[str, str, datetime]:
    """Start a session; returns (token, csrf, expires_at). The token is shown this once and stored as a hash."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    expires_at = datetime.now(UTC) + LIFETIME[kind]
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "INSERT INTO session (tenant_id, id, token_hash, user_id, kind, csrf_secret, expires_at, ip, user_agent) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            tenant_id, new_id(), hash_token(token), user_id, kind, csrf, expires_at, ip[:64], user_agent[:300],
        )
    return token, csrf, expires_at


_PERSON = """
u.id AS user_id, u.name AS user_name, u.email, u.locale AS user_locale, u.title, u.superior_id,
u.must_change_password OR coalesce(u.password_hash <> ''
    AND u.password_changed_at < now() - make_interval(days => (t.security ->> 'maximum_days')::int), false) AS must_change_password,
EXISTS(SELECT 1 FROM second_factor f WHERE f.tenant_id = u.tenant_id AND f.user_id = u.id) AS has_second_factor, t.security,
ARRAY(SELECT r.role_key FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id ORDER BY 1) AS role_keys,
ARRAY(SELECT d.department_id FROM user_department d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id
      ORDER BY d.is_primary DESC, d.department_id) AS department_ids,
ARRAY(WITH RECURSIVE below AS (
        SELECT d.department_id AS id FROM user_department d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id
        UNION SELECT c.id FROM department c JOIN below b ON c.parent_id = b.id WHERE c.tenant_id = u.tenant_id
      ) SELECT id FROM below) AS department_tree_ids,
ARRAY(SELECT m.id FROM app_user m WHERE m.tenant_id = u.tenant_id AND m.superior_id = u.id AND m.status = 'active') AS team_ids,
t.id AS tenant_id, t.slug AS tenant_slug, t.name AS tenant_name, t.locale AS tenant_locale, t.time_zone AS tenant_time_zone,
t.currency AS tenant_currency, t.country AS tenant_country, t.status AS tenant_status, t.plan_key AS tenant_plan_key,
t.pack_key AS tenant_pack_key, t.brand AS tenant_brand, t.clock_offset_seconds AS tenant_clock_offset_seconds,
t.limit_overrides AS tenant_limit_overrides, t.paid_limits AS tenant_paid_limits, t.trial_ends_at AS tenant_trial_ends_at, t.config_revision AS tenant_config_revision,
t.created_at AS tenant_created_at, t.domain AS tenant_domain, t.domain_redirects AS tenant_domain_redirects, t.delete_after AS tenant_delete_after, t.status_reason AS tenant_status_reason, t.status_cause AS tenant_status_cause, t.features AS tenant_features
"""
# One statement for a request's whole "who"; a visit is noted at most every few minutes.
_VISIT = "UPDATE session SET last_seen_at = now() WHERE tenant_id = $1 AND id = $2"
_WHO = f"""
SELECT s.id, s.kind, s.via, s.csrf_secret, s.expires_at, s.view_as, s.notices_read_at IS NOT NULL AS has_read_notices, s.writes, s.scopes, s.entities, s.last_seen_at < now() - interval '{_TOUCH_MINUTES} minutes' AS is_new_visit, {_PERSON}
FROM session s
JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
JOIN tenant t ON t.id = s.tenant_id
WHERE s.tenant_id = $1 AND s.token_hash = $2 AND s.revoked_at IS NULL AND s.expires_at > now()
AND (s.kind <> 'web' OR s.last_seen_at > now() - interval '{_IDLE_DAYS} days') AND u.status = 'active'
"""  # noqa: S608  constants of this file

async def find_session(tenant_id: UUID, token: str, *, leave_open: bool = False) -> SessionInfo | None:
    """Who holds this token, with roles, departments, team and tenant, in one query. None if it is unknown, expired,
    revoked, another tenant's, or its person is no longer active. `leave_open`: the request is all there, its work goes on in the
    same transaction."""
    async with tenant_transaction(tenant_id, leave_open=leave_open) as conn:
        row = await conn.fetchrow(_WHO, tenant_id, hash_token(token))
        frozen = is_frozen()
    if row is None:
        return None
    somebody(row["user_id"])
    if row["is_new_visit"] and not frozen:
        async with tenant_transaction(tenant_id) as conn:  # ended at once: other requests of this session wait for its row
            await conn.execute(_VISIT, tenant_id, row["id"])
    session_known(tenant_id, row["id"], row["writes"])
    return SessionInfo(
        row["id"], row["kind"], row["csrf_secret"], row["expires_at"], _user(row), tenant_row(row, "tenant_"),
        json.loads(row["view_as"]) if row["view_as"] and row["kind"] == "web" else None, _key(row),
        has_read_notices=row["has_read_notices"],
    )


async def remember_device(tenant_id: UUID, user_id: UUID, ip: str = "", user_agent: str = "") -> tuple[str, int] | None:
    """Let this device sign the person in again without a password: (token, days), or None where the company wants none of it. The token
    opens nothing itself (`saas.tenants.auth.sign_in_by_device`), and ends with the person's password, account or sessions."""
    token = secrets.token_urlsafe(32)
    async with tenant_transaction(tenant_id) as conn:
        days = (await security_rules(conn, tenant_id)).remember_days
        if days is None:
            return None
        await conn.execute(
            "INSERT INTO session (tenant_id, id, token_hash, user_id, kind, csrf_secret, expires_at, ip, user_agent) VALUES ($1, $2, $3, $4, 'device', '', now() + make_interval(days => $5), $6, $7)",
            tenant_id, new_id(), hash_token(token), user_id, days, ip[:64], user_agent[:300],
        )  # fmt: skip
    return token, days


DEVICE = (
    "SELECT s.id, s.user_id, u.name, u.email, s.expires_at FROM session s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id "
    "WHERE s.tenant_id = $1 AND s.token_hash = $2 AND s.kind = 'device' AND s.revoked_at IS NULL AND s.expires_at > now() AND u.status = 'active' AND u.password_hash <> ''"
)


async def remembered(tenant_id: UUID, token: str) -> str | None:
    """The name of whom a device signs in again; None where it does not any more."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(DEVICE, tenant_id, hash_token(token))
        return row["name"] if row is not None and (await security_rules(conn, tenant_id)).remember_days is not None else None


async def load_user(tenant_id: UUID, user_id: UUID) -> tuple[UserRow, TenantRow] | None:
    """The same knowledge without a session: for jobs and commands that act for somebody."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            f"SELECT {_PERSON} FROM app_user u JOIN tenant t ON t.id = u.tenant_id "  # noqa: S608  constants of this file
            "WHERE u.tenant_id = $1 AND u.id = $2",
            tenant_id, user_id,
        )
    return (_user(row), tenant_row(row, "tenant_")) if row else None


async def note_notices_read(tenant_id: UUID, session_id: UUID) -> None:
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("UPDATE session SET notices_read_at = now() WHERE tenant_id = $1 AND id = $2", tenant_id, session_id)


async def set_view_as(tenant_id: UUID, session_id: UUID, view_as: Mapping[str, Any] | None) -> None:
    """Let the pages of a web session be seen through somebody's eyes; None: one's own again."""
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "UPDATE session SET view_as = $3::jsonb WHERE tenant_id = $1 AND id = $2 AND kind = 'web'",
            tenant_id, session_id, None if view_as is None else json.dumps(view_as),
        )


async def close_session(tenant_id: UUID, token: str) -> None:
    """End a session; an unknown token is no error."""
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND token_hash = $2 AND revoked_at IS NULL",
            tenant_id, hash_token(token),
        )


async def list_sessions(tenant_id: UUID, user_id: UUID) -> list[dict[str, Any]]:
    """A person's sessions that still work, last used first."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT id, kind, created_at, expires_at, last_seen_at, ip, user_agent FROM session "
            "WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now() AND kind <> 'key' "
            "AND (kind <> 'web' OR last_seen_at > now() - make_interval(days => $3)) ORDER BY last_seen_at DESC",
            tenant_id, user_id, _IDLE_DAYS,
        )
    return [dict(row) for row in rows]


async def revoke_session(tenant_id: UUID, user_id: UUID, session_id: UUID) -> None:
    """End one of a person's sessions by its id; one that is over, or somebody else's, is no error."""
    await _revoke(tenant_id, user_id, "id = $3", session_id)


async def revoke_other_sessions(tenant_id: UUID, user_id: UUID, keep: UUID) -> int:
    """End all of a person's sessions but one; API keys stay. Returns how many ended."""
    return await _revoke(tenant_id, user_id, "id <> $3", keep)


async def _revoke(tenant_id: UUID, user_id: UUID, condition: str, session_id: UUID) -> int:
    async with tenant_transaction(tenant_id) as conn:
        ended = await conn.fetch(
            "UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL "  # noqa: S608  conditions of this file
            f"AND kind <> 'key' AND {condition} RETURNING id",
            tenant_id, user_id, session_id,
        )
        if ended:
            await record_audit(conn, tenant_id, "session.ended", actor_id=user_id, target=str(user_id), data={"count": len(ended)})
    return len(ended)


def hash_token(token: str) -> bytes:
    """Tokens are random and long, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


def _user(row: Any) -> UserRow:
    departments = tuple(row["department_ids"])
    # Who came by single sign-on has shown there what their company asks for: neither their password here nor a code counts (docs/sso.md).
    by_sso = row.get("via") == "sso"
    return UserRow(
        id=row["user_id"],
        name=row["user_name"],
        email=row["email"],
        locale=row["user_locale"],
        title=row["title"],
        superior_id=row["superior_id"],
        must_change_password=row["must_change_password"] and not by_sso,
        role_keys=tuple(row["role_keys"]),
        department_id=departments[0] if departments else None,
        department_ids=departments,
        department_tree_ids=tuple(row["department_tree_ids"]),
        team_ids=tuple(row["team_ids"]),
        has_second_factor=row["has_second_factor"],
        needs_second_factor=not by_sso and rules_of(row["security"]).needs_second_factor(row["role_keys"]),
    )


def _key(row: Any) -> KeyScope | None:
    if row["kind"] != "key":
        return None
    return KeyScope(frozenset(row["scopes"]), None if row["entities"] is None else frozenset(row["entities"]))
