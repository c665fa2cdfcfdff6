"""Each admin's draft: the configuration they are changing, on top of the revision they began with. Every change is a step that
can be undone. When somebody else publishes, the draft is brought onto the new revision; what both changed is a conflict that its
author decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy
from saas.metadata.examined import Examined, examined
from saas.metadata.store import content_hash, is_same

if TYPE_CHECKING:
    from saas.metadata.merge import Merge

KEPT_STEPS = 100
DataSteps = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One change somebody made to their draft."""

    number: int
    title: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """`version` counts changes; 0 while nothing was changed. `live` is the revision people work with: when it is newer than `base`,
    `merge` holds the conflicts that keep the draft from being brought onto it."""

    author_id: UUID
    base: int
    live: int
    text: str
    examined: Examined
    data: Sequence[Mapping[str, Any]] = ()
    version: int = 0
    steps: tuple[Step, ...] = ()
    merge: Merge | None = field(default=None, repr=False)

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.examined.raw

    @property
    def is_empty(self) -> bool:
        return self.version == 0


async def open_draft(tenant_id: UUID, author_id: UUID) -> Draft:
    """The author's draft; one equal to the live configuration when there is none. A draft behind the live revision is brought onto it,
    unless both changed the same thing."""
    async with tenant_transaction(tenant_id) as conn:
        row = await _row(conn, tenant_id, author_id)
        if _is_behind(row):  # another window may take it in, or go on, at this very moment
            row = await _row(conn, tenant_id, author_id, lock=True)
        if _is_behind(row):
            merged = await _merge(conn, tenant_id, row)
            if merged.conflicts:
                return await _draft(conn, tenant_id, author_id, row, merged)
            await _write(conn, tenant_id, author_id, row, merged.bundle, json.loads(row["data"]), _("Revision %(number)s taken in", number=row["live"]), base=row["live"])
            row = await _row(conn, tenant_id, author_id)
        return await _draft(conn, tenant_id, author_id, row, None)


Change = Callable[[Mapping[str, Any], DataSteps], tuple[Mapping[str, Any], DataSteps]]


async def edit(tenant_id: UUID, author_id: UUID, title: str, change: Change) -> None:
    """Apply `change(bundle, data steps)` to the author's draft as one step called `title`. Nothing is kept when nothing changes."""
    async with tenant_transaction(tenant_id) as conn:
        row = await _row(conn, tenant_id, author_id, lock=True)
        raw, data = json.loads(row["bundle"]), json.loads(row["data"])
        new, steps = change(raw, list(data))
        if not is_same(new, raw) or steps != data:
            await _write(conn, tenant_id, author_id, row, new, steps, title)


async def undo(tenant_id: UUID, author_id: UUID) -> str:
    """Take the last change back; returns its title. The draft goes when no change is left. Errors: NotFound without one."""
    async with tenant_transaction(tenant_id) as conn:
        row = await _row(conn, tenant_id, author_id, lock=True)
        base, step = row["base_revision"], None
        while step is None or step["base_revision"] != base:  # taking in a revision is no change of the author's: it goes along
            base = step["base_revision"] if step else base
            step = await conn.fetchrow(
                "DELETE FROM config_draft_step WHERE tenant_id = $1 AND author_id = $2 AND number = "
                "(SELECT max(number) FROM config_draft_step WHERE tenant_id = $1 AND author_id = $2) RETURNING title, base_revision, bundle, data",
                tenant_id, author_id,
            )  # fmt: skip
            if step is None:
                raise NotFound(lazy("There is nothing to undo."))
        await conn.execute(
            "UPDATE config_draft SET bundle = $3::jsonb, data = $4::jsonb, base_revision = $5, version = version + 1, updated_at = now() "
            "WHERE tenant_id = $1 AND author_id = $2",
            tenant_id, author_id, step["bundle"], step["data"], step["base_revision"],
        )  # fmt: skip
        published = await conn.fetchval("SELECT bundle FROM config_revision WHERE tenant_id = $1 AND number = $2", tenant_id, step["base_revision"])
        if published is not None and step["data"] == "[]" and is_same(json.loads(published), json.loads(step["bundle"])):
            await forget(conn, tenant_id, author_id)
        return step["title"]


async def discard(tenant_id: UUID, author_id: UUID) -> None:
    """Throw the draft away."""
    async with tenant_transaction(tenant_id) as conn:
        await forget(conn, tenant_id, author_id)


async def forget(conn: Any, tenant_id: UUID, author_id: UUID) -> None:
    """Remove the draft inside the caller's transaction, for instance because it was published."""
    for table in ("config_draft_step", "config_draft"):
        await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND author_id = $2", tenant_id, author_id)  # noqa: S608  two constants


async def forget_published(conn: Any, tenant_id: UUID, author_id: UUID | None, hash_: str, data: Sequence[Mapping[str, Any]]) -> None:
    """Remove the author's draft if it is what was just published, with all its orders for records; one that went on meanwhile stays."""
    if author_id is None:
        return
    row = await conn.fetchrow("SELECT bundle, data FROM config_draft WHERE tenant_id = $1 AND author_id = $2 FOR UPDATE", tenant_id, author_id)
    if row is not None and content_hash(json.loads(row["bundle"])) == hash_ and all(step in data for step in json.loads(row["data"])):
        await forget(conn, tenant_id, author_id)


async def decide(tenant_id: UUID, author_id: UUID, choices: Mapping[str, str], *, seen: tuple[int, int] | None = None) -> None:
    """Bring the draft onto the live revision with the author's choice, "mine" or "theirs", for each conflict. `seen`: (live revision,
    version of the draft) that the choices were made for.
    Errors: Conflict while a choice is missing, or when somebody published or the draft went on since; then nothing is changed."""
    async with tenant_transaction(tenant_id) as conn:
        row = await _row(conn, tenant_id, author_id, lock=True)
        if not _is_behind(row):
            return
        if seen is not None and seen[0] != row["live"]:
            raise Conflict(lazy("Revision %(number)s was published while you chose. Your changes are all here: look at the differences again.", number=row["live"]))
        if seen is not None and seen[1] != row["version"]:
            raise Conflict(lazy("Your draft was changed in another window while you chose. Look at the differences again."))
        from saas.metadata.merge import resolve

        merged = await _merge(conn, tenant_id, row)
        if any(c.path not in choices for c in merged.conflicts):
            raise Conflict(lazy("Choose for each difference which side counts."))
        bundle = resolve(merged, choices)
        await _write(conn, tenant_id, author_id, row, bundle, json.loads(row["data"]), _("Revision %(number)s taken in", number=row["live"]), base=row["live"])


# ---- rows ---------------------------------------------------------------------------------------------------------------


async def _row(conn: Any, tenant_id: UUID, author_id: UUID, *, lock: bool = False) -> Any:
    """The draft with the live revision; the live bundle where there is no draft (base_revision is then null)."""
    if lock:  # the tenant's row may not be locked here: publishing holds it for longer
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7))", f"{tenant_id}{author_id}")
    return await conn.fetchrow(
        "SELECT t.config_revision AS live, d.base_revision, coalesce(d.bundle, r.bundle, '{}'::jsonb) AS bundle, coalesce(d.data, '[]'::jsonb) AS data, "
        "coalesce(d.version, 0) AS version FROM tenant t "
        "LEFT JOIN config_draft d ON d.tenant_id = t.id AND d.author_id = $2 "
        "LEFT JOIN config_revision r ON r.tenant_id = t.id AND r.number = t.config_revision AND d.tenant_id IS NULL WHERE t.id = $1",
        tenant_id, author_id,
    )  # fmt: skip


def _is_behind(row: Any) -> bool:
    return row["base_revision"] is not None and row["base_revision"] < row["live"]


async def _merge(conn: Any, tenant_id: UUID, row: Any) -> Merge:
    from saas.metadata.merge import merge

    texts = dict(
        await conn.fetch(
            "SELECT number, bundle FROM config_revision WHERE tenant_id = $1 AND number = ANY($2::int[])", tenant_id, [row["base_revision"], row["live"]]
        )
    )
    return await asyncio.to_thread(merge, *(json.loads(t) for t in (texts[row["base_revision"]], row["bundle"], texts[row["live"]])))


async def _draft(conn: Any, tenant_id: UUID, author_id: UUID, row: Any, merged: Merge | None) -> Draft:
    steps: list[Step] = []
    if row["version"]:
        found = await conn.fetch(
            "SELECT number, title, at FROM config_draft_step WHERE tenant_id = $1 AND author_id = $2 ORDER BY number DESC", tenant_id, author_id
        )
        steps = [Step(r["number"], r["title"], r["at"]) for r in found]
    base = row["live"] if row["base_revision"] is None else row["base_revision"]
    return Draft(
        author_id, base, row["live"], row["bundle"], await examined(row["bundle"]), tuple(json.loads(row["data"])), row["version"], tuple(steps), merged
    )  # fmt: skip


async def _write(conn: Any, tenant_id: UUID, author_id: UUID, row: Any, raw: Mapping[str, Any], data: DataSteps, title: str, *, base: int | None = None) -> None:
    """Keep the draft as it was as a step, and the new one in its place."""
    await conn.execute(
        "INSERT INTO config_draft_step (tenant_id, author_id, number, title, base_revision, bundle, data) "
        "SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5::jsonb, $6::jsonb FROM config_draft_step WHERE tenant_id = $1 AND author_id = $2",
        tenant_id, author_id, title[:300], row["live"] if row["base_revision"] is None else row["base_revision"], row["bundle"], row["data"],
    )  # fmt: skip
    await conn.execute(
        "DELETE FROM config_draft_step WHERE tenant_id = $1 AND author_id = $2 AND number <= "
        "(SELECT max(number) - $3 FROM config_draft_step WHERE tenant_id = $1 AND author_id = $2)",
        tenant_id, author_id, KEPT_STEPS,
    )  # fmt: skip
    base = base if base is not None else row["base_revision"] if row["base_revision"] is not None else row["live"]
    await conn.execute(
        "INSERT INTO config_draft (tenant_id, author_id, base_revision, bundle, data) VALUES ($1, $2, $3, $4::jsonb, $5::jsonb) "
        "ON CONFLICT (tenant_id, author_id) DO UPDATE SET base_revision = $3, bundle = $4::jsonb, data = $5::jsonb, version = config_draft.version + 1, updated_at = now()",
        tenant_id, author_id, base, json.dumps(raw, ensure_ascii=False), json.dumps(data, ensure_ascii=False),
    )  # fmt: skip
