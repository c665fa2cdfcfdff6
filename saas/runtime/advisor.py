"""Is a view fast at the size this tenant has? Measured by running what the page runs, and explained by what no index serves.

A measure is kept per revision of the configuration, so that what an index changed can be seen beside what was before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.db.explain import Measured, Ran, measured
from saas.errors import AppError, BadRequest, NotFound, PermissionDenied, TooSlow
from saas.i18n import gettext as _
from saas.metadata.config import Config, Entity
from saas.metadata.models import ViewDef, WidgetDef
from saas.runtime import costs, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user
from saas.runtime.counts import record_counts
from saas.runtime.query import COUNT_CAP, MAX_SORTS
from saas.runtime.reports import load_widget
from saas.runtime.views import SavedView, default_columns, everything, peoples_views, saved_path

FAST_MS = 100.0  # all queries of one page together; a page has 150 (docs/performance.md)
SECONDS = 5.0  # so long may one query of a measurement take
ALL_SECONDS = 40.0  # so long are several measured in one go
COUNT_SECONDS = 30.0
KEPT = 5  # measures of one view
MOST_SAVED = 500  # views that people saved, the newest
NOTICE_SECONDS = 0.5  # a list that took so long says why, if an index would help


@dataclass(frozen=True, slots=True)
class Subject:
    """Something saved that reads records: a list, a board, a widget of a report or dashboard. `path` is its place in the bundle, or
    "saved[entity:key]" for what a person saved; such a one has no label where it is theirs alone, for they may have written into it
    what others must not know."""

    path: str
    kind: str  # list board widget
    entity: str
    label: Mapping[str, str]
    owner: Mapping[str, str] = field(default_factory=dict)  # the report's or dashboard's label
    view: ViewDef | None = None
    widget: WidgetDef | None = None
    person_id: UUID | None = None  # who saved it
    person: str = ""
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """How long the queries of a subject took, in milliseconds; `is_stopped` when they took longer than they might."""

    subject: str
    revision: int
    records: int
    milliseconds: float
    is_stopped: bool
    reading: Mapping[str, Any]
    measured_at: datetime

    @property
    def is_fast(self) -> bool:
        return not self.is_stopped and self.milliseconds <= FAST_MS


@dataclass(frozen=True, slots=True)
class Proposal:
    """A field whose index would help. `status`: open, building or ready (it has one: measure again)."""

    entity: str
    field: str
    use: str
    status: str = "open"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a subject. `state`: fast, slow, unknown (large, and never measured). `reason`: few (too few records to matter),
    measured, served (an index serves it), burdened (something no index serves)."""

    subject: Subject
    state: str
    reason: str
    records: int  # FEW or more are counted as FEW
    burdens: tuple[costs.Burden, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    now: Measure | None = None
    before: Measure | None = None
    is_stale: bool = False  # measured under an earlier configuration, and the index proposed then is ready


@dataclass(frozen=True, slots=True)
class Quota:
    """Fields with an index of their own: [(entity, field, status)], and how many there may be."""

    used: Sequence[tuple[str, str, str]]
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - len(self.used))


# ---- what there is ------------------------------------------------------------------------------------------------------


def subjects(config: Config) -> list[Subject]:
    """Everything saved that reads records of an entity, in the order of the bundle, and the lists of those without any."""
    listed = {v.entity for v in config.bundle.views if v.kind == "list"}
    views = [*(v for v in config.bundle.views if v.entity in config.entities), *(everything(e) for e in config.entities.values() if e.key not in listed)]
    found = [Subject(f"views[{v.entity}:{v.key}]", v.kind, v.entity, v.label, view=v) for v in views]
    for section, pages in (("dashboards", config.bundle.dashboards), ("reports", config.bundle.reports)):
        for page in pages:
            found += [
                Subject(f"{section}[{page.key}].widgets[{w.key}]", "widget", w.entity, w.label, page.label, widget=w)
                for w in page.widgets
                if w.entity in config.entities
            ]
    return found


async def subjects_of(ctx: Context) -> list[Subject]:
    """What the configuration has, and what people saved."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        saved = await peoples_views(conn, ctx, most=MOST_SAVED)
    return [*subjects(ctx.config), *(_saved(ctx, found) for found in saved)]


def _saved(ctx: Context, found: SavedView) -> Subject:
    view, shown = found.view, found.is_shared or found.user_id == ctx.user_id
    label = view.label if shown else {}
    return Subject(saved_path(view.entity, view.key), view.kind, view.entity, label, view=view, person_id=found.user_id, person=found.user_name, is_shared=found.is_shared)


async def subject_of(ctx: Context, path: str) -> Subject:
    """Errors: NotFound."""
    found = next((s for s in await subjects_of(ctx) if s.path == path), None)
    if found is None:
        raise NotFound()
    return found


def burdens_of(ctx: Context, subject: Subject) -> list[costs.Burden]:
    """What no index serves, from the configuration alone."""
    entity = ctx.config.entity(subject.entity)
    if subject.widget is not None:
        return costs.of_filter(ctx, entity, subject.widget.filter)
    assert subject.view is not None
    found = costs.of_filter(ctx, entity, subject.view.filter)
    return found if subject.kind == "board" else [*found, *costs.of_sort(ctx.config, entity, order_of(entity, subject.view) or ())]


def order_of(entity: Entity, view: ViewDef) -> tuple[str, ...] | None:
    """What the rows of a list are read by: the group first, in the direction asked for."""
    if not view.group or view.group not in entity.fields:
        return view.sort or None
    first = next((s for s in view.sort if s.removeprefix("-") == view.group), view.group)
    return (first, *(s for s in view.sort or ("-created_at",) if s.removeprefix("-") != view.group))[:MAX_SORTS]


# ---- what is known ------------------------------------------------------------------------------------------------------


async def verdicts(ctx: Context) -> list[Verdict]:
    """What is known of every subject, without measuring anything. Errors: PermissionDenied."""
    permissions.require_setting(ctx, "config")
    counts = await record_counts(ctx, most=costs.FEW)
    async with tenant_transaction(ctx.tenant_id) as conn:
        measures = await _measures(conn, ctx)
        statuses = await _statuses(conn, ctx)
    return [_verdict(ctx, s, counts.get(s.entity, 0), measures.get(s.path, []), statuses) for s in await subjects_of(ctx)]


async def quota(ctx: Context) -> Quota:
    """Fields that have or get an index of their own, by the live configuration."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        statuses = await _statuses(conn, ctx)
    used = [(e.key, key, statuses.get((e.key, key), "ready")) for e in ctx.config.entities.values() for key, f in e.declared.items() if f.indexed]
    return Quota(used, ctx.tenant.limits.indexed_fields)


def _verdict(ctx: Context, subject: Subject, count: int, measures: Sequence[Measure], statuses: Mapping[tuple[str, str], str]) -> Verdict:
    burdens = tuple(burdens_of(ctx, subject))
    now = measures[0] if measures else None
    before = next((m for m in measures[1:] if now and m.revision < now.revision), None)
    wanted = [Proposal(**p) for p in (now.reading.get("proposals", ()) if now else ())]
    proposals = tuple(Proposal(p.entity, p.field, p.use, _status(ctx, p, statuses)) for p in wanted if _exists(ctx, p))
    known = {"subject": subject, "records": count, "burdens": burdens, "now": now, "before": before}
    if now is not None:
        stale = now.revision < ctx.config.revision and any(p.status == "ready" for p in proposals)
        return Verdict(state="fast" if now.is_fast else "slow", reason="measured", proposals=proposals, is_stale=stale, **known)
    if count < costs.FEW:
        return Verdict(state="fast", reason="few", **known)
    if burdens or subject.kind != "list":  # figures and boards look at all records, indexes or not
        return Verdict(state="unknown", reason="burdened" if burdens else "served", **known)
    return Verdict(state="fast", reason="served", **known)


def _exists(ctx: Context, proposal: Proposal) -> bool:
    entity = ctx.config.entities.get(proposal.entity)
    return entity is not None and proposal.field in entity.declared


def _status(ctx: Context, proposal: Proposal, statuses: Mapping[tuple[str, str], str]) -> str:
    if not ctx.config.entity(proposal.entity).declared[proposal.field].indexed:
        return "open"
    return "ready" if statuses.get((proposal.entity, proposal.field)) == "ready" else "building"


async def _measures(conn: Any, ctx: Context) -> dict[str, list[Measure]]:
    """The measures of each subject, newest first."""
    rows = await conn.fetch(
        "SELECT subject, revision, records, milliseconds, is_stopped, reading, measured_at FROM view_measure WHERE tenant_id = $1 ORDER BY revision DESC", ctx.tenant_id
    )
    found: dict[str, list[Measure]] = {}
    for row in rows:
        found.setdefault(row["subject"], []).append(Measure(**{**dict(row), "reading": json.loads(row["reading"])}))
    return found


async def _statuses(conn: Any, ctx: Context) -> dict[tuple[str, str], str]:
    """How far the index of each field is: building, ready, failed, dropping."""
    rows = await conn.fetch("SELECT entity_id, column_name, status FROM field_index WHERE tenant_id = $1", ctx.tenant_id)
    known = {(row["entity_id"], row["column_name"]): row["status"] for row in rows}
    return {
        (entity.key, key): known[entity.number, column]
        for entity in ctx.config.entities.values()
        for key, column in entity.columns.items()
        if (entity.number, column) in known
    }


# ---- measuring ----------------------------------------------------------------------------------------------------------


async def measure(ctx: Context, path: str) -> Measure:
    """Run what the page of this subject runs, keep how long it took, and what would help. Takes at most some seconds. What a person
    saved runs with that person's rights, and nothing of what it finds is kept.
    Errors: PermissionDenied, NotFound, Unavailable; BadRequest for a saved view that names what is gone; RuntimeError inside a
    transaction."""
    permissions.require_setting(ctx, "config")
    subject = await subject_of(ctx, path)
    reader = ctx if subject.person_id is None else await context_for_user(ctx.tenant_id, subject.person_id, origin=ctx.origin, locale=ctx.locale)
    ran, matches = await _run(reader, subject)
    number = ctx.config.entity(subject.entity).number
    slow = ran.is_stopped or ran.milliseconds > FAST_MS
    proposals = propose(ctx, subject, matches=matches) if slow else []
    reading = {
        "rows_read": ran.rows_read, "queries": len(ran.queries), "pages": sum(q.pages for q in ran.queries), "indexes": sorted({i for q in ran.queries for i in q.indexes}),
        "matches": matches if subject.person_id is None else None, "proposals": [{"entity": p.entity, "field": p.field, "use": p.use} for p in proposals],
    }  # fmt: skip
    async with tenant_transaction(ctx.tenant_id, timeout_seconds=COUNT_SECONDS) as conn:
        count = await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1 AND entity_id = $2 AND deleted_at IS NULL", ctx.tenant_id, number)
        row = await conn.fetchrow(
            "INSERT INTO view_measure (tenant_id, subject, revision, records, milliseconds, is_stopped, reading) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb) "
            "ON CONFLICT (tenant_id, subject, revision) DO UPDATE SET records = $4, milliseconds = $5, is_stopped = $6, reading = $7::jsonb, measured_at = now() RETURNING measured_at",
            ctx.tenant_id, path, ctx.config.revision, count, round(ran.milliseconds, 2), ran.is_stopped, json.dumps(reading),
        )  # fmt: skip
        await conn.execute(
            "DELETE FROM view_measure WHERE tenant_id = $1 AND subject = $2 AND revision NOT IN "
            "(SELECT revision FROM view_measure WHERE tenant_id = $1 AND subject = $2 ORDER BY revision DESC LIMIT $3)",
            ctx.tenant_id, path, KEPT,
        )  # fmt: skip
    return Measure(path, ctx.config.revision, count, round(ran.milliseconds, 2), ran.is_stopped, reading, row["measured_at"])


async def measure_all(ctx: Context, paths: Iterable[str] | None = None) -> tuple[int, int]:
    """Measure these subjects, or all, the longest unmeasured first, until the time is up. Returns (how many were measured, how many there are)."""
    until = time.monotonic() + ALL_SECONDS
    wanted = list(paths) if paths is not None else [v.subject.path for v in sorted(await verdicts(ctx), key=lambda v: (v.now is not None, v.now.measured_at.timestamp() if v.now else 0))]
    done = 0
    for path in wanted:
        if time.monotonic() > until:
            break
        try:
            await measure(ctx, path)
        except (BadRequest, NotFound, PermissionDenied):
            if not path.startswith("saved["):  # its owner cannot open it either, or has just thrown it away
                raise
        done += 1
    return done, len(wanted)


async def _run(ctx: Context, subject: Subject) -> tuple[Measured, int | None]:
    """What the subject's page reads, and how many records it finds (up to 1,000; None when that is not known)."""
    ran, matches = Measured(), None
    started = time.perf_counter()
    try:
        async with measured(ctx.tenant_id, timeout_seconds=SECONDS) as ran:
            matches = await _read(ctx, subject)
    except TooSlow:
        ran.is_stopped = True
    except AppError:
        if not ran.is_stopped:
            raise
    if ran.is_stopped:  # what it took until then counts, too
        left = (time.perf_counter() - started) * 1000 - ran.milliseconds
        ran.queries.append(Ran(max(left, 0), 0, 0, frozenset(), sorts=False))
    return ran, matches


async def _read(ctx: Context, subject: Subject) -> int | None:
    entity = ctx.config.entity(subject.entity)
    if subject.widget is not None:
        view = await load_widget(ctx, subject.widget)
        if view["error"]:  # the widget says so calmly; who measures wants to know
            raise TooSlow(view["error"], seconds=SECONDS)
        return None
    assert subject.view is not None
    if subject.kind == "board":
        columns = await execute(ctx, ops.Board(entity=entity.key, view=subject.view.key))
        return sum(column.count for column in columns)
    access = permissions.static_access(ctx, entity)
    wanted = dict.fromkeys((*(subject.view.columns or default_columns(entity)), *([subject.view.group] if subject.view.group else [])))
    shown = [k for k in wanted if access.get(k, "hidden") != "hidden"]
    order = tuple(s for s in order_of(entity, subject.view) or () if s.removeprefix("-") == "id" or access.get(s.removeprefix("-")) in ("read", "write"))
    page = await execute(ctx, ops.List(entity=entity.key, view=subject.view.key, sort=order or None, fields=shown, limit=subject.view.page_size, count="capped"))
    return page.count.value if page.count else None


def propose(ctx: Context, subject: Subject, *, matches: int | None) -> list[Proposal]:
    """The fields whose index would help most, at most two. A filter that leaves few records is served best by an index of its field;
    one that leaves many, by an index of what the list is sorted by, which need not be read to its end."""
    burdens = [b for b in burdens_of(ctx, subject) if b.can_be_indexed and b.field is not None and not b.field.indexed]
    sorts, filters = [b for b in burdens if b.use == "sort"], [b for b in burdens if b.use == "filter"]
    entity = ctx.config.entity(subject.entity)
    narrow = matches is not None and matches < COUNT_CAP
    served = subject.view is not None and bool(costs.served_fields(ctx, entity, subject.view.filter))
    chosen = filters[:2] if filters and ((narrow and not served) or not sorts) else sorts[:1]
    return [Proposal(b.entity, b.field.key, b.use) for b in chosen if b.field is not None]


# ---- while somebody waits ------------------------------------------------------------------------------------------------


async def hint(ctx: Context, entity: Entity, seconds: float, filters: Sequence[Any], sorts: Sequence[str]) -> str:
    """What somebody is told whose list took `seconds`: which fields have no index, and what to do. "" where that is not the reason."""
    if seconds < NOTICE_SECONDS:
        return ""
    access = permissions.static_access(ctx, entity)
    found = [*(b for f in filters for b in costs.of_filter(ctx, entity, f)), *costs.of_sort(ctx.config, entity, sorts)]
    burdens = [b for b in found if b.can_be_indexed and b.field is not None and access.get(b.field.key, "hidden") != "hidden"][:2]
    if not burdens or (await record_counts(ctx, most=costs.FEW)).get(entity.key, 0) < costs.FEW:
        return ""
    return " ".join([_("This list is slow."), *(costs.burden_words(ctx.locale, b) for b in burdens), *costs.index_advice(ctx, burdens)])


__all__ = [
    "FAST_MS", "Measure", "Proposal", "Quota", "Subject", "Verdict", "burdens_of", "hint", "measure", "measure_all", "order_of", "propose", "quota", "subject_of", "subjects", "subjects_of", "verdicts",
]  # fmt: skip
