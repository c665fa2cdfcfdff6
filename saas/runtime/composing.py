"""Entry forms: a record with the records it refers to and its lines, made or changed in one act. Each of them goes through the same
functions as alone, so every right and rule holds; what is wrong with any of them is said at once, at its place, and nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.errors import FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FormDef, FormPartDef
from saas.runtime import permissions, pricing
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, fill, read_row, requirements
from saas.runtime.operations import Entered
from saas.runtime.records import create, delete, reprice, update
from saas.runtime.rows import Row
from saas.runtime.validate import EMPTY, Draft, defaults, forget_unreadable, lay
from saas.tenants import new_id

MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What a part is about: its entity, and the field that links the two (of the main record for a `ref`, of the line for a list)."""

    entity: Entity
    link: str


def forms_of(ctx: Context) -> list[FormDef]:
    """The entry forms the person may use to make something."""
    return [f for f in ctx.config.bundle.forms if may_use(ctx, f) and permissions.may(ctx.replace(form=f.key), "create", f.entity)]


def may_use(ctx: Context, form: FormDef) -> bool:
    return not form.roles or permissions.is_admin(ctx) or bool(ctx.user and set(form.roles) & set(ctx.user.role_keys))


def form_called(ctx: Context, key: str) -> FormDef:
    """Errors: NotFound, PermissionDenied."""
    found = next((f for f in ctx.config.bundle.forms if f.key == key), None)
    if found is None:
        raise NotFound(lazy("There is no entry form “%(key)s” here.", key=key))
    if not may_use(ctx, found):
        raise PermissionDenied(lazy("Your role does not use this form."))
    return found


def target_of(ctx: Context, form: FormDef, part: FormPartDef) -> Target:
    main = ctx.config.entity(form.entity)
    if part.ref is not None:
        return Target(ctx.config.entity(main.fields[part.ref].options["to"]), part.ref)
    relation = main.children[part.list or ""]
    return Target(ctx.config.entity(relation.child), relation.field)


async def compose(act: Act, form: FormDef, record_id: UUID | None, main: Entered, parts: Mapping[str, Entered | Sequence[Entered] | None], *, confirm_duplicates: bool = False) -> Row:
    """Make (or change, with an id) the main record with its parts. Errors: InvalidInput with paths such as /parts/lines/0/price,
    PermissionDenied, NotFound, StaleVersion, DuplicateFound."""
    act = act.under(form=form.key)
    act.heads = []  # the lines that are sent are written first: a price in them that nobody touched follows, too
    run = _Run(act, form, confirm_duplicates)
    run.known(parts)
    values = dict(main.values)
    run.allowed(values, (*form.fields, *(p.ref for p in form.parts if p.ref)), "")
    for part in form.parts:
        given = parts.get(part.key)
        if part.ref is not None and isinstance(given, Entered):
            made = await run.referred(part, given)
            if made is not None:
                values[part.ref] = str(made)
    row = await run.main(record_id, replace(main, values=values))
    # Without the main record lines are looked at all the same: what is wrong with them is said now, not after the next attempt.
    run.made[form.entity] = run.parent = str(row.id) if row is not None else str(new_id(act.ctx.now))
    for part in form.parts:
        given = parts.get(part.key)
        if part.list is not None and given is not None:
            await run.lines(part, [given] if isinstance(given, Entered) else given, is_new=record_id is None)
        elif part.list is not None and part.min and record_id is None:
            run.too_few(part)
    if run.problems or row is None:
        raise InvalidInput(run.problems)
    heads, act.heads = act.heads, None
    for head in heads:
        await reprice(act, *head)
    return row


class _Run:
    def __init__(self, act: Act, form: FormDef, confirm_duplicates: bool) -> None:
        self.act, self.form, self.confirmed = act, form, confirm_duplicates
        self.ctx = act.ctx
        self.problems: list[FieldProblem] = []
        self.failed: set[str] = set()  # fields of the main record whose own record could not be made
        self.made: dict[str, str] = {}  # entity -> the record of it that is entered here
        self.parent = ""

    def known(self, parts: Mapping[str, Any]) -> None:
        for key in parts:
            if self.form.part(key) is None:
                self.problem("", key, "unknown_part", lazy("There is no part “%(key)s” in this form.", key=key))

    def allowed(self, values: dict[str, Any], fields: Sequence[str | None], path: str) -> None:
        for key in [k for k in values if k not in fields]:
            del values[key]
            self.problem(path, key, "unknown_field", lazy("There is no field “%(key)s” here.", key=key))

    def problem(self, path: str, key: str, code: str, message: Any) -> None:
        self.problems.append(_placed(FieldProblem(field=key, code=code, message=message, path=f"/{key}"), path))

    # ---- one record each ------------------------------------------------------------------------------------------------

    async def main(self, record_id: UUID | None, given: Entered) -> Row | None:
        entity = self.ctx.config.entity(self.form.entity)
        return await self._written(entity, record_id, given, "", besides=self.failed)

    async def referred(self, part: FormPartDef, given: Entered) -> UUID | None:
        """The record the main one is to refer to: the one picked, or a new one."""
        target, path = target_of(self.ctx, self.form, part), part.key
        values = dict(given.values)
        self.allowed(values, part.fields, path)
        if all(v in EMPTY for v in values.values()):
            found = given.id
        else:
            filled = self._filled(target.entity, values)
            row = await self._written(target.entity, given.id, replace(given, values=filled), path)
            found = row.id if row is not None else None
            if found is None:
                self.failed.add(target.link)
        if found is not None:
            self.made[target.entity.key] = str(found)
        return found

    async def lines(self, part: FormPartDef, given: Sequence[Entered], *, is_new: bool) -> None:
        target = target_of(self.ctx, self.form, part)
        if len(given) > MOST_LINES:
            self.problem("", part.key, "too_many", lazy("At most %(count)s lines fit in one form.", count=MOST_LINES))
            return
        kept = 0
        for number, line in enumerate(given):
            path = f"{part.key}.{number}"
            if line.delete:
                if line.id is not None:
                    await self._deleted(target.entity, line, path)
                continue
            values = dict(line.values)
            self.allowed(values, part.fields, path)
            if line.id is None and all(v in EMPTY for v in values.values()):
                continue  # an empty line that was offered
            kept += 1
            await self._named(part, target.entity, values, path)
            if line.id is None:
                values = {**self._filled(target.entity, values), target.link: self.parent}
            await self._written(target.entity, line.id, replace(line, values=values), path, besides={target.link})
        if is_new and kept < part.min:
            self.too_few(part)

    def too_few(self, part: FormPartDef) -> None:
        self.problem("", part.key, "too_few", lazy("Enter at least %(count)s.", count=part.min))

    async def _named(self, part: FormPartDef, entity: Entity, values: dict[str, Any], path: str) -> None:
        """Records that a line names by what they are to be called."""
        for key in part.creates:
            given = values.get(key)
            if isinstance(given, Mapping):
                inner = given.get("values")
                target = self.ctx.config.entity(entity.fields[key].options["to"])
                row = await self._written(target, None, Entered(values=inner if isinstance(inner, Mapping) else {}), f"{path}.{key}")
                values[key] = str(row.id) if row is not None else None

    def _filled(self, entity: Entity, values: Mapping[str, Any]) -> dict[str, Any]:
        """References to what is entered here already: the contact's customer is the opportunity's."""
        mine = {f.key: self.made[f.options["to"]] for f in entity.declared.values() if f.type == "ref" and f.options["to"] in self.made and f.options["to"] != entity.key}
        return {**{k: v for k, v in mine.items() if values.get(k) in EMPTY}, **{k: v for k, v in values.items() if v not in EMPTY or k not in mine}}

    async def _written(self, entity: Entity, record_id: UUID | None, given: Entered, path: str, *, besides: set[str] | None = None) -> Row | None:
        """None where something is wrong with it, which is kept for the end. `besides`: fields about which nothing is to be said, as
        they wait for another record."""
        try:
            async with self.act.conn.transaction():
                if record_id is None:
                    return await create(self.act, entity, given.values, confirm_duplicates=self.confirmed)
                return await update(self.act, entity, record_id, given.values, version=given.version, confirm_duplicates=self.confirmed)
        except InvalidInput as error:
            found = [p for p in error.problems if isinstance(p, FieldProblem) and p.field not in (besides or ())]
            self.problems += [_placed(p, path) for p in found]
            if not found and not error.problems:
                raise
            return None

    async def _deleted(self, entity: Entity, line: Entered, path: str) -> None:
        assert line.id is not None
        await delete(self.act, entity, line.id, version=line.version)


# ---- what a form would give, while it is typed ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A list part as it would be: of each line what is computed of it, {field: text}, and what its figures add up to, {field: text}.
    Without a part it is the record itself, and `totals` are what is computed of it."""

    part: FormPartDef | None
    entity: Entity
    lines: list[dict[str, str]]
    totals: dict[str, str]


async def foresee(conn: Any, ctx: Context, form: FormDef, main: Entered, parts: Mapping[str, Any]) -> list[Foreseen]:
    """Nothing is written, and no right but to read is asked."""
    ctx = ctx.replace(form=form.key)
    entity = ctx.config.entity(form.entity)
    values = dict(main.values)
    for part in form.parts:
        given = parts.get(part.key)
        if part.ref is not None and isinstance(given, Entered) and given.id is not None:
            values[part.ref] = str(given.id)
    above = await _imagined(conn, ctx, entity, values)
    found = []
    if computed := computed_of(ctx, form):
        found.append(Foreseen(None, entity, [], {k: _text(ctx, entity, k, above.value((k,))) for k in computed}))
    for part in form.parts:
        if part.list is None:
            continue
        target = target_of(ctx, form, part)
        access = permissions.static_access(ctx, target.entity)
        shown = [k for k in part.fields if access.get(k) in ("read", "write")]
        lines, sums = [], dict.fromkeys(_added_up(ctx, target.entity, shown), Decimal(0))
        for line in parts.get(part.key) or ():
            if line.delete or (line.id is None and all(v in EMPTY for v in line.values.values())):
                lines.append({})
                continue
            env = await _imagined(conn, ctx, target.entity, {k: v for k, v in line.values.items() if not isinstance(v, Mapping) or "values" not in v}, {target.link: above})
            stored = await read_row(conn, ctx, target.entity, line.id) if line.id is not None and pricing.of_lines(ctx, target.entity.key) else None
            priced = await pricing.foresee(conn, ctx, env, stored)
            lines.append({k: _text(ctx, target.entity, k, env.value((k,))) for k in shown if k in priced or field_types.get(target.entity.fields[k].type).computed})
            for key in sums:
                sums[key] += Decimal(env.value((key,)) or 0)
        found.append(Foreseen(part, target.entity, lines, {k: _text(ctx, target.entity, k, v) for k, v in sums.items()}))
    return found


def computed_of(ctx: Context, form: FormDef) -> list[str]:
    """Formulas of the record on the form that a typed record has already: those that stand on nothing which comes with what is saved
    (its rollups, its children, its number)."""
    entity = ctx.config.entity(form.entity)
    access = permissions.static_access(ctx, entity)

    def known(key: str) -> bool:
        env = RecordEnv(ctx, entity, Row(id=new_id(ctx.now), entity=entity.key, version=0))
        paths, children, ranks = requirements(env, [ex.Path((key,))])
        return not children and not ranks and not any(entity.fields[p[0]].type in ("rollup", "auto") for p in paths if p[0] in entity.fields)

    return [k for k in form.fields if entity.fields[k].type == "formula" and access.get(k) in ("read", "write") and known(k)]


async def _imagined(conn: Any, ctx: Context, entity: Entity, typed: Mapping[str, Any], parents: Mapping[str, RecordEnv] | None = None) -> RecordEnv:
    """A record that is not there yet, with all that its formulas need."""
    row = Row(id=new_id(ctx.now), entity=entity.key, version=0, created_at=ctx.now, updated_at=ctx.now)
    lay(ctx, entity, row, typed)
    await forget_unreadable(conn, ctx, entity, row, None)
    await defaults(conn, ctx, Draft(entity, row, None, permissions.static_access(ctx, entity)))
    env = RecordEnv(ctx, entity, row)
    env.parents.update(parents or {})
    await fill(conn, env, [ex.Path((f.key,)) for f in entity.declared.values() if f.type == "formula"])
    return env


def _added_up(ctx: Context, entity: Entity, keys: Sequence[str]) -> list[str]:
    """Computed figures, else amounts: unit prices beside them, or quantities of different things, mean nothing together."""
    summable = [k for k in keys if field_types.get(entity.fields[k].type).result_of(entity.fields[k], ctx.config)[0].summable]
    computed = [k for k in summable if entity.fields[k].type == "formula"]
    return computed or [k for k in summable if field_types.get(entity.fields[k].type).additive]


def _text(ctx: Context, entity: Entity, key: str, value: Any) -> str:
    field = entity.fields[key]
    kind = field_types.get(field.type)
    try:
        return "" if value is None else kind.display(field, kind.from_expr(field, value, ctx.config), ctx.config, ctx.locale)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return ""


def _placed(problem: FieldProblem, path: str) -> FieldProblem:
    """The problem where it stands in the form: `lines.0.price`."""
    if not path:
        return problem
    field = f"{path}.{problem.field}" if problem.field else path
    return replace(problem, field=field, path="/parts/" + field.replace(".", "/"))


def labels(ctx: Context, form: FormDef) -> Iterator[tuple[FormPartDef, Target, str]]:
    """Each part with what it is about and what it is called."""
    main = ctx.config.entity(form.entity)
    for part in form.parts:
        target = target_of(ctx, form, part)
        standard = main.fields[part.ref].label if part.ref else main.children[part.list or ""].label
        yield part, target, pick(part.label, ctx.locale) or pick(standard, ctx.locale)
