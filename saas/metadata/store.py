"""Revisions of a tenant's configuration: writing and reading them, and the compiled one for a request."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import in_transaction, primary, tenant_transaction
from saas.errors import Conflict, NotFound
from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata import slots
from saas.metadata.build import build_bundle
from saas.metadata.cache import ConfigCache
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.observe import metrics
from saas.tenants.ids import new_id

MAX_REVISION = 2**31 - 1  # what the column holds
CHANNEL = "config"  # payload of its notifications: "<tenant id>:<revision>"
NOTHING = m.Bundle(pack=m.PackInfo("nothing", "0.0.0", {}), entities=(), roles=())
cache = ConfigCache()
_found, _loaded = (metrics.config_asked.labels(word).inc for word in ("yes", "no"))


@metrics.sampled
def _sample() -> None:
    metrics.config_entries.set(len(cache))
    metrics.config_bytes.set(cache.used_bytes)


@dataclass(frozen=True, slots=True)
class Revision:
    """One published configuration. `bundle` and `data` are left out of lists."""

    number: int
    hash: str
    message: str
    author_id: UUID | None
    created_at: datetime
    bundle: Mapping[str, Any] | None = None
    data: Sequence[Mapping[str, Any]] = ()  # what was ordered for existing data together with it


# ---- canonical form -----------------------------------------------------------------------------------------------------


def canonical(raw: Any) -> bytes:
    """The one way to write a bundle: keys sorted, lists in order, no spaces. Numbers that are equal are written alike."""
    return json.dumps(_plain(raw), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """jsonb keeps 1.0 as 1.0 but writes 1e2 as 100: whole floats become integers, so a bundle read back hashes the same."""
    kind = type(value)
    if kind is str or kind is bool or kind is int or value is None:
        return value
    if kind is dict:
        return {k if type(k) is str else str(k): v if type(v) is str else _plain(v) for k, v in value.items()}
    if kind is list:
        return [v if type(v) is str else _plain(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def content_hash(raw: Any) -> str:
    """SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(canonical(raw)).hexdigest()


def is_same(one: Any, other: Any) -> bool:
    """Whether two bundles, or parts of them, say the same."""
    return canonical(one) == canonical(other)


# ---- reading ------------------------------------------------------------------------------------------------------------


async def revisions(tenant_id: UUID, *, limit: int = 100, before: int | None = None) -> list[Revision]:
    """The published revisions, newest first."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT number, hash, message, author_id, created_at FROM config_revision "
            "WHERE tenant_id = $1 AND ($2::int IS NULL OR number < $2) ORDER BY number DESC LIMIT $3",
            tenant_id, before, limit,
        )  # fmt: skip
    return [Revision(**dict(row)) for row in rows]


async def revision(tenant_id: UUID, number: int | None = None) -> Revision:
    """One revision with its bundle; the current one without a number. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT r.number, r.hash, r.message, r.author_id, r.created_at, r.bundle, r.data FROM config_revision r "
            "JOIN tenant t ON t.id = r.tenant_id WHERE r.tenant_id = $1 AND r.number = coalesce($2::int, t.config_revision)",
            tenant_id, number,
        )  # fmt: skip
    if row is None:
        raise NotFound(lazy("There is no such revision of the configuration."))
    return Revision(**{**dict(row), "bundle": json.loads(row["bundle"]), "data": json.loads(row["data"])})


async def current(
    tenant_id: UUID, revision: int, *, currency: str = "CNY", country: str = "CN", time_zone: str = "Asia/Shanghai"
) -> Config:
    """The compiled configuration of a revision, from the cache or built once for all who wait for it; revision 0, of a tenant
    that has published nothing yet, is empty. Errors: NotFound."""
    key = (tenant_id, revision, currency, country, time_zone)
    if in_transaction():  # the revision may be one that is not committed yet: it must not stay in the cache
        return cache.find(key) or await _load(*key)
    (_loaded if cache.find(key) is None else _found)()
    return await cache.get(key, lambda: _load(*key))


async def _load(tenant_id: UUID, number: int, currency: str, country: str, time_zone: str) -> Config:
    if number == 0:
        return Config(NOTHING, currency=currency, country=country, time_zone=time_zone)
    # The session's query named this revision on the primary; the replica may not have it yet.
    with primary():
        async with tenant_transaction(tenant_id) as conn:
            row = await conn.fetchrow("SELECT hash, bundle FROM config_revision WHERE tenant_id = $1 AND number = $2", tenant_id, number)
            if row is None:
                raise NotFound(lazy("There is no such revision of the configuration."))
            bundle = cache.bundle(row["hash"]) or build_bundle(json.loads(row["bundle"]))
            numbers, columns = await slots.load(conn, tenant_id, bundle)
    return Config(
        bundle, revision=number, hash=row["hash"], numbers=numbers, columns=columns, currency=currency, country=country, time_zone=time_zone
    )


# ---- publishing ---------------------------------------------------------------------------------------------------------


async def publish(
    tenant_id: UUID, raw: Mapping[str, Any], *, base_revision: int, message: str = "", author_id: UUID | None = None,
    data: Sequence[Mapping[str, Any]] = (), bundle: m.Bundle | None = None,
) -> Revision:  # fmt: skip
    """Make `raw` the tenant's configuration, all or nothing; seeds the bundle's departments that are not there. The lower half of
    saas.runtime.configuration.publish, which everybody else calls. `bundle`: `raw`, already parsed.

    Errors: InvalidDefinition with every problem; Conflict, saying who published what, when somebody did after `base_revision`.
    """
    if bundle is None:
        bundle = await asyncio.to_thread(parse_bundle, raw)  # tens of milliseconds: others go on meanwhile
    text, hash_ = json.dumps(raw, ensure_ascii=False), content_hash(raw)
    async with tenant_transaction(tenant_id) as conn:
        number = await _lock(conn, tenant_id, base_revision) + 1
        await slots.assign(conn, tenant_id, bundle)
        await _seed_departments(conn, tenant_id, bundle)
        created_at = await conn.fetchval(
            "INSERT INTO config_revision (tenant_id, number, hash, bundle, message, author_id, data) VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7::jsonb) "
            "RETURNING created_at",
            tenant_id, number, hash_, text, message, author_id, json.dumps(list(data), ensure_ascii=False),
        )  # fmt: skip
        await conn.execute("UPDATE tenant SET config_revision = $2 WHERE id = $1", tenant_id, number)
        await conn.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{tenant_id}:{number}")
    return Revision(number, hash_, message, author_id, created_at, data=tuple(data))


async def _lock(conn: Any, tenant_id: UUID, base_revision: int) -> int:
    """The tenant's revision, locked against other publishers until the transaction ends; others may go on referring to the tenant."""
    number = await conn.fetchval("SELECT config_revision FROM tenant WHERE id = $1 FOR NO KEY UPDATE", tenant_id)
    if number is None:
        raise NotFound()
    if number != base_revision:
        raise await stale(conn, tenant_id, base_revision, number)
    return number


async def stale(conn: Any, tenant_id: UUID, base_revision: int, number: int) -> Conflict:
    """The refusal of a change that began at `base_revision` while `number` is live. `since` says who published what after it."""
    rows = await conn.fetch(
        "SELECT r.number, r.message, r.author_id, r.created_at, u.name FROM config_revision r "
        "LEFT JOIN app_user u ON u.tenant_id = r.tenant_id AND u.id = r.author_id WHERE r.tenant_id = $1 AND r.number > $2 ORDER BY r.number DESC LIMIT 20",
        tenant_id, min(base_revision, MAX_REVISION),
    )  # fmt: skip
    since = [
        {"revision": r["number"], "author": r["name"] or "", "author_id": str(r["author_id"]) if r["author_id"] else None, "message": r["message"], "created_at": r["created_at"].isoformat()}
        for r in rows
    ]  # fmt: skip
    if since and since[0]["author"]:
        text = lazy("%(name)s published revision %(number)s in the meantime. Look at it and try again.", name=since[0]["author"], number=number)
    else:
        text = lazy("Somebody published revision %(number)s in the meantime. Look at it and try again.", number=number)
    return Conflict(text, revision=number, since=since)


async def _seed_departments(conn: Any, tenant_id: UUID, bundle: m.Bundle) -> None:
    """Departments are data after this: existing ones are left as they are."""
    if not bundle.departments:
        return
    ids = {row["key"]: row["id"] for row in await conn.fetch("SELECT key, id FROM department WHERE tenant_id = $1", tenant_id)}
    if ids:
        return
    for position, department in enumerate(_parents_first(bundle.departments)):
        ids[department.key] = new_id()
        await conn.execute(
            "INSERT INTO department (tenant_id, id, key, name, parent_id, position) VALUES ($1, $2, $3, $4::jsonb, $5, $6)",
            tenant_id, ids[department.key], department.key, json.dumps(dict(department.label), ensure_ascii=False),
            ids.get(department.parent or ""), position,
        )  # fmt: skip


def _parents_first(departments: Sequence[m.DepartmentDef]) -> list[m.DepartmentDef]:
    done: list[m.DepartmentDef] = []
    waiting = list(departments)
    while waiting:
        placed = {d.key for d in done}
        ready = [d for d in waiting if d.parent is None or d.parent in placed]
        done += ready
        waiting = [d for d in waiting if d not in ready]
    return done
