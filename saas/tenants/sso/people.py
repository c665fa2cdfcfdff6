"""Who of the tenant's people an identity is: found by its subject, else once by a verified address, else made anew if that is wanted.

After the first time only the subject counts. An address that is changed at the provider opens nobody else's account, and an account
that has a subject is opened by no other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import InvalidInput, NotFound, PlanLimitReached
from saas.tenants.audit import record_audit
from saas.tenants.sealing import CannotUnseal, seal, unseal
from saas.tenants.sessions import hash_token, open_session
from saas.tenants.sso.flow import Identity
from saas.tenants.sso.provider import SignInRefused
from saas.tenants.sso.store import SingleSignOn, is_emergency
from saas.tenants.users import insert_user

_HINT = "id token"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sign-in would do: "known" (bound already), "link" (found by address), "create". `user_name` of the first two."""

    kind: str
    user_id: UUID | None = None
    user_name: str = ""


async def what_would_happen(tenant_id: UUID, single: SingleSignOn, identity: Identity) -> Verdict:
    """Without changing anything. Errors: SignInRefused."""
    async with tenant_transaction(tenant_id) as conn:
        return await _judge(conn, tenant_id, single, identity)


async def _judge(conn: Any, tenant_id: UUID, single: SingleSignOn, identity: Identity) -> Verdict:
    row = await conn.fetchrow(
        "SELECT u.id, u.name, u.status FROM sso_subject s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id WHERE s.tenant_id = $1 AND s.issuer = $2 AND s.subject = $3",
        tenant_id, identity.issuer, identity.subject,
    )  # fmt: skip
    if row is not None:
        if row["status"] != "active":
            raise SignInRefused(reason="inactive")
        return Verdict("known", row["id"], row["name"])
    if not identity.email or identity.email.count("@") != 1:
        raise SignInRefused(reason="email", detail=identity.said_email)
    if identity.email.partition("@")[2] not in single.email_domains:
        raise SignInRefused(reason="domain", detail=identity.email)
    row = await conn.fetchrow(
        "SELECT u.id, u.name, u.status, EXISTS (SELECT 1 FROM sso_subject s WHERE s.tenant_id = u.tenant_id AND s.issuer = $3 AND s.user_id = u.id) AS bound "
        "FROM app_user u WHERE u.tenant_id = $1 AND u.email = $2",
        tenant_id, identity.email, identity.issuer,
    )  # fmt: skip
    if row is None:
        if not single.creates:
            raise SignInRefused(reason="unknown", detail=identity.email)
        return Verdict("create")
    if row["status"] != "active":
        raise SignInRefused(reason="inactive", detail=identity.email)
    if row["bound"]:
        raise SignInRefused(reason="bound", detail=identity.email)
    return Verdict("link", row["id"], row["name"])


async def sign_in(tenant_id: UUID, single: SingleSignOn, identity: Identity, *, role_keys: Sequence[str], managed: Sequence[str], admin_keys: Sequence[str] = (), locale: str | None, ip: str = "") -> UUID:
    """The person's id; made, bound, their roles set, as needed. `role_keys`: what the claim's values stand for; `managed`: roles that the
    claim decides about, so that others stay; `admin_keys`: those that administer, which the last one keeps. Errors: SignInRefused."""
    try:
        async with tenant_transaction(tenant_id) as conn:
            # One first sign-in after another: two at once must not bind one person twice, or make two.
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('sso:' || $1::text, 0))", str(tenant_id))
            verdict = await _judge(conn, tenant_id, single, identity)
            user_id = verdict.user_id
            if user_id is None:
                roles = list(role_keys) or [single.default_role]
                user_id = await insert_user(conn, tenant_id, identity.email, "", name=identity.name or identity.email.partition("@")[0], role_keys=roles, locale=locale)
                await record_audit(conn, tenant_id, "user.created", actor_id=user_id, target=str(user_id), data={"roles": roles, "by": "sso"})
            elif managed:
                kept = await _kept(conn, tenant_id, user_id, set(admin_keys) & set(managed))
                await _set_roles(conn, tenant_id, user_id, set(role_keys), set(managed) - kept, single.default_role)
            if verdict.kind == "known":
                await conn.execute("UPDATE sso_subject SET last_used_at = now() WHERE tenant_id = $1 AND issuer = $2 AND subject = $3", tenant_id, identity.issuer, identity.subject)
            else:
                await conn.execute(
                    "INSERT INTO sso_subject (tenant_id, issuer, subject, user_id, email) VALUES ($1, $2, $3, $4, $5)",
                    tenant_id, identity.issuer, identity.subject, user_id, identity.email,
                )  # fmt: skip
                await record_audit(conn, tenant_id, "sso.linked", actor_id=user_id, target=str(user_id), data={"email": identity.email})
            await conn.execute("UPDATE app_user SET failed_count = 0, locked_until = NULL, last_login_at = now() WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
            await record_audit(conn, tenant_id, "sign_in.succeeded", actor_id=user_id, ip=ip, data={"way": "sso"})
    except PlanLimitReached as error:
        raise SignInRefused(reason="seats", detail=identity.email) from error
    except InvalidInput as error:
        raise SignInRefused(reason="email", detail=identity.said_email) from error
    return user_id


async def _kept(conn: Any, tenant_id: UUID, user_id: UUID, admin_keys: set[str]) -> set[str]:
    """Administrators' roles that no claim takes: of the last one who has it, and of the one kept for emergencies."""
    if not admin_keys:
        return set()
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('administrators:' || $1::text, 0))", str(tenant_id))  # as saas.runtime.succession
    if await is_emergency(conn, tenant_id, user_id):
        return admin_keys
    rows = await conn.fetch(
        "SELECT DISTINCT r.role_key FROM user_role r JOIN app_user u ON u.tenant_id = r.tenant_id AND u.id = r.user_id "
        "WHERE r.tenant_id = $1 AND u.status = 'active' AND u.id <> $2 AND r.role_key = ANY($3::text[])",
        tenant_id, user_id, sorted(admin_keys),
    )  # fmt: skip
    return admin_keys - {row["role_key"] for row in rows}


async def _set_roles(conn: Any, tenant_id: UUID, user_id: UUID, wanted: set[str], managed: set[str], default_role: str) -> None:
    """Roles that the provider decides about are given and taken; who would be left with none has the default role."""
    rows = await conn.fetch("SELECT role_key FROM user_role WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
    has = {row["role_key"] for row in rows}
    after = (has - managed) | wanted
    if not after:
        after = {default_role} if default_role else has
    if after == has:
        return
    await conn.execute("DELETE FROM user_role WHERE tenant_id = $1 AND user_id = $2 AND role_key <> ALL($3::text[])", tenant_id, user_id, sorted(after))
    await conn.execute("INSERT INTO user_role (tenant_id, user_id, role_key) SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING", tenant_id, user_id, sorted(after))
    await record_audit(conn, tenant_id, "user.changed", actor_id=None, target=str(user_id), data={"changed": ["role_keys"], "roles": sorted(after), "by": "sso"})


# ---- sessions ------------------------------------------------------------------------------------------------------------


async def open_sso_session(tenant_id: UUID, user_id: UUID, id_token: str, ip: str = "", user_agent: str = "") -> str:
    """A new session, whatever the browser had before; returns its token. The ID token is kept, sealed, for signing out there."""
    token, _csrf, _expires = await open_session(tenant_id, user_id, "web", ip, user_agent)
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "UPDATE session SET via = 'sso', sso = $3 WHERE tenant_id = $1 AND token_hash = $2", tenant_id, hash_token(token), seal(_HINT, id_token, tenant_id) if id_token else None
        )
    return token


async def load_hint(tenant_id: UUID, token: str) -> str | None:
    """The ID token behind a session that came by single sign-on ("" when it was too long to keep), None for other sessions."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("SELECT via, sso FROM session WHERE tenant_id = $1 AND token_hash = $2", tenant_id, hash_token(token))
    if row is None or row["via"] != "sso":
        return None
    try:
        return unseal(_HINT, row["sso"], tenant_id) if row["sso"] else ""
    except CannotUnseal:
        return ""


# ---- bound people --------------------------------------------------------------------------------------------------------


async def list_subjects(tenant_id: UUID) -> list[dict[str, Any]]:
    """People who have come by single sign-on, last ones first."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT u.id AS user_id, u.name, u.email, s.subject, s.email AS first_email, s.last_used_at FROM sso_subject s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id "
            "WHERE s.tenant_id = $1 ORDER BY s.last_used_at DESC LIMIT 500",
            tenant_id,
        )  # fmt: skip
    return [dict(row) for row in rows]


async def forget_subject(tenant_id: UUID, user_id: UUID, *, actor_id: UUID | None) -> None:
    """Somebody has another identity at the provider now: the next one with their verified address is bound. Their sessions that came by
    single sign-on end. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        if not await conn.fetch("DELETE FROM sso_subject WHERE tenant_id = $1 AND user_id = $2 RETURNING true", tenant_id, user_id):
            raise NotFound()
        await conn.execute("UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND via = 'sso' AND revoked_at IS NULL", tenant_id, user_id)
        await record_audit(conn, tenant_id, "sso.unlinked", actor_id=actor_id, target=str(user_id))
