"""What every process knows of the installation without asking: its feature switches and the announcements of the moment. Asked for again
when older than some seconds, on the way of a request; while that takes, or the database is away, what was known holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saas.db import in_transaction, is_database_open, system_transaction, tenant_transaction
from saas.db.reading import uncounted
from saas.errors import AppError, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.ids import new_id

FRESH_SECONDS = 10.0
KINDS = ("info", "warning", "danger")
MOST = 500  # characters of an announcement


@dataclass(frozen=True, slots=True)
class Announcement:
    """`plans` and `tenants` empty: for everybody; else for those of either."""

    id: UUID
    kind: str
    texts: Mapping[str, str]
    from_at: datetime
    until_at: datetime
    plans: tuple[str, ...] = ()
    tenants: tuple[UUID, ...] = ()

    def is_for(self, tenant_id: UUID, plan_key: str, now: datetime) -> bool:
        chosen = (not self.plans and not self.tenants) or plan_key in self.plans or tenant_id in self.tenants
        return chosen and self.from_at <= now < self.until_at


@dataclass(frozen=True, slots=True)
class Platform:
    switches: Mapping[str, bool] = field(default_factory=dict)
    announcements: tuple[Announcement, ...] = ()


class _Known:
    platform = Platform()
    asked_at = -FRESH_SECONDS


def known() -> Platform:
    return _Known.platform


def forget() -> None:
    """The next request asks again: after an act of this process."""
    _Known.asked_at = -FRESH_SECONDS


async def refresh() -> Platform:
    """Ask again if it is time. Not inside a transaction, where it tells what was known."""
    now = time.monotonic()
    if now - _Known.asked_at < FRESH_SECONDS or in_transaction() or not is_database_open():
        return _Known.platform
    _Known.asked_at = now  # others go on with what was known meanwhile
    try:
        with uncounted():  # nobody's request asked for this
            async with system_transaction("operator_console") as conn:
                switches = await conn.fetch("SELECT key, is_on FROM feature_switch")
                found = await conn.fetch("SELECT * FROM announcement WHERE until_at > now() AND from_at < now() + interval '1 minute' ORDER BY from_at")
    except AppError:
        return _Known.platform
    _Known.platform = Platform({row["key"]: row["is_on"] for row in switches}, tuple(_announcement(row) for row in found))
    return _Known.platform


def _announcement(row: Any) -> Announcement:
    return Announcement(row["id"], row["kind"], {"en": row["text_en"], "zh_CN": row["text_zh_cn"]}, row["from_at"], row["until_at"], tuple(row["plans"]), tuple(row["tenants"]))


# ---- announcements -----------------------------------------------------------------------------------------------------------


async def announcements_for(tenant_id: UUID, plan_key: str, user_id: UUID) -> list[Announcement]:
    """Those of the moment for a person, without what they have taken away. Asks the database only where there are some."""
    now = datetime.now(UTC)
    found = [a for a in _Known.platform.announcements if a.is_for(tenant_id, plan_key, now)]
    if not found:
        return []
    async with tenant_transaction(tenant_id, only_reads=True) as conn:
        gone = {row[0] for row in await conn.fetch("SELECT announcement_id FROM announcement_dismissed WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)}
    return [a for a in found if a.id not in gone]


async def dismiss(tenant_id: UUID, user_id: UUID, announcement_id: UUID) -> None:
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("INSERT INTO announcement_dismissed (tenant_id, user_id, announcement_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", tenant_id, user_id, announcement_id)


async def announce(
    kind: str, texts: Mapping[str, str], from_at: datetime, until_at: datetime, *, plans: tuple[str, ...] = (), tenants: tuple[UUID, ...] = (), operator_id: UUID | None = None
) -> UUID:
    """Say something above the pages of tenants. `texts` has every language. Errors: InvalidInput."""
    problems = [FieldProblem(f"text_{locale}", "required", lazy("Say it in this language, too, in at most %(count)s characters.", count=MOST)) for locale in ("en", "zh_CN") if not 0 < len(texts.get(locale, "").strip()) <= MOST]
    if kind not in KINDS:
        problems.append(FieldProblem("kind", "unknown", lazy("Choose what kind it is.")))
    if until_at <= from_at:
        problems.append(FieldProblem("until", "invalid", lazy("The end must be after the beginning.")))
    if problems:
        raise InvalidInput(problems)
    made = new_id()
    async with system_transaction("operator_console") as conn:
        await conn.execute(
            "INSERT INTO announcement (id, kind, text_en, text_zh_cn, from_at, until_at, plans, tenants, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            made, kind, texts["en"].strip(), texts["zh_CN"].strip(), from_at, until_at, list(plans), list(tenants), operator_id,
        )
    forget()
    return made


async def list_announcements(*, limit: int = 100) -> list[dict[str, Any]]:
    """Newest first, with the addresses of chosen tenants."""
    async with system_transaction("operator_console") as conn:
        rows = await conn.fetch(
            "SELECT a.*, now() < a.from_at AS is_coming, now() >= a.until_at AS is_over, ARRAY(SELECT t.slug FROM tenant t WHERE t.id = ANY(a.tenants) ORDER BY 1) AS slugs "
            "FROM announcement a ORDER BY a.created_at DESC LIMIT $1", limit,
        )  # fmt: skip
    return [dict(row) for row in rows]


async def end_announcement(announcement_id: UUID) -> None:
    """Take it away now; one that has not begun is removed. Errors: NotFound."""
    async with system_transaction("operator_console") as conn:
        removed = await conn.fetchval("DELETE FROM announcement WHERE id = $1 AND from_at >= now() RETURNING 1", announcement_id)
        if not removed and not await conn.fetchval("UPDATE announcement SET until_at = now() WHERE id = $1 AND until_at > now() RETURNING 1", announcement_id):
            raise NotFound()
    forget()
