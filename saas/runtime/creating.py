"""Many new records of one entity in the order given: the steps of `records.create`, the database's part of them for all at once.

What one record says by itself (rights to fields, shapes, defaults, rules) is still looked at record by record. Whether links and
people exist, what is unique, numbers, rows, links, stages, history, tokens and the parents' rollups take one statement each for
all of them. A record goes the single way instead wherever its outcome, or what follows from it, could depend on the others:

- all of them, where an automation runs before or after a record is created, where field rights have conditions, where an
  expression looks at parents or children, or where reading a linked record depends on something computed (`goes_together`),
  and where a rule looks for similar records;
- one that has files, stands below another in a tree, is chosen by a candidate filter, or whose unique value or duplicate rule
  meets another record, in the database or earlier among these: the ones before it are written first;
- all of a group that could not be written after all, e.g. because somebody else took a unique value at this moment.

So the answer is the same as that of one `Create` after the other, also in which of two equal rows fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from saas.errors import AppError, InvalidInput, PermissionDenied
from saas.i18n import lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types, trigger_types
from saas.metadata.models import FieldDef
from saas.runtime import (
    events,
    ledgers,
    numbers,
    permissions,
    pricing,
    quota,
    ranks,
    records,
    rollups,
    search,
    twins,
    uniques,
    validate,
)
from saas.runtime.acts import Act, Happening
from saas.runtime.automations import of_children
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, requirements
from saas.runtime.pools import holding
from saas.runtime.portal import roles_of
from saas.runtime.rows import EncodedMany, Row, encode_many
from saas.runtime.segment_sql import isolates
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.validate import Draft
from saas.runtime.webhooks import hooks_of
from saas.tenants import new_id

T = TypeVar("T")
Alone = Callable[[Mapping[str, Any], datetime], Awaitable[UUID]]  # the single way: creates one record at a moment, or raises


@dataclass(slots=True)
class _Group:
    """Drafts on their way, and what the database said of the records they link to: {target: {id: (is it live, may it be read)}}."""

    act: Act
    entity: Entity
    linked: dict[str, dict[UUID, tuple[bool, bool]]] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        return self.act.ctx

    def env(self, row: Row) -> RecordEnv:
        return RecordEnv(self.ctx, self.entity, row)


async def create_many(act: Act, entity: Entity, rows: Sequence[Mapping[str, Any]], alone: Alone, *, confirm_duplicates: bool = False) -> list[UUID | AppError]:
    """Create what can be created; for each of `rows` the new id, or why there is none."""
    alike = any(matcher.similar for _, matcher in _asking_rules(act.ctx, entity, confirm_duplicates))  # no mark tells who is similar
    if len(rows) < 2 or alike or not permissions.may(act.ctx, "create", entity.key) or not goes_together(act.ctx, entity):
        return [await _tried(alone, values, _moment(act.ctx, place)) for place, values in enumerate(rows)]
    group = _Group(act, entity)
    drafts = []
    for place, values in enumerate(rows):
        drafts.append(_draft(group, values, place))
        await let_others(place)
    outcomes: list[UUID | AppError | None] = [None] * len(rows)
    await _take_links(group, drafts)
    for place, draft in enumerate(drafts):
        try:
            _complete(group, draft, rows[place])
        except AppError as error:
            outcomes[place] = error
        await let_others(place)
    await _check_links(group, drafts)
    await _check_people(group, drafts)
    for place, draft in enumerate(drafts):
        if draft.problems and outcomes[place] is None and not _stands_alone(group.ctx, draft):
            outcomes[place] = InvalidInput(draft.problems)
    claims = await _claims(group, [d for d, outcome in zip(drafts, outcomes, strict=True) if outcome is None], confirm_duplicates)
    together: list[int] = []

    async def write() -> None:
        for place, outcome in zip(together, await _write(group, [drafts[i] for i in together], claims, [rows[i] for i in together], alone), strict=True):
            outcomes[place] = outcome
        together.clear()

    for place, draft in enumerate(drafts):
        if outcomes[place] is not None:
            continue
        if draft.row.id in claims and not _stands_alone(group.ctx, draft):
            together.append(place)
            continue
        await write()
        outcomes[place] = await _tried(alone, rows[place], draft.row.created_at)
    await write()
    return [outcome for outcome in outcomes if outcome is not None]


def _moment(ctx: Context, place: int) -> datetime:
    """Records of one batch are a microsecond apart, so that lists keep their order."""
    return ctx.now + timedelta(microseconds=place)


async def _tried(alone: Alone, values: Mapping[str, Any], moment: datetime) -> UUID | AppError:
    try:
        return await alone(values, moment)
    except AppError as error:
        return error


async def let_others(place: int) -> None:
    """In a loop over many rows: requests of the same process need not wait for all of them."""
    if place % 25 == 24:
        await asyncio.sleep(0)


# ---- which may go together ---------------------------------------------------------------------------------------------------


def goes_together(ctx: Context, entity: Entity) -> bool:
    """Whether new records of this entity can be checked and written together for this person."""
    if ctx.viewer is not None or permissions.conditions(ctx, entity) or permissions.portals(ctx) or roles_of(ctx.config, entity.key):
        return False
    key = ("creating.together", entity.key, None if ctx.unrestricted else (ctx.user.role_keys, ctx.key))
    return ctx.config.cached(key, lambda: _is_plain(ctx, entity) and all(_is_settled(ctx, target) for target in _targets(ctx, entity)))


def _is_plain(ctx: Context, entity: Entity) -> bool:
    """Nothing runs when a record is created, and all that is computed of it is computed of its own values."""
    if isolates(ctx, entity):  # what nobody names is filled in from the maker's segments
        return False
    if holding.goes_alone(ctx, entity) or ledgers.over(ctx, entity.key) or pricing.of_lines(ctx, entity.key):  # each starts from what the one before it left
        return False
    if records.closable(ctx, entity):
        return False
    blank = Row(id=UUID(int=0), entity=entity.key, version=0)
    if hooks_of(ctx.config, entity.key):  # each tells of itself
        return False
    for kind in ("before_save", "create"):
        happening = Happening(kind, entity, blank, None, frozenset(entity.fields))
        if of_children(ctx.config, entity.key) or any(trigger_types.get(a.on.trigger).matches(a.on, happening) for a in ctx.config.automations(entity.key)):
            return False
    texts = [
        *validate.own_texts(entity), *(f.read_only_if for f in entity.declared.values()), *(rule.when for rule in entity.defn.unique),
        *(f.default["expr"] for f in entity.declared.values() if isinstance(f.default, Mapping) and set(f.default) == {"expr"}),
        *(permissions.create_conditions(ctx, entity.key) or ()),
    ]  # fmt: skip
    return _looks_only_at_itself(ctx, entity, texts)


def _is_settled(ctx: Context, target: Entity) -> bool:
    """Whether a record may be read does not change when others are made."""
    if ctx.unrestricted:
        return True
    texts = [rule.condition for rule in permissions.rules(ctx, "read", target.key)]
    return _looks_only_at_itself(ctx, target, texts, computed=False)


def _looks_only_at_itself(ctx: Context, entity: Entity, texts: Iterable[str | None], *, computed: bool = True) -> bool:
    env = RecordEnv(ctx, entity, Row(id=UUID(int=0), entity=entity.key, version=0))
    paths, children, _ranks = requirements(env, [ex.parse(text) for text in texts if text])
    if children or any(len(path) > 1 for path in paths):
        return False
    return computed or not any(path[0] in entity.fields and field_types.get(entity.fields[path[0]].type).computed for path in paths)


def _targets(ctx: Context, entity: Entity) -> list[Entity]:
    return [ctx.config.entity(f.options["to"]) for f in _links(ctx, entity)]


def _links(ctx: Context, entity: Entity) -> list[FieldDef]:
    return ctx.config.cached(("creating.links", entity.key), lambda: [f for f in entity.declared.values() if f.type in ("ref", "m2m")])


def _stands_alone(ctx: Context, draft: Draft) -> bool:
    tree, entity, values = draft.entity.defn.tree, draft.entity, draft.row.values
    if tree and values.get(tree["parent"]):
        return True
    apart = ctx.config.cached(("creating.apart", entity.key), lambda: [f.key for f in entity.declared.values() if f.type in ("file", "image") or (f.type in ("ref", "m2m") and f.options.get("filter"))])
    return any(values.get(key) for key in apart)


# ---- one record by itself ------------------------------------------------------------------------------------------------------


def _draft(group: _Group, values: Mapping[str, Any], place: int) -> Draft:
    """What was given, laid into a new record."""
    ctx, entity = group.ctx, group.entity
    moment = _moment(ctx, place)
    row = Row(id=new_id(moment), entity=entity.key, version=0, created_at=moment, updated_at=moment)
    row.created_by = row.updated_by = ctx.user_id
    draft = Draft(entity, row, None, permissions.static_access(ctx, entity))
    validate.take_new(ctx, draft, values)
    return draft


def _complete(group: _Group, draft: Draft, values: Mapping[str, Any]) -> None:
    """Owner, stage and defaults; then all that the record's own values decide. Errors: PermissionDenied."""
    ctx, entity, row = group.ctx, group.entity, draft.row
    records.default_owner(ctx, draft, values)
    if entity.pipeline:
        row.state = row.values[entity.pipeline.field] = entity.pipeline.initial
        row.state_since = row.created_at
    env = group.env(row)
    if computed := validate.literal_defaults(ctx, draft):
        validate.computed_defaults(ctx, draft, computed, env)
    conditions = permissions.create_conditions(ctx, entity.key)
    if conditions is not None and not any(env.holds(c) for c in conditions):
        raise PermissionDenied(lazy("Your role does not allow creating this here."), right="create", entity=entity.key)
    validate.check_itself(ctx, draft, env)
    validate.check_frozen_now(ctx, draft, env)


# ---- what the database knows, asked once for all -----------------------------------------------------------------------------


async def _look_at(group: _Group, wanted: Mapping[str, set[UUID]]) -> None:
    """Read into `group.linked` what is not there yet: one query a target."""
    for key, ids in wanted.items():
        known = group.linked.setdefault(key, {})
        missing = [i for i in ids if i not in known]
        if not missing:
            continue
        target, statement = group.ctx.config.entity(key), Statement(group.ctx)
        scope = RecordScope(statement, target, "t")
        found = await group.act.conn.fetch(
            *statement.finish(
                f"SELECT t.id, t.deleted_at IS NULL, coalesce({permissions.right_sql('read', scope)}, false) FROM record t "
                f"WHERE t.entity_id = {target.number} AND t.id = ANY({scope.param(missing, 'uuid[]')})"
            )
        )
        known.update({i: (False, False) for i in missing} | {r[0]: (r[1], r[2]) for r in found})


def _by_target(group: _Group, pairs: Iterable[tuple[FieldDef, set[UUID]]]) -> dict[str, set[UUID]]:
    wanted: dict[str, set[UUID]] = {}
    for declared, ids in pairs:
        wanted.setdefault(declared.options["to"], set()).update(ids)
    return wanted


async def _take_links(group: _Group, drafts: Sequence[Draft]) -> None:
    """Links to records the person may not read are taken back before anything is computed."""
    limited = [f for f in _links(group.ctx, group.entity) if not _reads_all(group, f.options["to"])]
    given = [(draft, declared, ids) for declared in limited for draft in drafts if (ids := validate.linked(draft.row.values.get(declared.key)))]
    await _look_at(group, _by_target(group, ((declared, ids) for _, declared, ids in given)))
    for draft, declared, ids in given:
        known = group.linked[declared.options["to"]]
        if not all(known[i][1] for i in ids):
            draft.row.values[declared.key] = None
            validate.refuse_reference(draft, declared.key)


def _reads_all(group: _Group, target: str) -> bool:
    """Then nothing is taken back: that there is no such record is found later."""
    return permissions.right_sql("read", RecordScope(Statement(group.ctx), group.ctx.config.entity(target), "t")) == "true"


async def _check_links(group: _Group, drafts: Sequence[Draft]) -> None:
    asked = [(draft, key, ids) for draft in drafts for key, ids in validate.references_to_check(group.ctx, draft).items()]
    await _look_at(group, _by_target(group, ((group.entity.declared[key], ids) for _, key, ids in asked)))
    for draft, key, ids in asked:
        known = group.linked[group.entity.declared[key].options["to"]]
        if not all(known[i] == (True, True) for i in ids):
            validate.refuse_reference(draft, key)


async def _check_people(group: _Group, drafts: Sequence[Draft]) -> None:
    chosen = [(draft, people) for draft in drafts if (people := validate.people_to_check(group.ctx, draft))]
    if chosen:
        ids = set().union(*(found for _, people in chosen for found in people.values()))
        active = await validate.active_people(group.act.conn, group.ctx, ids)
        for draft, people in chosen:
            validate.refuse_people(draft, people, active)


async def _claims(group: _Group, drafts: Sequence[Draft], confirmed: bool) -> dict[UUID, dict[str, str]]:
    """{record: {unique rule: value}} of those that meet no other record."""
    ctx, entity = group.ctx, group.entity
    wanted = {d.row.id: uniques.claims_of(entity, d.row, group.env(d.row)) for d in drafts}
    rules = _asking_rules(ctx, entity, confirmed)
    marked = {
        d.row.id: {
            (ctx.config.entity(matcher.target).number, mark)
            for rule, matcher in rules
            if d.changed & set(rule.match)
            for mark in twins.marks(ctx.config, entity, d.row, [matcher])
        }
        for d in drafts
    }
    seen: set[Any] = await uniques.taken(group.act.conn, ctx, entity, {item for claims in wanted.values() for item in claims.items()})
    seen |= await twins.marked(group.act.conn, ctx, set().union(*marked.values()) if marked else set())
    free = {}
    for draft in drafts:
        mine = {*wanted[draft.row.id].items(), *marked[draft.row.id]}
        if not mine & seen:
            free[draft.row.id] = wanted[draft.row.id]
        seen |= mine
    return free


def _asking_rules(ctx: Context, entity: Entity, confirmed: bool) -> list[Any]:
    """The duplicate rules that could refuse a record, with their matchers."""
    return [
        (rule, matcher)
        for rule, matcher in twins.own_rules(ctx.config, entity)
        if rule.action in ("block", "queue") or rule.confirm_roles or rule.reason or not (confirmed or ctx.unrestricted)
    ]


# ---- writing ------------------------------------------------------------------------------------------------------------------


async def _write(
    group: _Group, drafts: Sequence[Draft], claims: Mapping[UUID, Mapping[str, str]], rows: Sequence[Mapping[str, Any]], alone: Alone
) -> list[UUID | AppError]:
    """All of them, or if that fails one by one, so that the right ones are reported."""
    if len(drafts) > 1:
        try:
            async with group.act.conn.transaction():
                await _write_together(group, drafts, claims)
        except (AppError, asyncpg.DataError):
            pass
        else:
            for draft in drafts:
                group.act.effect("create", group.entity.key, draft.row.id)
            return [draft.row.id for draft in drafts]
    return [await _tried(alone, values, draft.row.created_at) for draft, values in zip(drafts, rows, strict=True)]


async def _write_together(group: _Group, drafts: Sequence[Draft], claims: Mapping[UUID, Mapping[str, str]]) -> None:
    """One statement a table. What the next statement writes is put together while the database is busy with the one before."""
    conn, ctx, entity = group.act.conn, group.ctx, group.entity
    made = [draft.row for draft in drafts]
    encoded, nothing = EncodedMany([{} for _ in made]), rollups.of_nothing(ctx, entity)
    late = {f.key for f in entity.declared.values() if f.type == "auto"} | nothing.keys()  # known when the numbers are given
    claimed = uniques.claim_many(conn, ctx, entity, {row.id: claims[row.id] for row in made})
    await _meanwhile(claimed, _encode(group, made, encoded, entity.declared.keys() - late))
    await _number(group, made)
    await _departments(group, made)
    for row in made:
        row.version = 1
        row.values.update(nothing)
    await _encode(group, made, encoded, late)
    begun = await _meanwhile(_insert(group, made, encoded), _beginnings(group, made))
    tokens = await _meanwhile(events.append_created(conn, ctx, entity, begun), _tokens(group, made))
    await search.index_fresh(conn, ctx, entity, tokens)
    for parent, relation, fields in rollups.relations_with_rollups(ctx, entity.key):
        parents = set().union(*(validate.linked(row.get(relation.field)) for row in made))
        await rollups.refresh_many(conn, ctx, parent, parents, fields)


async def _meanwhile(statements: Coroutine[Any, Any, None], thinking: Awaitable[T]) -> T:
    """Let the database work while something is computed that needs no database; both are over when this returns."""
    working = asyncio.create_task(statements)
    try:
        found = await thinking
    except BaseException:
        working.cancel()
        await asyncio.wait({working})
        raise
    await working
    return found


async def _beginnings(group: _Group, made: Sequence[Row]) -> list[events.Beginning]:
    found = []
    for place, row in enumerate(made):
        found.append(events.beginning(row, records.first_values(group.entity, row)))
        await let_others(place)
    return found


async def _tokens(group: _Group, made: Sequence[Row]) -> dict[UUID, set[str]]:
    ctx, entity = group.ctx, group.entity
    found = {}
    for place, row in enumerate(made):
        found[row.id] = search.tokens(search.searchable_text(ctx, entity, row)).union(twins.tokens(ctx.config, entity, row))
        await let_others(place)
    return found


async def _number(group: _Group, made: Sequence[Row]) -> None:
    for declared in group.entity.declared.values():
        without = [row for row in made if not row.values.get(declared.key)] if declared.type == "auto" and not declared.options.get("later") else []
        if without:
            given = await numbers.give(group.act.conn, group.ctx, group.entity, declared, [group.ctx.today] * len(without))
            for row, number in zip(without, given, strict=True):
                row.values[declared.key] = number


async def _departments(group: _Group, made: Sequence[Row]) -> None:
    in_pools = bool(group.entity.defn.pools)  # what nobody owns yet lies with the department of whoever brought it
    people = {row.id: row.owner or (row.created_by if in_pools else None) if group.entity.defn.owned else row.created_by for row in made}
    known = {group.ctx.user.id: group.ctx.user.department_id} if group.ctx.user else {}
    others = list({person for person in people.values() if person} - known.keys())
    if others:
        known |= dict(
            await group.act.conn.fetch(
                "SELECT DISTINCT ON (user_id) user_id, department_id FROM user_department WHERE tenant_id = $1 AND user_id = ANY($2::uuid[]) "
                "ORDER BY user_id, is_primary DESC",
                group.ctx.tenant_id, others,
            )
        )  # fmt: skip
    for row in made:
        row.department = known.get(people[row.id])


async def _encode(group: _Group, made: Sequence[Row], encoded: EncodedMany, keys: Collection[str]) -> None:
    for _ in encode_many(group.ctx.config, group.entity, [row.values for row in made], encoded, keys):
        await asyncio.sleep(0)


async def _insert(group: _Group, made: Sequence[Row], encoded: EncodedMany) -> None:
    """Rows, links and first stages."""
    ranks.wrote(group.entity, None)
    conn, ctx, entity = group.act.conn, group.ctx, group.entity
    columns: dict[str, tuple[str, list[Any]]] = {}
    for column, pg in records.OWN_COLUMNS.items():
        values = [getattr(row, records.ATTRIBUTES.get(column, column)) for row in made]
        if values.count(None) < len(values):
            columns[column] = (pg, values)
    columns["doc"] = ("jsonb", [json.dumps(doc, ensure_ascii=False) if doc else "{}" for doc in encoded.docs])
    columns |= encoded.columns
    # jsonb travels as text: an array of it would have to be quoted twice.
    arrays = ", ".join(f"${n}::{'text' if pg == 'jsonb' else pg}[]" for n, (pg, _) in enumerate(columns.values(), 2))
    chosen = ", ".join(f"n.{column}::jsonb" if pg == "jsonb" else f"n.{column}" for column, (pg, _) in columns.items())
    names = ", ".join(columns)
    sql = f"INSERT INTO record (tenant_id, entity_id, {names}) SELECT $1, {entity.number}, {chosen} FROM unnest({arrays}) AS n ({names})"
    await quota.write(conn, ctx, "records", len(made), [(sql, (ctx.tenant_id, *(values for _, values in columns.values())))])
    for key, lists in encoded.links.items():
        pairs = [(row.id, to) for row, tos in zip(made, lists, strict=True) for to in tos]
        if pairs:
            await conn.execute(
                "INSERT INTO record_link (tenant_id, entity_id, field_key, from_id, to_id) SELECT $1, $2, $3, f, t FROM unnest($4::uuid[], $5::uuid[]) AS n (f, t) "
                "ON CONFLICT DO NOTHING",
                ctx.tenant_id, entity.number, key, [f for f, _ in pairs], [t for _, t in pairs],
            )  # fmt: skip
    staged = [row for row in made if row.state is not None]
    if staged:
        await conn.execute(
            "INSERT INTO stage_history (tenant_id, entity_id, record_id, id, stage, entered_at, user_id) "
            "SELECT $1, $2, r, i, s, a, $3 FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[]) AS n (r, i, s, a)",
            ctx.tenant_id, entity.number, ctx.user_id, [row.id for row in staged], [new_id(row.created_at) for row in staged],
            [row.state for row in staged], [row.created_at for row in staged],
        )  # fmt: skip
