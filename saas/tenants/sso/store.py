"""What a tenant has set up: its provider, who may come, and what they get. The secret is sealed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.db import current_database, tenant_transaction
from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.outbound import OutboundFailed, check_url
from saas.tenants.audit import record_audit
from saas.tenants.sealing import CannotUnseal, seal, unseal

MODES = ("off", "on", "required")
_PURPOSE = "single sign-on"
_DOMAIN = re.compile(r"(?=.{1,190}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+\Z")
_CLAIM = re.compile(r"[A-Za-z0-9_.:/-]{0,200}\Z")
MOST_DOMAINS, MOST_MAPPED = 50, 100


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """`role_map`: ((value of the claim, role key), …). `emergency_user_id`: who may use a password although it is required.
    `client_secret` is empty for a public client."""

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    mode: str = "off"
    label: str = ""
    email_domains: tuple[str, ...] = ()
    creates: bool = False
    default_role: str = ""
    role_claim: str = ""
    role_map: tuple[tuple[str, str], ...] = ()
    emergency_user_id: UUID | None = None

    @property
    def is_on(self) -> bool:
        return self.mode != "off"

    def to_json(self) -> dict[str, Any]:
        """For the audit log: no secret."""
        return {
            "mode": self.mode, "issuer": self.issuer, "client_id": self.client_id, "email_domains": list(self.email_domains), "creates": self.creates, "default_role": self.default_role,
            "role_claim": self.role_claim, "role_map": [f"{value} → {role}" for value, role in self.role_map],
        }  # fmt: skip


async def get_single_sign_on(tenant_id: UUID) -> SingleSignOn | None:
    """None where nothing is set up. A secret sealed under another SAAS_SECRET_KEY is empty: it has to be entered again."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("SELECT * FROM sso_provider WHERE tenant_id = $1", tenant_id)
    return _read(row) if row else None


def _read(row: Mapping[str, Any]) -> SingleSignOn:
    try:
        secret = unseal(_PURPOSE, row["client_secret"], row["tenant_id"]) if row["client_secret"] else ""
    except CannotUnseal:
        secret = ""
    return SingleSignOn(
        row["issuer"], row["client_id"], secret, row["mode"], row["label"], tuple(row["email_domains"]), row["creates"], row["default_role"], row["role_claim"],
        tuple((str(value), str(role)) for value, role in json.loads(row["role_map"])), row["emergency_user_id"],
    )  # fmt: skip


async def set_single_sign_on(tenant_id: UUID, given: SingleSignOn, *, actor_id: UUID | None = None) -> None:
    """Errors: InvalidInput, all problems at once."""
    problems = check(given)
    async with tenant_transaction(tenant_id) as conn:
        if given.mode == "required":
            problems += await _check_emergency(conn, tenant_id, given.emergency_user_id)
        if problems:
            raise InvalidInput(problems)
        row = await conn.fetchrow("SELECT * FROM sso_provider WHERE tenant_id = $1 FOR UPDATE", tenant_id)
        before = _read(row) if row else None
        await conn.execute(
            "INSERT INTO sso_provider (tenant_id, mode, label, issuer, client_id, client_secret, email_domains, creates, default_role, role_claim, role_map, emergency_user_id) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12) ON CONFLICT (tenant_id) DO UPDATE SET mode = $2, label = $3, issuer = $4, client_id = $5, "
            "client_secret = $6, email_domains = $7, creates = $8, default_role = $9, role_claim = $10, role_map = $11::jsonb, emergency_user_id = $12, updated_at = now()",
            tenant_id, given.mode, given.label, given.issuer, given.client_id, seal(_PURPOSE, given.client_secret, tenant_id) if given.client_secret else None,
            list(given.email_domains), given.creates, given.default_role, given.role_claim, json.dumps(given.role_map), given.emergency_user_id,
        )  # fmt: skip
        old, new = before.to_json() if before else {}, given.to_json()
        data = {key: value for key, value in new.items() if old.get(key) != value}
        if before is None or before.client_secret != given.client_secret:
            data["secret"] = True
        await record_audit(conn, tenant_id, "sso.changed", actor_id=actor_id, data=data)


def check(given: SingleSignOn) -> list[FieldProblem]:
    """What can be seen without asking anybody."""
    problems = []
    settings = current_database().settings
    try:
        url = check_url(given.issuer, settings)
        if url.query or url.fragment or "?" in given.issuer or "#" in given.issuer:
            problems.append(FieldProblem("issuer", "invalid", lazy("The issuer's address has no part behind “?” or “#”.")))
    except OutboundFailed as error:
        problems.append(FieldProblem("issuer", "invalid", error.message))
    if not given.client_id or len(given.client_id) > 300:
        problems.append(FieldProblem("client_id", "required", lazy("Please enter the client id that the provider gave you.")))
    if len(given.client_secret) > 1000:
        problems.append(FieldProblem("client_secret", "too_long", lazy("Use at most %(count)s characters", count=1000)))
    if not given.email_domains:
        problems.append(FieldProblem("email_domains", "required", lazy("Name at least one e-mail domain of your people.")))
    wrong = next((name for name in given.email_domains if not _DOMAIN.match(name)), None)
    if wrong is not None or len(given.email_domains) > MOST_DOMAINS:
        problems.append(FieldProblem("email_domains", "invalid", lazy("“%(name)s” is no e-mail domain such as example.com.", name=wrong or "")))
    if given.creates and not given.default_role:
        problems.append(FieldProblem("default_role", "required", lazy("Choose the role of people who come for the first time.")))
    if not _CLAIM.match(given.role_claim) or (given.role_map and not given.role_claim):
        problems.append(FieldProblem("role_claim", "required", lazy("Name the claim whose values stand for roles, such as groups.")))
    if len(given.role_map) > MOST_MAPPED or any(not value or len(value) > 300 for value, _role in given.role_map):
        problems.append(FieldProblem("role_map", "invalid", lazy("Each line needs a value and a role.")))
    if len(given.label) > 60:
        problems.append(FieldProblem("label", "too_long", lazy("Use at most %(count)s characters", count=60)))
    if given.mode not in MODES:
        problems.append(FieldProblem("mode", "unknown", lazy("Unknown status")))
    return problems


async def _check_emergency(conn: Any, tenant_id: UUID, user_id: UUID | None) -> list[FieldProblem]:
    can_sign_in = user_id and await conn.fetchval("SELECT password_hash <> '' FROM app_user WHERE tenant_id = $1 AND id = $2 AND status = 'active'", tenant_id, user_id)
    return [] if can_sign_in else [FieldProblem("emergency", "required", lazy("Choose an administrator with a password, who can still come in when the provider cannot be reached."))]


async def password_opens(conn: Any, tenant_id: UUID, user_id: UUID) -> bool:
    """Whether this person's password signs them in: not where single sign-on is required, but for the one kept for emergencies."""
    return not await conn.fetchval("SELECT mode = 'required' AND emergency_user_id IS DISTINCT FROM $2 FROM sso_provider WHERE tenant_id = $1", tenant_id, user_id)


async def is_emergency(conn: Any, tenant_id: UUID, user_id: UUID) -> bool:
    """Whether this is the one who can still come in by password while single sign-on is required."""
    return bool(await conn.fetchval("SELECT mode = 'required' AND emergency_user_id = $2 FROM sso_provider WHERE tenant_id = $1", tenant_id, user_id))


async def end_password_sessions(tenant_id: UUID, *, keep: UUID, actor_id: UUID | None) -> int:
    """Sessions and tokens that a password opened end, when passwords open nothing any more. API keys stay, and the session `keep`."""
    async with tenant_transaction(tenant_id) as conn:
        ended = await conn.fetch(
            "UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND via = 'password' AND kind <> 'key' AND revoked_at IS NULL AND expires_at > now() AND id <> $2 "
            "AND user_id IS DISTINCT FROM (SELECT emergency_user_id FROM sso_provider WHERE tenant_id = $1) RETURNING id",
            tenant_id, keep,
        )  # fmt: skip
        if ended:
            await record_audit(conn, tenant_id, "session.ended", actor_id=actor_id, data={"count": len(ended)})
    return len(ended)
