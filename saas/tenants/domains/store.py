"""A tenant's domains. Naming one says nothing; proving it puts it into the directory of all tenants, where each name has one owner.

    pending --record found--> verified --record missing for LOSE_DAYS--> lost
                              missing for less: it goes on answering, and administrators are warned
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import cells, current_database, system_transaction, tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound, Unavailable
from saas.i18n import lazy
from saas.observe.seen import outside
from saas.settings import Settings
from saas.tenants.audit import record_audit
from saas.tenants.domains.names import check_name
from saas.tenants.domains.resolver import Answer, DnsResolver, Resolver
from saas.tenants.tenants import forget_host

MOST = 10  # domains of a tenant
LOSE_DAYS = 7
WARN_AFTER_DAYS = (1, 4, 6)
CHALLENGE, VALUE = "_saas-challenge", "saas-domain-verification="
_COLUMNS = "name, token, status, created_at, verified_at, checked_at, missing_since, found, points_here"


@dataclass(frozen=True, slots=True)
class Domain:
    """`found`: what DNS said last, in a word: "" (never asked), "right", "missing", "other", "unknown" (no answer), "taken" (right, but
    another tenant has proved the name). `is_main`: pages and links use it."""

    name: str
    token: str
    status: str
    created_at: datetime
    verified_at: datetime | None
    checked_at: datetime | None
    missing_since: datetime | None
    found: str
    points_here: bool | None
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A domain whose record is to be looked at again."""

    tenant_id: UUID
    name: str
    token: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an answer meant: "verified", "missing" (a warning is due, the domain is lost in `days_left`), "lost", or ""."""

    kind: str
    days_left: int = 0


def challenge(name: str, token: str) -> tuple[str, str]:
    """Name and value of the TXT record that proves it."""
    return f"{CHALLENGE}.{name}", VALUE + token


def target_of(settings: Settings) -> str:
    """What domains point to."""
    return settings.domain_target or settings.base_domain


async def add_domain(tenant_id: UUID, text: str, *, actor_id: UUID | None = None) -> str:
    """Name a domain; returns it as DNS knows it. Naming blocks nobody. Errors: InvalidInput, Conflict (named already)."""
    name = check_name(text, current_database().settings)
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('domain:' || $1::text, 0))", str(tenant_id))
        if await conn.fetchval("SELECT count(*) FROM tenant_domain WHERE tenant_id = $1", tenant_id) >= MOST:
            raise InvalidInput([FieldProblem("name", "too_many", lazy("A workspace can name at most %(count)s domains.", count=MOST))])
        made = await conn.fetchval(
            "INSERT INTO tenant_domain (tenant_id, name, token) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true", tenant_id, name, secrets.token_urlsafe(24)
        )
        if not made:
            raise Conflict(lazy("This domain is in the list already."))
        await record_audit(conn, tenant_id, "domain.added", actor_id=actor_id, target=name)
    return name


async def list_domains(tenant_id: UUID) -> list[Domain]:
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT {', '.join('d.' + c.strip() for c in _COLUMNS.split(','))}, t.domain = d.name AS is_main FROM tenant_domain d JOIN tenant t ON t.id = d.tenant_id "  # noqa: S608  constants of this file
            "WHERE d.tenant_id = $1 ORDER BY d.created_at, d.name",
            tenant_id,
        )
    return [Domain(**dict(row)) for row in rows]


async def remove_domain(tenant_id: UUID, name: str, *, actor_id: UUID | None = None) -> None:
    """It answers no more, at once in this process and within seconds in others. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        if not await conn.fetchval("DELETE FROM tenant_domain WHERE tenant_id = $1 AND name = $2 RETURNING true", tenant_id, name):
            raise NotFound()
        slug = await conn.fetchval("UPDATE tenant SET domain = '' WHERE id = $1 AND domain = $2 RETURNING slug", tenant_id, name)
        await record_audit(conn, tenant_id, "domain.removed", actor_id=actor_id, target=name)
    await _release(tenant_id, name)
    if slug:
        forget_host(slug)  # it leads to the removed name no more


async def set_main(tenant_id: UUID, name: str, *, redirects: bool = True, actor_id: UUID | None = None) -> None:
    """The address of pages and links from now on; "" for the one under our own domain. Errors: NotFound (not verified)."""
    async with tenant_transaction(tenant_id) as conn:
        if name and not await conn.fetchval("SELECT true FROM tenant_domain WHERE tenant_id = $1 AND name = $2 AND status = 'verified'", tenant_id, name):
            raise NotFound()
        slug = await conn.fetchval("UPDATE tenant SET domain = $2, domain_redirects = $3 WHERE id = $1 RETURNING slug", tenant_id, name, redirects)
        await record_audit(conn, tenant_id, "domain.main", actor_id=actor_id, target=name or slug, data={"redirects": redirects})
    forget_host(slug)
    forget_host(name)


async def is_verified(name: str) -> bool:
    """For a proxy that asks whether it may get a certificate."""
    async with system_transaction("domains") as conn:
        return bool(await conn.fetchval("SELECT true FROM verified_domain WHERE name = $1", name.lower().removesuffix(".")))


# ---- looking at the record ------------------------------------------------------------------------------------------------


async def check_now(tenant_id: UUID, name: str, *, resolver: Resolver | None = None, actor_id: UUID | None = None) -> Change:
    """Ask DNS and note what it says. Not inside a transaction. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        token = await conn.fetchval("SELECT token FROM tenant_domain WHERE tenant_id = $1 AND name = $2", tenant_id, name)
    if token is None:
        raise NotFound()
    settings = current_database().settings
    async with outside():
        answer = await (resolver or DnsResolver(settings)).ask(challenge(name, token)[0], name, target_of(settings))
    return await apply_answer(Due(tenant_id, name, token), answer, actor_id=actor_id)


async def due_domains(limit: int = 50) -> list[Due]:
    """Those to be looked at now, of all tenants, each given to one caller."""
    found: list[Due] = []
    for cell in cells():
        try:
            async with system_transaction("domains", cell=cell) as conn:
                rows = await conn.fetch(
                    "UPDATE tenant_domain SET next_check_at = now() + interval '10 minutes' WHERE (tenant_id, name) IN ("
                    "SELECT d.tenant_id, d.name FROM tenant_domain d JOIN tenant t ON t.id = d.tenant_id AND t.cell = '' WHERE d.next_check_at <= now() "
                    "ORDER BY d.next_check_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED) RETURNING tenant_id, name, token",
                    limit,
                )
        except Unavailable:
            continue
        found += [Due(row["tenant_id"], row["name"], row["token"]) for row in rows]
    return found


async def apply_answer(due: Due, answer: Answer, *, actor_id: UUID | None = None) -> Change:
    """What DNS said becomes what the domain is."""
    right = answer.texts is not None and challenge(due.name, due.token)[1] in answer.texts
    if right:
        owner_id = await _claim(due)
        return await _found(due, answer, taken=owner_id != due.tenant_id, actor_id=actor_id)
    return await _missed(due, answer)


async def _claim(due: Due) -> UUID | None:
    """Who owns the name: the first who proved it, until they lose it. None: the domain was removed meanwhile."""
    async with system_transaction("domains") as conn:
        await conn.execute("INSERT INTO verified_domain (name, owner_id) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", due.name, due.tenant_id)
        return await conn.fetchval("SELECT owner_id FROM verified_domain WHERE name = $1", due.name)


async def _found(due: Due, answer: Answer, *, taken: bool, actor_id: UUID | None) -> Change:
    change = Change("")
    async with tenant_transaction(due.tenant_id) as conn:
        row = await conn.fetchrow("SELECT status FROM tenant_domain WHERE tenant_id = $1 AND name = $2 FOR UPDATE", due.tenant_id, due.name)
        if row is None:
            pass
        elif taken:
            await _note(conn, due, "found = 'taken', next_check_at = now() + interval '12 hours'", answer)
        else:
            await _note(
                conn, due, "found = 'right', status = 'verified', verified_at = CASE WHEN status = 'verified' THEN verified_at ELSE now() END, missing_since = NULL, warnings = 0, "
                "next_check_at = now() + interval '12 hours'", answer,
            )  # fmt: skip
            if row["status"] != "verified":
                change = Change("verified")
                await record_audit(conn, due.tenant_id, "domain.verified", actor_id=actor_id, target=due.name)
    if row is None and not taken:
        await _release(due.tenant_id, due.name)
    forget_host(due.name)
    return change


_WAIT = (
    "next_check_at = CASE WHEN status = 'verified' THEN now() + interval '6 hours' WHEN created_at > now() - interval '2 days' THEN now() + interval '15 minutes' "
    "WHEN created_at > now() - interval '30 days' THEN now() + interval '12 hours' ELSE 'infinity' END"
)


async def _missed(due: Due, answer: Answer) -> Change:
    word = "unknown" if answer.texts is None else "other" if any(text.startswith(VALUE) for text in answer.texts) else "missing"
    async with tenant_transaction(due.tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT status, warnings, extract(epoch FROM now() - missing_since) / 86400 AS days FROM tenant_domain WHERE tenant_id = $1 AND name = $2 FOR UPDATE", due.tenant_id, due.name
        )
        if row is None:
            return Change("")
        if word == "unknown" or row["status"] != "verified":  # no name server could be asked: that is not the domain's fault
            await _note(conn, due, f"found = '{word}', {_WAIT}", answer)
            return Change("")
        days = float(row["days"] or 0)
        if days < LOSE_DAYS:
            due_warnings = sum(days >= after for after in WARN_AFTER_DAYS)
            await _note(conn, due, f"found = '{word}', missing_since = coalesce(missing_since, now()), warnings = greatest(warnings, {due_warnings}), {_WAIT}", answer)
            return Change("missing", max(1, round(LOSE_DAYS - days))) if due_warnings > row["warnings"] else Change("")
    await _release(due.tenant_id, due.name)  # first: a name that is answered no more may be proved by its next owner
    async with tenant_transaction(due.tenant_id) as conn:
        await _note(conn, due, f"found = '{word}', status = 'lost', missing_since = NULL, warnings = 0, next_check_at = now() + interval '12 hours'", answer)
        slug = await conn.fetchval("UPDATE tenant SET domain = '' WHERE id = $1 AND domain = $2 RETURNING slug", due.tenant_id, due.name)
        await record_audit(conn, due.tenant_id, "domain.lost", actor_id=None, target=due.name)
    if slug:
        forget_host(slug)
    return Change("lost")


async def _note(conn: Any, due: Due, change: str, answer: Answer) -> None:
    await conn.execute(
        f"UPDATE tenant_domain SET {change}, checked_at = now(), points_here = $3 WHERE tenant_id = $1 AND name = $2", due.tenant_id, due.name, answer.points_here  # noqa: S608  constants of this file
    )  # fmt: skip


async def _release(tenant_id: UUID, name: str) -> None:
    async with system_transaction("domains") as conn:
        await conn.execute("DELETE FROM verified_domain WHERE name = $1 AND owner_id = $2", name, tenant_id)
    forget_host(name)


async def forget_unowned() -> int:
    """Names whose owner no longer has them in its list: somebody died between two steps. Returns how many went."""
    async with system_transaction("domains") as conn:
        owners: Mapping[str, UUID] = {row["name"]: row["owner_id"] for row in await conn.fetch("SELECT name, owner_id FROM verified_domain WHERE verified_at < now() - interval '1 hour'")}
    known: set[tuple[str, UUID]] = set()
    for cell in cells():
        async with system_transaction("domains", cell=cell) as conn:
            known |= {(row["name"], row["tenant_id"]) for row in await conn.fetch("SELECT name, tenant_id FROM tenant_domain WHERE name = ANY($1::text[])", list(owners))}
    gone = [(name, owner) for name, owner in owners.items() if (name, owner) not in known]
    for name, owner in gone:
        await _release(owner, name)
    return len(gone)
