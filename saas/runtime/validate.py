"""What a record must satisfy before it is written: rights per field, types, required fields, references, rules.

Every check adds FieldProblems; the caller raises them all at once.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.errors import FieldProblem
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.compile import validate as validate_schema
from saas.metadata.config import Entity
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, prepare
from saas.runtime.permissions import right_sql
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement
from saas.tenants.ids import uuid_of

EMPTY = (None, "", [])


@dataclass(slots=True)
class Draft:
    """A record about to be written: `row` with the new values, `old` as stored (None when created), `changed` field keys."""

    entity: Entity
    row: Row
    old: Row | None
    access: Mapping[str, str]
    changed: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)  # put in by the configuration, their shape not looked at yet
    problems: list[FieldProblem] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)  # fields a transition asks for

    def problem(self, key: str, code: str, message: Any) -> None:
        declared = self.entity.fields.get(key)
        if declared is not None and declared.message and code not in ("forbidden", "read_only", "unknown_field"):
            message = pick(declared.message)
        self.problems.append(FieldProblem(field=key, code=code, message=message, path=f"/{key}" if key else ""))


@dataclass(frozen=True, slots=True)
class _Known:
    """What checking asks of a field each time, looked up once."""

    declared: FieldDef
    kind: FieldType
    is_list: bool
    has_problems: bool
    has_problems_among: bool
    bounds: Mapping[str, str]
    may_be_required: bool


def _known(ctx: Context, entity: Entity) -> dict[str, _Known]:
    """Declared and system fields by key, in their order."""

    def make() -> dict[str, _Known]:
        found = {}
        for key, declared in entity.fields.items():
            kind = field_types.get(declared.type)
            found[key] = _Known(
                declared, kind, kind.expr_type_of(declared, ctx.config) == "list", type(kind).problems is not FieldType.problems,
                type(kind).problems_among is not FieldType.problems_among, kind.bound_expressions(declared),
                bool(declared.required or declared.required_if) and not kind.computed and declared.type != "pipeline",
            )  # fmt: skip
        return found

    return ctx.config.cached(("validate.known", entity.key), make)


@dataclass(frozen=True, slots=True)
class _Sorts:
    """Which fields of an entity a check has to look at, each in the order of the fields."""

    checked: tuple[tuple[str, _Known], ...]  # `_check_field` can find something
    with_default: tuple[FieldDef, ...]
    frozen: frozenset[str]  # may become read-only
    links: tuple[FieldDef, ...]
    people: tuple[FieldDef, ...]


def _sorts(ctx: Context, entity: Entity) -> _Sorts:
    def make() -> _Sorts:
        known, declared = _known(ctx, entity), tuple(entity.declared.values())
        return _Sorts(
            tuple((k, f) for k, f in known.items() if not f.declared.system and (f.may_be_required or f.has_problems_among or f.bounds)),
            tuple(f for f in declared if f.default is not None), frozenset(f.key for f in declared if f.read_only_if),
            tuple(f for f in declared if f.type in ("ref", "m2m")),
            tuple(f for k, f in entity.fields.items() if known[k].kind.holds == "user" and (not f.system or k == "owner")),
        )  # fmt: skip

    return ctx.config.cached(("validate.sorts", entity.key), make)


class Foreseen(dict[str, Any]):
    """Values of a new record of which some were looked at already: `known` is what they become. It counts only where the same
    configuration, entity and rights look again (`way`)."""

    __slots__ = ("known", "way")

    def __init__(self, way: object, known: Mapping[str, Any]) -> None:
        super().__init__()
        self.way, self.known = way, known


def way_in(ctx: Context, entity: Entity, access: Mapping[str, str]) -> dict[str, tuple[FieldDef, Any, Any]]:
    """{field: (itself, its normalise, its problems if it has any of its own)} of those that may be given in a new record."""

    def make() -> dict[str, tuple[FieldDef, Any, Any]]:
        blank = Draft(entity, Row(id=UUID(int=0), entity=entity.key, version=0), None, access)
        return {
            key: (known.declared, known.kind.normalise, known.kind.problems if known.has_problems else None)
            for key, known in _known(ctx, entity).items()
            if not known.declared.system and access.get(key, "hidden") != "hidden" and _refusal(ctx, blank, known, set()) is None
        }

    return ctx.config.cached(("validate.way_in", entity.key, ctx.unrestricted, tuple(access.items())), make)


def foresee(ctx: Context, entity: Entity, way: Mapping[str, tuple[FieldDef, Any, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """What these values become in a new record; those about which there is something to say are left out."""
    known: dict[str, Any] = {}
    for key, value in values.items():
        found = way.get(key)
        if found is not None and value is not None:
            value = found[1](found[0], value, ctx.config)
            if value not in EMPTY:
                known[key] = value
    if validate_schema(ctx.config, entity.key, known, partial=True):
        return {}
    return {k: v for k, v in known.items() if (problems := way[k][2]) is None or not problems(way[k][0], v, ctx.config)}


def take_new(ctx: Context, draft: Draft, values: Mapping[str, Any]) -> None:
    """`take` of a new record, quicker where there is nothing to say about any value: this runs for each row of a table."""
    way = way_in(ctx, draft.entity, draft.access)
    known = values.known if isinstance(values, Foreseen) and values.way is way else {}
    if len(known) < len(values):
        left = foresee(ctx, draft.entity, way, {k: v for k, v in values.items() if k not in known})
        if len(known) + len(left) < len(values):
            return take(ctx, draft, values)
        known = {key: known[key] if key in known else left[key] for key in values}
    draft.row.values.update(known)
    draft.changed.update(known)
    return None


def take(ctx: Context, draft: Draft, values: Mapping[str, Any], *, also: Iterable[str] = ()) -> None:
    """Put given values into the draft: unknown and forbidden fields are problems, unchanged ones are passed over.

    `also`: fields a transition asks for, which may be set although the record cannot be edited otherwise.
    """
    draft.asked |= set(also)
    open_fields = draft.asked
    present: dict[str, Any] = {}
    fields = _known(ctx, draft.entity)
    for key, value in values.items():
        known = fields.get(key)
        declared = known.declared if known else None
        hidden = draft.access.get(key, "hidden") == "hidden" and key not in open_fields
        if known is None or hidden or (declared.system and key != "owner"):
            if declared is not None and declared.system and not hidden:
                continue  # what the engine keeps itself may be sent back unchanged or not: it is not taken
            draft.problem(key, "unknown_field", lazy("There is no field “%(key)s” here.", key=key))
            continue
        value = None if value is None else known.kind.normalise(declared, value, ctx.config)
        if draft.old is not None and draft.access.get(key) == "masked" and key not in open_fields:  # equal or not: the answer must not tell
            draft.problem(key, "forbidden", lazy("Your role may not change this field."))
            continue
        if (draft.old is not None or value is None) and (value != [] or known.is_list) and same(value, draft.row.get(key)):
            if draft.old is None and declared.default is not None:
                draft.row.values.setdefault(key, None)  # an explicit null keeps the default away
            continue
        reason = _refusal(ctx, draft, known, open_fields)
        if reason:
            draft.problem(key, *reason)
            continue
        present[key] = value
    _check_shape(ctx, draft, {k: v for k, v in present.items() if k != "owner"})
    broken = {p.field for p in draft.problems}
    for key, value in present.items():
        if key not in broken:  # defaults and conditions are computed of values that were understood
            put(draft, key, value)
    draft.unchecked -= set(present)


async def take_links(conn: Any, ctx: Context, draft: Draft) -> None:
    """Take back links to records the person may not read, before any expression looks at what is behind them."""
    for key in await forget_unreadable(conn, ctx, draft.entity, draft.row, draft.old):
        refuse_reference(draft, key)


async def forget_unreadable(conn: Any, ctx: Context, entity: Entity, row: Row, old: Row | None) -> list[str]:
    """Empty the link fields of `row` that newly name a record the person may not read; returns their keys."""
    if ctx.unrestricted:
        return []
    found = []
    for declared in entity.declared.values():
        if declared.type not in ("ref", "m2m") or not row.get(declared.key):
            continue
        ids = linked(row.get(declared.key)) - (linked(old.get(declared.key)) if old else set())
        target = ctx.config.entity(declared.options["to"])
        statement = Statement(ctx)
        scope = RecordScope(statement, target, "t")
        readable = right_sql("read", scope)
        if not ids or readable == "true":
            continue
        seen = await conn.fetchval(
            *statement.finish(
                f"SELECT count(*) FROM record t WHERE t.entity_id = {target.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')}) AND {readable}"
            )
        )
        if seen < len(ids):
            row.values[declared.key] = old.get(declared.key) if old else None
            found.append(declared.key)
    return found


def lay(ctx: Context, entity: Entity, row: Row, typed: Mapping[str, Any]) -> None:
    """What was typed, as far as it can be understood; conditions must not fail on half-typed input."""
    for key, value in typed.items():
        declared = entity.fields.get(key)
        if declared is None or field_types.get(declared.type).computed:
            continue
        if key == "owner":
            row.owner = UUID(value) if uuid_of(value) is not None else None
        elif not declared.system:
            kind = field_types.get(declared.type)
            value = None if value is None else kind.normalise(declared, value, ctx.config)
            if kind.holds and not kind.many and uuid_of(value) is None:
                value = None
            try:
                row.values[key] = value if value is None or kind.to_expr(declared, value, ctx.config) is not None else None
            except (ValueError, TypeError, KeyError, ArithmeticError):
                row.values[key] = None


def put(draft: Draft, key: str, value: Any) -> None:
    draft.unchecked.add(key)
    if key == "owner":
        try:
            draft.row.owner = UUID(str(value)) if value else None
        except ValueError:
            draft.problem("owner", "unknown_user", lazy("Choose one of the people offered."))
    else:
        draft.row.values[key] = value
    draft.changed.add(key)


def _check_shape(ctx: Context, draft: Draft, values: Mapping[str, Any]) -> None:
    """Whether each value is one its field can hold."""
    if not values:
        return
    draft.problems.extend(validate_schema(ctx.config, draft.entity.key, values, partial=True))
    broken = {p.field for p in draft.problems}
    fields = _known(ctx, draft.entity)
    for key, value in values.items():
        known = fields[key]
        if value is not None and known.has_problems and key not in broken:
            for code, message in known.kind.problems(known.declared, value, ctx.config):
                draft.problem(key, code, message)


def same(a: Any, b: Any) -> bool:
    """Whether two values of a field are one: nothing is nothing, however it is written."""
    return a == b or (a in EMPTY and b in EMPTY)


def _refusal(ctx: Context, draft: Draft, known: _Known, open_fields: set[str]) -> tuple[str, Any] | None:
    declared = known.declared
    if known.kind.computed:
        return "read_only", lazy("This value is computed and cannot be set.")
    if declared.type == "pipeline":
        return "read_only", lazy("The stage changes only through its transitions.")
    if ctx.unrestricted or declared.key in open_fields:
        pass
    elif draft.access.get(declared.key) in ("read", "masked"):
        return "forbidden", lazy("Your role may not change this field.")
    elif declared.read_only and ctx.origin != "sample":  # which tells what the product itself once wrote
        return "read_only", lazy("This field is read-only.")
    if declared.set_once and draft.old is not None and draft.old.get(declared.key) not in EMPTY and not ctx.unrestricted:
        return "set_once", lazy("This cannot change after it was first saved.")
    return None


async def defaults(conn: Any, ctx: Context, draft: Draft) -> None:
    """Fill what was not given: literal defaults, then expressions (which may read the former)."""
    if computed := literal_defaults(ctx, draft):
        computed_defaults(ctx, draft, computed, await prepare(conn, ctx, draft.entity, draft.row, [d.default["expr"] for d in computed]))


def literal_defaults(ctx: Context, draft: Draft) -> list[FieldDef]:
    """Fill in literals; returns the fields whose default is an expression."""
    row, computed = draft.row, []
    for declared in _sorts(ctx, draft.entity).with_default:
        if declared.key in row.values:
            continue
        if isinstance(declared.default, Mapping) and set(declared.default) == {"expr"}:
            computed.append(declared)
        else:
            row.values[declared.key] = field_types.get(declared.type).normalise(declared, declared.default, ctx.config)
            draft.changed.add(declared.key)
    return computed


def computed_defaults(ctx: Context, draft: Draft, fields: Iterable[FieldDef], env: RecordEnv) -> None:
    for declared in fields:
        value = env.evaluate(declared.default["expr"])
        if value is not None:
            draft.row.values[declared.key] = field_types.get(declared.type).from_expr(declared, value, ctx.config)
            draft.changed.add(declared.key)


async def check(conn: Any, ctx: Context, draft: Draft, *, held: Collection[tuple[str, UUID]] = ()) -> None:
    """All checks on the record as a whole, after values and defaults are in. `held`: records, by entity, that are known to be alive."""
    check_itself(ctx, draft, await prepare(conn, ctx, draft.entity, draft.row, own_texts(draft.entity), old=draft.old))
    await _check_frozen(conn, ctx, draft)
    await _check_references(conn, ctx, draft, held)
    await _check_people(conn, ctx, draft)
    await _check_files(conn, ctx, draft)
    await _check_tree(conn, ctx, draft)


def check_itself(ctx: Context, draft: Draft, env: RecordEnv) -> None:
    """What the record says by itself: shapes, required fields, bounds and rules. `env` can evaluate `own_texts`."""
    _check_shape(ctx, draft, {key: draft.row.values.get(key) for key in sorted(draft.unchecked) if key != "owner"})
    broken = {p.field for p in draft.problems}
    for key, known in _sorts(ctx, draft.entity).checked:
        if key not in broken:
            _check_field(ctx, draft, env, known)
    if not draft.problems:
        for rule in draft.entity.defn.rules:
            if not env.holds(rule.expr):
                draft.problems.append(
                    FieldProblem(
                        field=rule.field or "",
                        code=f"rule.{rule.key}",
                        message=pick(rule.message),
                        path=f"/{rule.field}" if rule.field else "",
                    )
                )


async def _check_frozen(conn: Any, ctx: Context, draft: Draft) -> None:
    """`read_only_if` looks at the record as it was (a new one: as it will be); what a transition asks for is open all the same."""
    keys = _limited_keys(ctx, draft)
    if keys:
        texts = [draft.entity.declared[k].read_only_if for k in keys]
        _refuse_frozen(draft, keys, await prepare(conn, ctx, draft.entity, draft.old or draft.row, texts))


def check_frozen_now(ctx: Context, draft: Draft, env: RecordEnv) -> None:
    """The same of a new record, whose `env` can evaluate `read_only_if` already."""
    _refuse_frozen(draft, _limited_keys(ctx, draft), env)


def _limited_keys(ctx: Context, draft: Draft) -> list[str]:
    if ctx.unrestricted:
        return []
    frozen = _sorts(ctx, draft.entity).frozen
    return [k for k in draft.changed if k in frozen and k not in draft.asked] if frozen else []


def _refuse_frozen(draft: Draft, keys: Iterable[str], env: RecordEnv) -> None:
    for key in keys:
        if env.holds(draft.entity.declared[key].read_only_if):
            draft.problem(key, "read_only", lazy("This field cannot be changed in this state."))


def own_texts(entity: Entity) -> list[str | None]:
    """The expressions that `check_itself` evaluates."""
    texts: list[str | None] = [rule.expr for rule in entity.defn.rules]
    for declared in entity.declared.values():
        texts += [declared.required_if, declared.visible_if]
        texts += field_types.get(declared.type).bound_expressions(declared).values()
    return texts


def _check_field(ctx: Context, draft: Draft, env: RecordEnv, known: _Known) -> None:
    declared = known.declared
    key, value = declared.key, draft.row.get(declared.key)
    if value in EMPTY:
        if not known.may_be_required:
            return
        was_filled = draft.old is None or key in draft.changed
        required = (declared.required and was_filled) or (declared.required_if and env.holds(declared.required_if))
        if required and (not declared.visible_if or env.holds(declared.visible_if)) and draft.access.get(key) != "hidden":
            draft.problem(key, "required", lazy("This field is required."))
    elif key in draft.changed:
        if known.has_problems_among:
            old = draft.old.get(key) if draft.old else None
            for code, message in known.kind.problems_among(declared, value, old, draft.row.values, ctx.config):
                draft.problem(key, code, message)
        if known.bounds:
            _check_bounds(ctx, draft, env, known, value)


def _check_bounds(ctx: Context, draft: Draft, env: RecordEnv, known: _Known, value: Any) -> None:
    """Bounds that are expressions; literal ones are the field type's own check."""
    kind, declared = known.kind, known.declared
    for name, text in known.bounds.items():
        limit = env.evaluate(text)
        if limit is None:
            continue
        limit = kind.from_expr(declared, limit, ctx.config)
        shown = kind.display(declared, limit, ctx.config, ctx.locale)
        ours, theirs = (kind.to_expr(declared, v, ctx.config) for v in (value, limit))
        if name == "min" and ours < theirs:
            draft.problem(declared.key, "too_early", lazy("Not before %(date)s.", date=shown))
        elif name == "max" and ours > theirs:
            draft.problem(declared.key, "too_late", lazy("Not after %(date)s.", date=shown))


async def _check_references(conn: Any, ctx: Context, draft: Draft, held: Collection[tuple[str, UUID]] = ()) -> None:
    """Referenced records must exist, not be deleted, be readable by the person and pass the field's candidate filter."""
    asked = {key: ids for key, ids in references_to_check(ctx, draft).items() if not _are_held(ctx, draft.entity.declared[key], ids, held)}
    if not asked:
        return
    statement, parts = Statement(ctx), []
    for key, ids in asked.items():
        declared = draft.entity.declared[key]
        scope = RecordScope(statement, ctx.config.entity(declared.options["to"]), "t", new={"entity": draft.entity, "id": draft.row.id, "values": draft.row.values})
        where = " AND ".join([*candidate_conditions(scope, declared), f"t.id = ANY({scope.param(list(ids), 'uuid[]')})"])
        parts.append(f"SELECT '{key}' AS field FROM record t WHERE {where}")
    found = Counter(r[0] for r in await conn.fetch(*statement.finish(" UNION ALL ".join(parts))))
    for key, ids in asked.items():
        if found[key] < len(ids):
            refuse_reference(draft, key)


def _are_held(ctx: Context, declared: FieldDef, ids: Iterable[UUID], held: Collection[tuple[str, UUID]]) -> bool:
    return ctx.unrestricted and not declared.options.get("filter") and all((declared.options["to"], id_) in held for id_ in ids)


def refuse_reference(draft: Draft, key: str) -> None:
    draft.problem(key, "unknown_record", lazy("Choose one of the records offered."))


def references_to_check(ctx: Context, draft: Draft) -> dict[str, set[UUID]]:
    """{link field: ids} of the links that are new, or judged anew."""
    broken = {p.field for p in draft.problems}
    asked: dict[str, set[UUID]] = {}
    for declared in _sorts(ctx, draft.entity).links:
        if declared.key in broken:
            continue
        ids = linked(draft.row.get(declared.key))
        if not (_filter_inputs(declared) & draft.changed):
            if declared.key not in draft.changed:
                continue
            # What stood there before may be kept, even if it was deleted or became unreadable since.
            ids -= linked(draft.old.get(declared.key)) if draft.old else set()
        if ids:
            asked[declared.key] = ids
    return asked


def linked(value: Any) -> set[UUID]:
    """The ids in the value of a field that links."""
    if value is None:
        return set()
    return {found for v in (value if isinstance(value, list) else [value]) if (found := _uuid_of(str(v))) is not None}


_uuid_of = functools.lru_cache(maxsize=4096)(uuid_of)  # many records link to the same few


def _filter_inputs(declared: FieldDef) -> set[str]:
    """Fields of the record that the candidate filter looks at: when they change, the choice is judged anew."""
    text = declared.options.get("filter")
    return {path[1] for path in ex.needs(ex.parse(text)).paths if path[0] == "new" and len(path) > 1} if text else set()


def candidate_conditions(scope: RecordScope, declared: FieldDef) -> list[str]:
    where = [f"t.entity_id = {scope.entity.number}", "t.deleted_at IS NULL", right_sql("read", scope)]
    if declared.options.get("filter"):
        where.append(ex.to_where(ex.parse(declared.options["filter"]), scope))
    return where


async def _check_people(conn: Any, ctx: Context, draft: Draft) -> None:
    """People newly chosen must be active and have one of the field's roles; of several, those who were there may stay."""
    if chosen := people_to_check(ctx, draft):
        refuse_people(draft, chosen, await active_people(conn, ctx, set().union(*chosen.values())))


def people_to_check(ctx: Context, draft: Draft) -> dict[str, set[UUID]]:
    """{field: ids} of the people newly chosen."""
    chosen: dict[str, set[UUID]] = {}
    for declared in _sorts(ctx, draft.entity).people:
        if declared.key not in draft.changed:
            continue
        kind = field_types.get(declared.type)
        kept = linked(draft.old.get(declared.key)) if kind.many and draft.old else set()
        if ids := linked(draft.row.get(declared.key)) - kept:
            chosen[declared.key] = ids
    return chosen


def refuse_people(draft: Draft, chosen: Mapping[str, set[UUID]], people: Mapping[str, set[str]]) -> None:
    """`people`: what `active_people` found of all that were chosen."""
    for key, ids in chosen.items():
        wanted = set(draft.entity.fields[key].options.get("roles") or ())
        found = [people.get(str(user_id)) for user_id in ids]
        if any(roles is None or (wanted and not wanted & roles) for roles in found):
            draft.problem(key, "unknown_user", lazy("Choose one of the people offered."))


async def active_people(conn: Any, ctx: Context, ids: Iterable[UUID]) -> dict[str, set[str]]:
    """{user id: role keys} of those that exist and are active."""
    found = await conn.fetch(
        "SELECT u.id, array(SELECT r.role_key FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id) "
        "FROM app_user u WHERE u.tenant_id = $1 AND u.id = ANY($2::uuid[]) AND u.status = 'active'",
        ctx.tenant_id, list(ids),
    )  # fmt: skip
    return {str(r[0]): set(r[1]) for r in found}


async def _check_files(conn: Any, ctx: Context, draft: Draft) -> None:
    for declared in draft.entity.declared.values():
        if declared.type not in ("file", "image") or declared.key not in draft.changed:
            continue
        ids = [UUID(v) for v in draft.row.get(declared.key) or () if uuid_of(v) is not None]
        if not ids:
            continue
        found = await conn.fetchval(
            "SELECT count(*) FROM file WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL "
            "AND (record_id = $3 OR (record_id IS NULL AND ($4::uuid IS NULL OR created_by = $4)))",
            ctx.tenant_id, ids, draft.row.id, ctx.user_id,
        )  # fmt: skip
        if found < len(set(ids)):
            draft.problem(declared.key, "unknown_file", lazy("This file is not there any more; please upload it again."))


async def _check_tree(conn: Any, ctx: Context, draft: Draft) -> None:
    tree = draft.entity.defn.tree
    if not tree or tree["parent"] not in draft.changed or not draft.row.get(tree["parent"]) or draft.problems:
        return
    # One move at a time: two that are each fine could make a ring together.
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", str(ctx.tenant_id), draft.entity.number)
    statement = Statement(ctx)
    scope = RecordScope(statement, draft.entity, "t")
    parent = scope.value_sql(draft.entity.fields[tree["parent"]])
    start = scope.param(UUID(draft.row.get(tree["parent"])), "uuid")
    found = await conn.fetch(
        *statement.finish(
            f"WITH RECURSIVE up AS (SELECT t.id, {parent} AS parent, 1 AS depth FROM record t WHERE t.entity_id = {draft.entity.number} AND t.id = {start} "
            f"UNION ALL SELECT t.id, {parent}, up.depth + 1 FROM record t JOIN up ON t.id = up.parent WHERE t.entity_id = {draft.entity.number} AND up.depth < 100) "
            "SELECT id, depth FROM up"
        )
    )
    if any(r[0] == draft.row.id for r in found):
        draft.problem(tree["parent"], "cycle", lazy("A record cannot stand below itself."))
    elif tree.get("max_depth") and len(found) + await _height(conn, draft, parent) > tree["max_depth"]:
        draft.problem(tree["parent"], "too_deep", lazy("At most %(count)s levels are allowed here.", count=tree["max_depth"]))


async def _height(conn: Any, draft: Draft, parent: str) -> int:
    """How many levels the record is with all that stands below it."""
    if draft.old is None:
        return 1
    return await conn.fetchval(
        f"WITH RECURSIVE down AS (SELECT $1::uuid AS id, 1 AS depth "
        f"UNION ALL SELECT t.id, down.depth + 1 FROM record t JOIN down ON {parent} = down.id "
        f"WHERE t.entity_id = {draft.entity.number} AND t.deleted_at IS NULL AND down.depth < 100) SELECT max(depth) FROM down",
        draft.row.id,
    )


__all__ = [
    "Draft",
    "Foreseen",
    "active_people",
    "candidate_conditions",
    "check",
    "check_frozen_now",
    "check_itself",
    "computed_defaults",
    "defaults",
    "foresee",
    "forget_unreadable",
    "lay",
    "linked",
    "literal_defaults",
    "own_texts",
    "people_to_check",
    "put",
    "references_to_check",
    "refuse_people",
    "refuse_reference",
    "take",
    "take_links",
    "take_new",
    "way_in",
]  # fmt: skip
