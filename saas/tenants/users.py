"""People of a tenant: making, changing, listing them, their roles and departments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import LOCALES, lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.limits import is_outside, require_seat
from saas.tenants.passwords import hash_password
from saas.tenants.rules import security_rules

_EMAIL = re.compile(r"^[^@\s]{1,64}@[^@\s]{1,190}$")
_LOGIN = re.compile(r"^[^\W_][\w.+-]{1,63}$")
_CHANGEABLE = ("name", "locale", "status", "superior_id", "title", "phone", "successor_id", "must_change_password", "told_by")


def clean_login(text: str) -> str:
    """What somebody outside signs in with: an e-mail address, or a name of letters, digits and `. _ + -`. Errors: InvalidInput."""
    text = text.strip().lower()
    if not (_EMAIL.match(text) or _LOGIN.match(text)):
        raise InvalidInput([FieldProblem("login", "invalid", lazy("Use 2 to 64 letters, digits, dots, hyphens or underlines, without spaces, or an e-mail address"))])
    return text


def clean_email(email: str) -> str:
    email = email.strip().lower()
    if not _EMAIL.match(email):
        raise InvalidInput([FieldProblem("email", "invalid", lazy("Please give a valid e-mail address"))])
    return email


async def create_user(
    tenant_id: UUID,
    email: str,
    password: str,
    name: str,
    role_keys: Sequence[str],
    department_key: str | None = None,
    locale: str | None = None,
    superior_id: UUID | None = None,
    title: str = "",
    *,
    phone: str = "",
    must_change_password: bool = False,
    actor_id: UUID | None = None,
    sample_key: str | None = None,
) -> UUID:
    """Add a person; one with a `sample_key` comes with a pack's sample data. Errors: InvalidInput (address, password, unknown department),
    Conflict (address taken here), PlanLimitReached."""
    async with tenant_transaction(tenant_id) as conn:
        user_id = await insert_user(
            conn, tenant_id, email, password, name=name, role_keys=role_keys, department_key=department_key, locale=locale,
            superior_id=superior_id, title=title, phone=phone, must_change_password=must_change_password, sample_key=sample_key,
        )
        await record_audit(
            conn, tenant_id, "user.created", actor_id=actor_id, target=str(user_id), data={"roles": list(role_keys)}
        )
    return user_id


async def insert_user(
    conn: Any,
    tenant_id: UUID,
    email: str,
    password: str,
    *,
    name: str,
    role_keys: Sequence[str],
    department_key: str | None = None,
    locale: str | None = None,
    superior_id: UUID | None = None,
    title: str = "",
    phone: str = "",
    must_change_password: bool = False,
    sample_key: str | None = None,
    takes_seat: bool = True,
    is_login: bool = False,
) -> UUID:
    """`create_user` within a transaction that is open. An empty password makes a person who cannot sign in. `takes_seat=False`: for
    somebody who is gone again when the transaction ends; sample people who cannot sign in take none either. `is_login`: `email` may be a login name as well, of somebody who gets no mail."""
    email = clean_login(email) if is_login else clean_email(email)
    if password:
        (await security_rules(conn, tenant_id)).check_password(password, name=name, email=email)
    _check(name=name, locale=locale)
    if takes_seat and not (sample_key and not password):
        await require_seat(conn, tenant_id, role_keys)
    user_id = new_id()
    try:
        async with conn.transaction():
            await conn.execute(
                "INSERT INTO app_user (tenant_id, id, email, name, password_hash, locale, superior_id, title, phone, "
                "must_change_password, sample_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                tenant_id, user_id, email, name.strip(), await hash_password(password) if password else "", locale,
                superior_id, title, phone, must_change_password, sample_key,
            )
    except asyncpg.UniqueViolationError as error:
        raise Conflict(lazy("Somebody signs in with this name already") if is_login else lazy("Somebody with this e-mail address exists already")) from error
    await _put_roles(conn, tenant_id, user_id, role_keys)
    if department_key:
        department_id = await conn.fetchval(
            "SELECT id FROM department WHERE tenant_id = $1 AND key = $2", tenant_id, department_key
        )
        if department_id is None:
            raise InvalidInput([FieldProblem("department", "unknown", lazy("There is no such department"))])
        await _put_departments(conn, tenant_id, user_id, [department_id])
    return user_id


async def update_user(
    tenant_id: UUID, user_id: UUID, changes: Mapping[str, Any], *, actor_id: UUID | None = None
) -> None:
    """Change a person's own columns, `role_keys` (all of them) or `department_ids` (the first is the primary one).

    Somebody made inactive is signed out everywhere at once. Errors: InvalidInput, NotFound, PlanLimitReached (active again, without a seat).
    """
    columns = {key: value for key, value in changes.items() if key in _CHANGEABLE}
    unknown = set(changes) - set(columns) - {"role_keys", "department_ids"}
    if unknown:
        raise ValueError(f"not changeable: {', '.join(sorted(unknown))}")
    _check(**{key: value for key, value in columns.items() if key in ("name", "locale", "status")})
    async with tenant_transaction(tenant_id) as conn:
        await _take_seat(conn, tenant_id, user_id, columns.get("status"), changes.get("role_keys"))
        assignments = ", ".join(f"{key} = ${number}" for number, key in enumerate(columns, 3))
        found = await conn.fetchval(
            f"UPDATE app_user SET {assignments or 'id = id'} WHERE tenant_id = $1 AND id = $2 RETURNING id",  # noqa: S608  keys of our own
            tenant_id, user_id, *columns.values(),
        )
        if found is None:
            raise NotFound()
        if "role_keys" in changes:
            await _put_roles(conn, tenant_id, user_id, changes["role_keys"])
        if "department_ids" in changes:
            await _put_departments(conn, tenant_id, user_id, changes["department_ids"])
        if columns.get("status") == "inactive":
            await _sign_out(conn, tenant_id, user_id)
        data = {"changed": sorted(changes)}
        if "role_keys" in changes:
            data["roles"] = list(changes["role_keys"])
        await record_audit(conn, tenant_id, "user.changed", actor_id=actor_id, target=str(user_id), data=data)


async def _take_seat(conn: Any, tenant_id: UUID, user_id: UUID, status: str | None, role_keys: Sequence[str] | None) -> None:
    """Before a change: whoever becomes active, or another kind of person, needs a seat; sample people who cannot sign in take none.
    Errors: PlanLimitReached, Conflict (a record says that the account is closed)."""
    if status == "active" or role_keys is not None:
        row = await conn.fetchrow(
            "SELECT u.status, u.closed_at, u.sample_key IS NOT NULL AND u.password_hash = '' AS is_sample, "
            "ARRAY(SELECT r.role_key FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id) AS roles FROM app_user u WHERE u.tenant_id = $1 AND u.id = $2",
            tenant_id, user_id,
        )  # fmt: skip
        if row is None or row["is_sample"]:
            return
        wanted = row["roles"] if role_keys is None else role_keys
        if row["status"] == "inactive":
            if status == "active":
                if row["closed_at"] is not None:
                    raise Conflict(lazy("This account is closed by its record; change it there."), reason="closed")
                await require_seat(conn, tenant_id, wanted)
        elif status != "inactive" and await is_outside(conn, tenant_id, wanted) != await is_outside(conn, tenant_id, row["roles"]):
            await require_seat(conn, tenant_id, wanted)


async def _sign_out(conn: Any, tenant_id: UUID, user_id: UUID) -> None:
    await conn.execute("UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL", tenant_id, user_id)
    await conn.execute("DELETE FROM sign_in_step WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)


async def set_login(conn: Any, tenant_id: UUID, user_id: UUID, login: str, *, actor_id: UUID | None = None) -> None:
    """What somebody signs in with from now on. Errors: InvalidInput, Conflict (somebody else's)."""
    login = clean_login(login)
    try:
        async with conn.transaction():
            changed = await conn.fetchval("UPDATE app_user SET email = $3 WHERE tenant_id = $1 AND id = $2 AND email <> $3 RETURNING id", tenant_id, user_id, login)
    except asyncpg.UniqueViolationError as error:
        raise Conflict(lazy("Somebody signs in with this name already")) from error
    if changed is not None:
        await record_audit(conn, tenant_id, "user.changed", actor_id=actor_id, target=str(user_id), data={"changed": ["email"]})


async def close_account(conn: Any, tenant_id: UUID, user_id: UUID, *, actor_id: UUID | None = None) -> None:
    """Somebody's record says that they do not come in: nobody is signed in as them from now on. Who is inactive already stays as they are."""
    closed = await conn.fetchval("UPDATE app_user SET status = 'inactive', closed_at = now() WHERE tenant_id = $1 AND id = $2 AND status = 'active' RETURNING id", tenant_id, user_id)
    if closed is not None:
        await _sign_out(conn, tenant_id, user_id)
        await record_audit(conn, tenant_id, "user.closed", actor_id=actor_id, target=str(user_id))


async def open_account(conn: Any, tenant_id: UUID, user_id: UUID, *, actor_id: UUID | None = None) -> None:
    """Undo `close_account`; whoever was made inactive by hand stays so. Errors: PlanLimitReached."""
    roles = await conn.fetchval(
        "SELECT ARRAY(SELECT r.role_key FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id) FROM app_user u "
        "WHERE u.tenant_id = $1 AND u.id = $2 AND u.status = 'inactive' AND u.closed_at IS NOT NULL FOR UPDATE OF u",
        tenant_id, user_id,
    )  # fmt: skip
    if roles is not None:
        await require_seat(conn, tenant_id, roles)
        await conn.execute("UPDATE app_user SET status = 'active', closed_at = NULL WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
        await record_audit(conn, tenant_id, "user.opened", actor_id=actor_id, target=str(user_id))


async def list_users(tenant_id: UUID, *, only_active: bool = False) -> list[dict[str, Any]]:
    """Everybody with `role_keys` and `department_ids` (primary first), by name. No password hashes."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT u.id, u.email, u.name, u.locale, u.status, u.superior_id, u.title, u.phone, u.successor_id, "
            "u.must_change_password, u.created_at, u.last_login_at, u.closed_at, u.locked_until, u.sample_key, u.password_hash <> '' AS can_sign_in, "
            "EXISTS(SELECT 1 FROM second_factor f WHERE f.tenant_id = u.tenant_id AND f.user_id = u.id) AS has_second_factor, "
            "ARRAY(SELECT r.role_key FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id ORDER BY 1) role_keys, "
            "ARRAY(SELECT d.department_id FROM user_department d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id "
            "ORDER BY d.is_primary DESC, d.department_id) department_ids "
            "FROM app_user u WHERE u.tenant_id = $1 AND ($2 = false OR u.status = 'active') ORDER BY u.name, u.id",
            tenant_id, only_active,
        )
    return [dict(row) for row in rows]


async def count_by_role(tenant_id: UUID) -> dict[str, int]:
    """How many active people hold each role."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT r.role_key, count(*) FROM user_role r JOIN app_user u ON u.tenant_id = r.tenant_id AND u.id = r.user_id "
            "WHERE r.tenant_id = $1 AND u.status = 'active' GROUP BY 1",
            tenant_id,
        )
    return {row["role_key"]: row["count"] for row in rows}


async def find_user(tenant_id: UUID, *, email: str | None = None, user_id: UUID | None = None) -> dict[str, Any]:
    """One person by address or id, as in `list_users`. Errors: NotFound."""
    for user in await list_users(tenant_id):
        if user["id"] == user_id or (email is not None and user["email"] == email.strip().lower()):
            return user
    raise NotFound()


async def set_roles(tenant_id: UUID, user_id: UUID, role_keys: Sequence[str], *, actor_id: UUID | None = None) -> None:
    await update_user(tenant_id, user_id, {"role_keys": role_keys}, actor_id=actor_id)


async def _put_roles(conn: Any, tenant_id: UUID, user_id: UUID, role_keys: Sequence[str]) -> None:
    await conn.execute(
        "DELETE FROM user_role WHERE tenant_id = $1 AND user_id = $2 AND role_key <> ALL($3::text[])",
        tenant_id, user_id, list(role_keys),
    )
    await conn.execute(
        "INSERT INTO user_role (tenant_id, user_id, role_key) SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING",
        tenant_id, user_id, list(role_keys),
    )


async def _put_departments(conn: Any, tenant_id: UUID, user_id: UUID, department_ids: Sequence[UUID]) -> None:
    await conn.execute("DELETE FROM user_department WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
    try:
        async with conn.transaction():
            await conn.execute(
                "INSERT INTO user_department (tenant_id, user_id, department_id, is_primary) "
                "SELECT $1, $2, d.id, d.place = 1 FROM unnest($3::uuid[]) WITH ORDINALITY AS d (id, place)",
                tenant_id, user_id, list(dict.fromkeys(department_ids)),
            )
    except asyncpg.ForeignKeyViolationError as error:
        raise InvalidInput([FieldProblem("department", "unknown", lazy("There is no such department"))]) from error


def _check(*, name: str | None = None, locale: str | None = None, status: str | None = None) -> None:
    problems = []
    if name is not None and not name.strip():
        problems.append(FieldProblem("name", "required", lazy("Please give a name")))
    if locale is not None and locale not in LOCALES:
        problems.append(FieldProblem("locale", "unknown", lazy("This language is not available")))
    if status is not None and status not in ("active", "inactive"):
        problems.append(FieldProblem("status", "unknown", lazy("Unknown status")))
    if problems:
        raise InvalidInput(problems)


async def user_names(conn: Any, tenant_id: UUID, ids: Iterable[UUID]) -> dict[UUID, str]:
    """{id: name} of people, also of those who have left."""
    wanted = list(set(ids))
    rows = await conn.fetch("SELECT id, name FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[])", tenant_id, wanted) if wanted else []
    return {row["id"]: row["name"] for row in rows}
