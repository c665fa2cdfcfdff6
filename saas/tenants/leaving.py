"""Tenants that leave: a request with days of grace, in which everything can be read and fetched and nothing is changed; then everything
goes, and a proof stands in the operators' log."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from saas.db import cells, current_database, system_transaction
from saas.db.moving import tenant_tables
from saas.errors import Conflict, NotFound, Unavailable
from saas.i18n import lazy
from saas.log import get_logger
from saas.tenants.audit import record_audit
from saas.tenants.operators import record_operator_audit
from saas.tenants.tenants import delete_tenant, forget_host

log = get_logger(__name__)
GRACE_DAYS = 14
GOING = ".deleting"  # a tenant's folder while its rows are deleted


@dataclass(frozen=True, slots=True)
class Proof:
    """What was removed, and what is left: rows by table over all databases, every table of the catalogue, all zero; and files."""

    slug: str
    tenant_id: UUID
    removed: Mapping[str, int]
    files_removed: int
    left: Mapping[str, int] = field(default_factory=dict)
    files_left: int = 0

    @property
    def is_complete(self) -> bool:
        return not any(self.left.values()) and not self.files_left


async def request_deletion(tenant_id: UUID, *, actor_id: UUID | None = None, days: int = GRACE_DAYS, request_id: str = "") -> datetime:
    """Have the tenant deleted when the days of grace are over; returns that moment. Errors: NotFound; Conflict when it is asked for already."""
    async with system_transaction("delete_tenant", of=tenant_id) as conn:
        row = await conn.fetchrow("SELECT slug, delete_after FROM tenant WHERE id = $1 FOR UPDATE", tenant_id)
        if row is None:
            raise NotFound()
        if row["delete_after"] is not None:
            raise Conflict(lazy("The deletion of this workspace has been asked for already."))
        moment = await conn.fetchval("UPDATE tenant SET delete_after = now() + make_interval(days => $2) WHERE id = $1 RETURNING delete_after", tenant_id, days)
        await record_audit(conn, tenant_id, "tenant.deletion_requested", actor_id=actor_id, target=row["slug"], request_id=request_id, data={"after": f"{moment:%Y-%m-%d %H:%M} UTC"})
    await _note("tenant.deletion_requested", row["slug"], {"after": moment, "by": "operator" if actor_id is None else "administrator"})
    forget_host(row["slug"])
    return moment


async def keep_tenant(tenant_id: UUID, *, actor_id: UUID | None = None, request_id: str = "") -> None:
    """Take the request back, while there is time. Errors: Conflict when nothing was asked for, or it is too late."""
    async with system_transaction("delete_tenant", of=tenant_id) as conn:
        slug = await conn.fetchval("UPDATE tenant SET delete_after = NULL WHERE id = $1 AND delete_after > now() RETURNING slug", tenant_id)
        if slug is None:
            raise Conflict(lazy("Nobody has asked for the deletion of this workspace, or its time is over."))
        await record_audit(conn, tenant_id, "tenant.deletion_taken_back", actor_id=actor_id, target=slug, request_id=request_id)
    await _note("tenant.deletion_taken_back", slug, {"by": "operator" if actor_id is None else "administrator"})
    forget_host(slug)


async def _note(kind: str, slug: str, data: Mapping[str, object]) -> None:
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, kind, tenant=slug, data=data)


async def record_export(tenant_id: UUID, slug: str, *, rows: int, with_passwords: bool, reason: str = "") -> None:
    """An operator exported a tenant: that stands in its own log and in the operators'."""
    data = {"rows": rows, "by": "operator", "with_passwords": with_passwords, **({"reason": reason} if reason else {})}
    async with system_transaction("operator_console", of=tenant_id) as conn:
        await record_audit(conn, tenant_id, "tenant.exported", target=slug, data=data)
    await _note("tenant.exported", slug, data)


async def record_import(tenant_id: UUID, slug: str, *, rows: int) -> None:
    """An operator restored a tenant."""
    await _note("tenant.imported", slug, {"id": str(tenant_id), "rows": rows})


async def remove_tenant(slug: str, *, why: str = "operator") -> Proof:
    """Delete everything of a tenant now: rows of every table, indexes, files. Killed at any moment, calling it again finishes it.
    Errors: NotFound."""
    async with system_transaction("delete_tenant") as conn:
        tenant_id = await conn.fetchval("SELECT id FROM tenant WHERE slug = $1", slug)
    if tenant_id is None:
        raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
    folder = current_database().settings.data_dir / "files" / str(tenant_id)
    going = folder.with_name(folder.name + GOING)
    # Out of everybody's sight first, gone last: while the row is there somebody finds this tenant and goes on.
    files = await asyncio.to_thread(_put_aside, folder, going)
    removed = await delete_tenant(slug)
    for path in (going, folder):  # an upload on its way may have made the folder again
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
    left: dict[str, int] = {}
    for cell in cells():
        async with system_transaction("delete_tenant", cell=cell, timeout_seconds=600) as conn:
            for table in await tenant_tables(conn):
                left[table] = left.get(table, 0) + await conn.fetchval(f'SELECT count(*) FROM "{table}" WHERE tenant_id = $1', tenant_id)  # noqa: S608  from the catalogue
            left["tenant"] = left.get("tenant", 0) + await conn.fetchval("SELECT count(*) FROM tenant WHERE id = $1", tenant_id)
    proof = Proof(slug, tenant_id, removed, files, left, sum(await asyncio.gather(asyncio.to_thread(_count, folder), asyncio.to_thread(_count, going))))
    data = {
        "id": str(tenant_id), "why": why, "removed": dict(removed), "files_removed": files, "left": left, "files_left": proof.files_left,
        "complete": proof.is_complete,
    }  # fmt: skip
    await _note("tenant.deleted", slug, data)
    log.info("tenant.deleted", tenant_id=str(tenant_id), rows=sum(removed.values()), files=files, complete=proof.is_complete)
    return proof


def _put_aside(folder: Path, going: Path) -> int:
    count = _count(folder) + _count(going)
    if going.exists():  # an attempt was killed in between
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        folder.rename(going)
    return count


def _count(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


async def remove_due() -> list[Proof]:
    """Delete the tenants whose days of grace are over. A database that is away is left for the next time."""
    proofs = []
    for cell in cells():
        try:
            async with system_transaction("delete_tenant", cell=cell) as conn:
                due = [row["slug"] for row in await conn.fetch("SELECT slug FROM tenant WHERE delete_after <= now() AND cell = '' ORDER BY delete_after")]
        except Unavailable:
            continue
        for slug in due:
            try:
                proofs.append(await remove_tenant(slug, why="grace is over"))
            except (NotFound, Unavailable):  # somebody else was faster, or tomorrow
                continue
    return proofs
