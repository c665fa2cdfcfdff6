"""The one door for changes of a tenant's configuration: plan, publish, revert, compare. Pages, API, console and provisioning all come
through here.

What is slow (reading the bundle, trying examples, looking at data) happens before the tenant's configuration is locked; publishing
itself is one transaction in which the revision, the work on existing data, the audit event and the end of the draft happen
together or not at all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import in_transaction, tenant_transaction
from saas.errors import Conflict, DefinitionProblem, InvalidDefinition, NotFound, PermissionDenied, PlanLimitReached
from saas.i18n import LazyLabel, LazyString, gettext, lazy, lazy_plural
from saas.metadata import drafts, evolve, fixes, slots, store
from saas.metadata import models as m
from saas.metadata.config import Config
from saas.metadata.evolve import Change
from saas.metadata.examined import sound
from saas.metadata.parse import examine, parse_bundle
from saas.metadata.quotas import IndexQuota, OwnEntities, indexed_fields, quota_problems, refusal, within
from saas.metadata.store import Revision, content_hash
from saas.runtime import backfill, impact, permissions
from saas.runtime.context import Context
from saas.runtime.data_steps import problems_of_steps
from saas.runtime.examples import ExampleResult, run_examples
from saas.runtime.impact import Impact, Survey
from saas.runtime.said import written
from saas.runtime.words import from_json, to_json
from saas.tenants import new_id, record_audit
from saas.tenants.limits import reached

KEPT_PLANS, KEPT_DAYS = 20, 7
FOLLOW_SECONDS = 2.0  # so long publishing waits for the work on existing data: small tenants see all of it at once
COUNTED = 10_000  # records a change touches are counted so far
Data = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a plan means. `problems` are {"path", "code", "message", "hint", "fixes": [{"key", "label"}]}; `seconds` is about how long
    the work on existing data takes in the background. `back_to` is the earlier revision it goes back to; `only_if_empty`: it may be
    published only while there are no records."""

    changes: tuple[Change, ...] = ()
    problems: tuple[Mapping[str, Any], ...] = ()
    impacts: tuple[Impact, ...] = ()
    examples: tuple[ExampleResult, ...] = ()
    seconds: float = 0.0
    back_to: int | None = None
    only_if_empty: bool = False

    @property
    def kind(self) -> str:
        """The gravest of the changes: safe, needs_backfill or destructive."""
        kinds = {c.kind for c in self.changes}
        return "destructive" if "destructive" in kinds else "needs_backfill" if "needs_backfill" in kinds else "safe"

    @property
    def obstacles(self) -> list[LazyString | str]:
        """Why it cannot be published as it is; empty when it can."""
        found: list[LazyString | str] = []
        if self.problems:
            found.append(lazy_plural("%(count)s problem must be solved first.", "%(count)s problems must be solved first.", len(self.problems)))
        if red := [e for e in self.examples if not e.passed]:
            found.append(lazy_plural("%(count)s example does not hold.", "%(count)s examples do not hold.", len(red)))
        return [*found, *(i.message for i in self.impacts if i.severity == "stop")]

    @property
    def can_publish(self) -> bool:
        return not self.obstacles

    def to_json(self) -> dict[str, Any]:
        return {
            "changes": to_json(self.changes), "problems": to_json(self.problems), "impacts": [i.to_json() for i in self.impacts],
            "examples": to_json(self.examples), "seconds": self.seconds, "back_to": self.back_to, "only_if_empty": self.only_if_empty,
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Report:
        return cls(
            changes=tuple(_change_of(from_json(c)) for c in stored.get("changes", ())),
            problems=tuple(from_json(p) for p in stored.get("problems", ())),
            impacts=tuple(Impact.from_json(i) for i in stored.get("impacts", ())),
            examples=tuple(ExampleResult(**from_json(e)) for e in stored.get("examples", ())),
            seconds=stored.get("seconds", 0.0), back_to=stored.get("back_to"), only_if_empty=stored.get("only_if_empty", False),
        )


@dataclass(frozen=True, slots=True)
class Pack:
    """The pack a configuration comes from, as it was before anything was merged into it."""

    bundle: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.bundle["pack"]["key"]

    @property
    def version(self) -> str:
        return self.bundle["pack"]["version"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle, the revision it goes on top of, and what that means. Publishing it publishes exactly this."""

    id: UUID
    base_revision: int
    hash: str
    bundle: Mapping[str, Any]
    data: Data
    report: Report
    created_at: datetime
    author_id: UUID | None = None
    pack: Pack | None = None

    @property
    def kind(self) -> str:
        return self.report.kind


def _change_of(stored: Mapping[str, Any]) -> Change:
    found = {f.name: stored[f.name] for f in fields(Change) if f.name in stored}
    if found.get("details"):
        found["details"] = tuple(evolve.Detail(**d) for d in found["details"])
    return Change(**found)


# ---- planning -----------------------------------------------------------------------------------------------------------


async def make_plan(
    ctx: Context, raw: Mapping[str, Any], *, data: Data = (), base_revision: int | None = None, seconds: float = impact.SECONDS, pack: Pack | None = None,
    back_to: int | None = None, only_if_empty: bool = False,
) -> Plan:  # fmt: skip
    """What publishing `raw` with the data steps would change, and what that means for the tenant's data, looked at for at most
    `seconds`. Kept, so that it can be published by its id; `pack` is then remembered as installed. `back_to`, `only_if_empty`: see Report.

    Errors: PermissionDenied; InvalidDefinition when nothing can be made of the bundle or the data steps (problems that somebody can
    solve are in the report); Conflict when `base_revision` is no longer live; RuntimeError inside a transaction.
    """
    permissions.require_setting(ctx, "config")
    bundle, problems = await asyncio.to_thread(examine, raw)
    if bundle is None:
        raise InvalidDefinition(problems, count=len(problems))
    async with tenant_transaction(ctx.tenant_id, snapshot=True) as conn:
        here = await _live(conn, ctx)
        if base_revision is not None and base_revision != here.config.revision:
            raise await store.stale(conn, ctx.tenant_id, base_revision, here.config.revision)
        raw, left_out = within(raw, bundle, index_quota(here)) if pack is not None else (raw, ())
        if left_out:
            bundle, problems = await asyncio.to_thread(examine, raw)
        problems = [*problems, *await _beyond(conn, here, raw, bundle)]
        if (over := await _over_plan(conn, here, raw, bundle, pack)) is not None:
            problems.append(DefinitionProblem("entities" if over.data["limit"] != "packs" else "pack", over.code, over.message))
        assert bundle is not None
        after = await _planned(conn, here, bundle)
        steps = await _with_usual_steps(conn, here, after, raw, data)
        _refuse(problems_of_steps(steps, after))
        survey = Survey(here, conn, after, raw=raw, data=steps, seconds=seconds)
        impacts = [*await impact.look(survey, sound=not problems), *(_left_out(here, after, place) for place in left_out)]
        changes = await _changes(conn, here, raw)
        work = _work(here.config, after, steps) if not problems else []
        estimated = await _estimate(survey, work)
    examples = [] if problems else await run_examples(ctx.replace(config=here.config), bundle)
    report = Report(tuple(changes), tuple(_problem(raw, p) for p in problems), tuple(impacts), tuple(examples), estimated, back_to, only_if_empty)
    return await _keep(ctx, here.config.revision, raw, steps, report, pack)


async def _live(conn: Any, ctx: Context) -> Context:
    """`ctx` under the configuration that is live at this moment, which may be newer than the request's."""
    number = await conn.fetchval("SELECT config_revision FROM tenant WHERE id = $1", ctx.tenant_id)
    if number == ctx.config.revision:
        return ctx
    tenant = ctx.tenant
    return ctx.replace(config=await store.current(ctx.tenant_id, number, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone))


async def _planned(conn: Any, ctx: Context, bundle: m.Bundle) -> Config:
    """The bundle compiled with the places its fields would get."""
    numbers, columns = await slots.preview(conn, ctx.tenant_id, bundle)
    tenant = ctx.tenant
    return Config(bundle, numbers=numbers, columns=columns, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone)


async def _with_usual_steps(conn: Any, ctx: Context, after: Config, raw: Mapping[str, Any], data: Data) -> list[Mapping[str, Any]]:
    """Going back to an earlier revision must always be possible: records in stages it does not have return to where they were, and
    those that were nowhere move to the stage before."""
    found = list(data) if isinstance(data, (list, tuple)) else data
    if not isinstance(found, list) or not await _was_live(conn, ctx, raw):
        return found
    for key, entity in ctx.config.entities.items():
        later = after.entities[key].pipeline if key in after.entities else None
        if entity.pipeline is None or later is None:
            continue
        before = later.initial
        for stage in entity.pipeline.stages:
            said = any(s.get("do") == "replace" and s.get("entity") == key and s.get("from") == stage.key for s in found)
            if later.stage(stage.key) is not None:
                before = stage.key
            elif not said:
                found.append({"do": "replace", "entity": key, "field": later.field, "from": stage.key, "to": before, "rest": True})
    return found


async def _was_live(conn: Any, ctx: Context, raw: Mapping[str, Any]) -> bool:
    """Whether an earlier revision was exactly this."""
    sql = "SELECT true FROM config_revision WHERE tenant_id = $1 AND hash = $2 AND number < $3 LIMIT 1"
    return bool(await conn.fetchval(sql, ctx.tenant_id, content_hash(raw), ctx.config.revision))


async def own_entities(conn: Any, ctx: Context) -> OwnEntities:
    """What the tenant's plan allows of entities that come from no pack."""
    rows = await conn.fetch("SELECT jsonb_path_query(bundle, '$.entities[*].key') #>> '{}' AS key FROM pack_install WHERE tenant_id = $1", ctx.tenant_id)
    limits = ctx.tenant.limits
    return OwnEntities(limits.custom_entities, limits.fields_per_entity, frozenset(row["key"] for row in rows))


async def _over_plan(conn: Any, ctx: Context, raw: Mapping[str, Any], bundle: m.Bundle | None, pack: Pack | None) -> PlanLimitReached | None:
    """The limit of the plan that publishing would go beyond. What is there already stays, and going back to it is always possible."""
    packs = ctx.tenant.limits.packs
    if pack is not None and packs is not None and pack.key not in packs:
        return reached("packs", packs)
    if bundle is None or (ctx.tenant.limits.custom_entities is None and ctx.tenant.limits.fields_per_entity is None):
        return None
    allowed = await own_entities(conn, ctx)
    if pack is not None:
        allowed = replace(allowed, of_packs=allowed.of_packs | {e["key"] for e in pack.bundle.get("entities", ())})
    found = None
    if (used := allowed.too_many(bundle, ctx.config.bundle)) is not None:
        found = reached("custom_entities", allowed.most, used)
    elif (wide := allowed.too_wide(bundle, ctx.config.bundle)) is not None:
        found = reached("fields_per_entity", allowed.fields, wide[1])
    return None if found is None or await _was_live(conn, ctx, raw) else found


def index_quota(ctx: Context) -> IndexQuota:
    """What the tenant's plan allows, and what the configuration of `ctx` has."""
    return IndexQuota(ctx.tenant.limits.indexed_fields, frozenset(indexed_fields(ctx.config.bundle)))


async def _beyond(conn: Any, ctx: Context, raw: Mapping[str, Any], bundle: m.Bundle | None) -> list[DefinitionProblem]:
    """Fields for whose index there is no room in the plan. Going back to what was live once is always possible."""
    found = quota_problems(bundle, index_quota(ctx))
    return [] if found and await _was_live(conn, ctx, raw) else found


def _left_out(ctx: Context, after: Config, place: tuple[str, str]) -> Impact:
    """What a plan says of a pack's field that comes without its index."""
    entity, key = after.entity(place[0]), place[1]
    text = lazy("%(why)s It comes without one.", why=refusal(LazyLabel(entity.defn.plural or entity.key), LazyLabel(entity.declared[key].label or key), index_quota(ctx).limit))
    return Impact("index_left_out", f"entities[{entity.key}].fields[{key}]", entity.key, key, text, 0, severity="info")


def _refuse(problems: Sequence[DefinitionProblem]) -> None:
    if problems:
        text = lazy("The configuration has problems, the first at “%(path)s”: %(message)s", path=problems[0].path, message=problems[0].message)
        raise InvalidDefinition(problems, text, count=len(problems))


def _problem(raw: Mapping[str, Any], problem: DefinitionProblem) -> dict[str, Any]:
    return {
        "path": problem.path, "code": problem.code, "message": problem.message, "hint": problem.hint,
        "fixes": [{"key": f.key, "label": f.label} for f in fixes.fixes_of(raw, problem)],
    }  # fmt: skip


async def _changes(conn: Any, ctx: Context, raw: Mapping[str, Any]) -> list[Change]:
    """The difference to the live configuration, with the number of records each change touches; none for the first one."""
    if not ctx.config.revision:
        return []
    text = await conn.fetchval("SELECT bundle FROM config_revision WHERE tenant_id = $1 AND number = $2", ctx.tenant_id, ctx.config.revision)
    changes = await asyncio.to_thread(evolve.compare, json.loads(text), raw)
    return [await _counted(conn, ctx, c) for c in changes]


async def _counted(conn: Any, ctx: Context, change: Change) -> Change:
    entity = ctx.config.entities.get(change.entity)
    if change.kind == "safe" or entity is None or entity.number <= 0:
        return change
    lens = impact.Lens(Survey(ctx, conn, ctx.config, raw={}), entity.key)
    where = [impact.live(entity)]
    if change.stage is not None:
        where.append(f"t.state = {lens.statement.param(change.stage, 'text')}")
    elif change.field in entity.fields:
        where.append(lens.is_filled(change.field, before=True))
        if change.value is not None:
            where.append(f"{lens.before.path((change.field,))[0]} = {lens.statement.param(change.value, 'text')}")
    sql = f"SELECT count(*) FROM (SELECT 1 FROM record t WHERE {' AND '.join(where)} LIMIT {COUNTED}) c"
    return change.with_records(await conn.fetchval(*lens.statement.finish(sql)))


def _work(before: Config, after: Config, data: Data) -> list[Any]:
    """What must be done to existing records, in order."""
    return backfill.derive(before, after, [s for s in data if s.get("do") != "role"])


async def _estimate(survey: Survey, work: Sequence[Any]) -> float:
    totals = {}
    for entity in survey.before.entities.values():
        try:
            totals[entity.key] = await survey.total(entity)
        except impact.OutOfTime:
            break
    return backfill.estimate(work, totals)


async def _keep(ctx: Context, base: int, raw: Mapping[str, Any], data: Data, report: Report, pack: Pack | None) -> Plan:
    plan_id, hash_ = new_id(), content_hash(raw)
    async with tenant_transaction(ctx.tenant_id) as conn:
        created_at = await conn.fetchval(
            "INSERT INTO config_plan (tenant_id, id, base_revision, hash, bundle, data, report, author_id, pack) "
            "VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7::jsonb, $8, $9::jsonb) RETURNING created_at",
            ctx.tenant_id, plan_id, base, hash_, written(raw), written(data), written(report.to_json()), ctx.user_id, written(pack.bundle) if pack else None,
        )  # fmt: skip
        await remove_old_plans(conn, ctx.tenant_id)
        facts = {"base": base, "hash": hash_, "changes": len(report.changes), "problems": len(report.problems), "can_publish": report.can_publish}
        await record_audit(conn, ctx.tenant_id, "config.planned", actor_id=ctx.user_id, target=str(plan_id), request_id=ctx.request_id, data=facts)
    return Plan(plan_id, base, hash_, raw, tuple(data), report, created_at, ctx.user_id, pack)


async def remove_old_plans(conn: Any, tenant_id: UUID) -> None:
    """Plans are kept for a week, the newest ones longer."""
    await conn.execute(
        "DELETE FROM config_plan WHERE tenant_id = $1 AND created_at < now() - make_interval(days => $2) "
        "AND id NOT IN (SELECT id FROM config_plan WHERE tenant_id = $1 ORDER BY created_at DESC, id DESC LIMIT $3)",
        tenant_id, KEPT_DAYS, KEPT_PLANS,
    )  # fmt: skip


async def get_plan(ctx: Context, plan_id: UUID | str) -> Plan:
    """A plan as it was made. Errors: PermissionDenied, NotFound."""
    permissions.require_setting(ctx, "config")
    try:
        wanted = plan_id if isinstance(plan_id, UUID) else UUID(plan_id)
    except ValueError:
        raise NotFound(lazy("There is no such plan.")) from None
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT id, base_revision, hash, bundle, data, report, created_at, author_id, pack FROM config_plan WHERE tenant_id = $1 AND id = $2",
            ctx.tenant_id, wanted,
        )  # fmt: skip
    if row is None:
        raise NotFound(lazy("There is no such plan."))
    found = dict(row)
    return Plan(**{**found, "bundle": json.loads(found["bundle"]), "data": tuple(json.loads(found["data"])), "report": Report.from_json(json.loads(found["report"])), "pack": Pack(json.loads(found["pack"])) if found["pack"] else None})


# ---- publishing ---------------------------------------------------------------------------------------------------------


async def publish(
    ctx: Context, *, plan_id: UUID | str | None = None, raw: Mapping[str, Any] | None = None, base_revision: int | None = None, data: Data = (),
    message: str = "", pack: Pack | None = None, only_if_empty: bool = False,
) -> Revision:  # fmt: skip
    """Make a plan, or a bundle with its data steps, the live configuration of the tenant. Without `base_revision` a bundle goes on top
    of the revision `ctx` sees. `pack` is remembered as installed; `only_if_empty` refuses when there are records by now.

    Errors: PermissionDenied; InvalidDefinition with every problem, red example and impact that stops it; Conflict when somebody
    published meanwhile (its data says who and what), or the plan is not kept any more; RuntimeError inside a transaction.
    """
    permissions.require_setting(ctx, "config")
    permissions.require_active(ctx)
    back_to = None
    if plan_id is not None:
        try:
            plan = await get_plan(ctx, plan_id)
        except NotFound as error:
            raise Conflict(lazy("This plan is not there any more. Make it again.")) from error
        raw, data, base_revision, pack = plan.bundle, plan.data, plan.base_revision, pack or plan.pack
        back_to, only_if_empty = plan.report.back_to, only_if_empty or plan.report.only_if_empty
    if raw is None:
        raise TypeError("publish() takes a plan or a bundle")
    base = ctx.config.revision if base_revision is None else base_revision
    ready = await _prepare(ctx, raw, data, base, pack=pack)
    event, facts = ("config.reverted", {"to": back_to}) if back_to is not None else ("config.published", None)
    return await _commit(ctx, ready, base, message, event=event, facts=facts, pack=pack, only_if_empty=only_if_empty)


async def revert(ctx: Context, number: int, *, base_revision: int | None = None, data: Data = (), message: str = "") -> Revision:
    """Publish an earlier revision again, as a new one. Fields that come back find their values again. Errors: as publish, NotFound."""
    permissions.require_setting(ctx, "config")
    permissions.require_active(ctx)
    if not 0 < number <= store.MAX_REVISION:
        raise NotFound(lazy("There is no such revision of the configuration."))
    earlier = await store.revision(ctx.tenant_id, number)
    base = ctx.config.revision if base_revision is None else base_revision
    ready = await _prepare(ctx, earlier.bundle or {}, data, base)
    text = message or gettext("Revert to revision %(number)s", number=number)
    return await _commit(ctx, ready, base, text, event="config.reverted", facts={"to": number})


async def install(ctx: Context, raw: Mapping[str, Any], *, author_id: UUID | None = None) -> Revision:
    """A pack as the first configuration of a new tenant, in the caller's transaction: there are no data yet to look at. It comes with as
    many indexes of single fields as the tenant's plan allows.
    Errors: InvalidDefinition; Conflict when there is a configuration already."""
    bundle = await sound(raw)
    pack = Pack(raw)
    packs = ctx.tenant.limits.packs
    if packs is not None and pack.key not in packs:
        raise reached("packs", packs)
    raw, left_out = within(raw, bundle, index_quota(ctx))
    if left_out:
        bundle = await sound(raw)
    return await _commit(ctx, _Ready(raw, bundle, (), ()), 0, f"{pack.key} {pack.version}", event="config.published", pack=pack, author_id=author_id)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A bundle that may be published on its base, and the work that follows. `before` and `places`: the configuration it follows, and
    the places its fields would get, from which the work was derived."""

    raw: Mapping[str, Any]
    bundle: m.Bundle
    data: Data
    work: Sequence[Any]
    before: Config | None = None
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


async def _prepare(ctx: Context, raw: Mapping[str, Any], data: Data, base: int, *, pack: Pack | None = None) -> _Ready:
    """Everything that takes time, before anything is locked."""
    bundle = await asyncio.to_thread(parse_bundle, raw)
    async with tenant_transaction(ctx.tenant_id, snapshot=True) as conn:
        here = await _live(conn, ctx)
        if base != here.config.revision:
            raise await store.stale(conn, ctx.tenant_id, base, here.config.revision)
        raw, left_out = within(raw, bundle, index_quota(here)) if pack is not None else (raw, ())
        if left_out:
            bundle = await asyncio.to_thread(parse_bundle, raw)
        _refuse(await _beyond(conn, here, raw, bundle))
        if (over := await _over_plan(conn, here, raw, bundle, pack)) is not None:
            raise over
        after = await _planned(conn, here, bundle)
        steps = await _with_usual_steps(conn, here, after, raw, data)
        _refuse(problems_of_steps(steps, after))
        _refuse_gift(here, after, steps)
        stops = await impact.look(Survey(here, conn, after, raw=raw, data=steps), only_stops=True)
        work = _work(here.config, after, steps)
    _refuse([DefinitionProblem(i.path, i.code, i.message) for i in stops if i.severity == "stop"])
    red = [e for e in await run_examples(ctx.replace(config=here.config), bundle) if not e.passed]
    _refuse([DefinitionProblem(f"examples[{e.key}]", "example_failed", e.message) for e in red])
    return _Ready(raw, bundle, steps, work, here.config, {key: {**entity.columns, **entity.places} for key, entity in after.entities.items()})


def _refuse_gift(ctx: Context, after: Config, data: Data) -> None:
    """Who shapes the configuration without being an administrator makes no role, and gives none, that holds more of the settings
    than theirs. Raises PermissionDenied."""
    for key, role in after.roles.items():
        before = ctx.config.roles.get(key)
        grown = before is None or (role.admin and not before.admin) or not set(role.settings) <= set(before.settings)
        given = any(s.get("do") == "role" and s.get("to") == key for s in data)
        if (grown or given) and not permissions.may_give(ctx, role):
            raise PermissionDenied(lazy("The role “%(role)s” would hold more than yours. Only an administrator can publish this.", role=LazyLabel(role.label or key)))


async def _commit(
    ctx: Context, ready: _Ready, base: int, message: str, *, event: str, facts: Mapping[str, Any] | None = None, pack: Pack | None = None, author_id: UUID | None = None,
    only_if_empty: bool = False,
) -> Revision:  # fmt: skip
    """All of it in one transaction."""
    author = author_id or ctx.user_id
    async with tenant_transaction(ctx.tenant_id) as conn:
        made = await store.publish(
            ctx.tenant_id, ready.raw, base_revision=base, message=message[:500], author_id=author, data=ready.data, bundle=ready.bundle
        )
        if only_if_empty and await has_records(conn, ctx.tenant_id):  # one being added at this very moment stays, hidden with its entity
            raise Conflict(lazy("Records were added here meanwhile, so the configuration cannot simply be put in the place of this one. Look at it again."))
        for step in ready.data:
            if step.get("do") == "role":
                await _give_role(conn, ctx, step)
        work = await _settled_work(conn, ctx, ready)
        job = await backfill.enqueue_steps(conn, ctx, work, made.number) if work else None
        if pack is not None:
            await _remember(conn, ctx, pack, made.number)
        known = {"base": base, "hash": made.hash, **({"job": str(job)} if job else {}), **(facts or {})}
        await record_audit(conn, ctx.tenant_id, event, actor_id=author, target=str(made.number), request_id=ctx.request_id, data=known)
        await drafts.forget_published(conn, ctx.tenant_id, author, made.hash, ready.data)
    if job is not None and not in_transaction():
        await backfill.follow(ctx, job, FOLLOW_SECONDS)
    return made


async def has_records(conn: Any, tenant_id: UUID) -> bool:
    """Whether the tenant has any record at all, deleted ones and those of removed entities included."""
    numbers = [row[0] for row in await conn.fetch("SELECT id FROM entity WHERE tenant_id = $1", tenant_id)]
    return await conn.fetchval("SELECT EXISTS (SELECT 1 FROM record WHERE entity_id = ANY($1::int[]))", numbers)


async def _settled_work(conn: Any, ctx: Context, ready: _Ready) -> Sequence[Any]:
    """What was derived, or derived again: when a purge ended meanwhile, fields have been given other places than it seemed."""
    if ready.before is None:
        return ready.work
    numbers, columns = await slots.load(conn, ctx.tenant_id, ready.bundle)
    if {key: {name: place.rpartition(":")[2] for name, place in found.items()} for key, found in columns.items()} == ready.places:
        return ready.work
    tenant = ctx.tenant
    after = Config(ready.bundle, numbers=numbers, columns=columns, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone)
    return _work(ready.before, after, ready.data)


async def _give_role(conn: Any, ctx: Context, step: Mapping[str, Any]) -> None:
    """The people of a role get another one instead."""
    people = await conn.fetch("DELETE FROM user_role WHERE tenant_id = $1 AND role_key = $2 RETURNING user_id", ctx.tenant_id, step["from"])
    if people and step.get("to"):
        await conn.execute(
            "INSERT INTO user_role (tenant_id, user_id, role_key) SELECT $1, unnest($2::uuid[]), $3 ON CONFLICT DO NOTHING",
            ctx.tenant_id, [p["user_id"] for p in people], step["to"],
        )  # fmt: skip
    for person in people:
        facts = {"role": step["from"], "instead": step.get("to")}
        await record_audit(conn, ctx.tenant_id, "user.roles_changed", actor_id=ctx.user_id, target=str(person["user_id"]), request_id=ctx.request_id, data=facts)


async def _remember(conn: Any, ctx: Context, pack: Pack, revision: int) -> None:
    await conn.execute(
        "INSERT INTO pack_install (tenant_id, pack_key, version, bundle, revision) VALUES ($1, $2, $3, $4::jsonb, $5) "
        "ON CONFLICT (tenant_id, pack_key) DO UPDATE SET version = $3, bundle = $4::jsonb, revision = $5, installed_at = now()",
        ctx.tenant_id, pack.key, pack.version, written(pack.bundle), revision,
    )  # fmt: skip


# ---- looking back -------------------------------------------------------------------------------------------------------


async def compare_revisions(ctx: Context, a: int, b: int) -> list[Change]:
    """What changed from revision `a` to revision `b`, whichever came first. Errors: PermissionDenied, NotFound."""
    permissions.require_setting(ctx, "config")
    for number in (a, b):
        if not 0 < number <= store.MAX_REVISION:
            raise NotFound(lazy("There is no such revision of the configuration."))
    one, two = await store.revision(ctx.tenant_id, a), await store.revision(ctx.tenant_id, b)
    return await asyncio.to_thread(evolve.compare, one.bundle, two.bundle)


__all__ = [
    "Pack", "Plan", "Report", "compare_revisions", "get_plan", "has_records", "index_quota", "install", "make_plan", "own_entities", "publish", "remove_old_plans", "revert",
]  # fmt: skip
