"""What an entry form shows: the main record's fields, for each record it refers to a picker and the fields of a new one, and the lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from litestar.datastructures import FormMultiDict
from markupsafe import Markup

from saas.errors import AppError, DuplicateFound, FieldProblem, InvalidInput
from saas.i18n import gettext as _
from saas.i18n import pick, titled
from saas.metadata.config import Entity
from saas.metadata.models import FormDef, FormPartDef
from saas.runtime import Context, composing, execute
from saas.runtime import operations as ops
from saas.runtime.forms import form_state
from saas.tenants.ids import uuid_of
from saas.ui.forms import Drawing, duplicates_view, form_values
from saas.ui.guards import whole_number
from saas.ui.views import DuplicatesView, Problem

SPARE = 1  # empty lines offered on a new form
NEW = ".new"  # the control beside a reference in a line that takes the name of a new record


@dataclass(frozen=True, slots=True)
class LineView:
    number: int
    id: str
    version: int | None
    fields: list[Markup]
    has_error: bool


@dataclass(frozen=True, slots=True)
class PartView:
    key: str
    label: str
    icon: str
    pick: Markup | None = None  # of a record it refers to: the search for one that is there
    fields: list[Markup] = field(default_factory=list)
    lines: list[LineView] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    error: str = ""
    is_list: bool = False
    names: str = ""  # the control in which a new one's name is typed: it offers those that are there
    picked: bool = False


@dataclass(frozen=True, slots=True)
class ComposedView:
    title: str
    action: str
    live_url: str
    cancel_url: str
    list_url: str
    entity_plural: str
    submit: str
    fields: list[Markup]
    parts: list[PartView]
    version: int | None
    problem_title: str
    problems: tuple[Problem, ...]
    duplicates: DuplicatesView | None = None
    conflict: None = None  # what the partial of problems asks of every form
    more: None = None


# ---- bodies --------------------------------------------------------------------------------------------------------------


def below(form: FormMultiDict, prefix: str) -> FormMultiDict:
    return FormMultiDict([(k[len(prefix) :], v) for k, v in form.multi_items() if k.startswith(prefix)])


def entered(ctx: Context, form_def: FormDef, form: FormMultiDict, record_id: UUID | None) -> tuple[ops.Entered, dict[str, Any]]:
    """What was typed, as the door takes it."""
    entity = ctx.config.entity(form_def.entity)
    main = ops.Entered(values=form_values(ctx, entity, form, form_def.fields), id=record_id, version=whole_number(str(form.get("version") or "")))
    parts: dict[str, Any] = {}
    for part, target, _label in composing.labels(ctx, form_def):
        if part.ref is not None:
            mine = below(form, f"{part.key}.")
            chosen = uuid_of(mine.get("id"))
            parts[part.key] = ops.Entered(id=chosen) if chosen else ops.Entered(values=form_values(ctx, target.entity, mine, part.fields))
        else:
            parts[part.key] = [_line(ctx, part, target.entity, below(form, f"{part.key}.{number}.")) for number in numbers(form, part.key)]
    return main, parts


def numbers(form: FormMultiDict, key: str) -> list[int]:
    return sorted({int(m[1]) for name in form if (m := re.match(rf"{re.escape(key)}\.(\d{{1,4}})\.", name))})


def _line(ctx: Context, part: FormPartDef, entity: Entity, form: FormMultiDict) -> ops.Entered:
    values = form_values(ctx, entity, form, part.fields)
    for key in part.creates:
        text = str(form.get(f"{key}{NEW}") or "").strip()
        if text and not values.get(key):
            values[key] = {"values": {ctx.config.entity(entity.fields[key].options["to"]).defn.title: text}}
    return ops.Entered(values=values, id=uuid_of(form.get("id")), version=whole_number(str(form.get("version") or "")), delete=form.get("delete") == "1")


async def stored(ctx: Context, form_def: FormDef, record_id: UUID) -> tuple[ops.Record, ops.Entered, dict[str, Any]]:
    """A record with its parts as they are. Errors: NotFound."""
    record = await execute(ctx, ops.Get(entity=form_def.entity, id=record_id))
    parts: dict[str, Any] = {}
    for part, target, _label in composing.labels(ctx, form_def):
        if part.ref is not None:
            parts[part.key] = ops.Entered(id=uuid_of(record.values.get(part.ref)))
        else:
            page = await execute(ctx, ops.List(entity=target.entity.key, filter={"field": target.link, "op": "eq", "value": str(record_id)}, sort=("created_at",), limit=composing.MOST_LINES))
            parts[part.key] = [ops.Entered(values={k: r.values.get(k) for k in part.fields}, id=r.id, version=r.version) for r in page.records]
    return record, ops.Entered(values={k: record.values.get(k) for k in form_def.fields}, id=record_id, version=record.version), parts


# ---- drawing -------------------------------------------------------------------------------------------------------------


async def view(
    conn: Any, ctx: Context, form_def: FormDef, main: ops.Entered, parts: Mapping[str, Any], *, error: AppError | None = None, more: str = "", title: str = ""
) -> ComposedView:
    """`more`: the list part of which another line is wanted."""
    ctx = ctx.replace(form=form_def.key)
    entity = ctx.config.entity(form_def.entity)
    problems = [p for p in error.problems if isinstance(p, FieldProblem)] if isinstance(error, InvalidInput) else []
    live = composing.computed_of(ctx, form_def)  # shown below, as they change while one types
    drawn = await _record(conn, ctx, entity, main, [k for k in form_def.fields if k not in live], "", problems)
    views = [await _part(conn, ctx, form_def, main, part, target, label, parts.get(part.key), problems, more=more == part.key) for part, target, label in composing.labels(ctx, form_def)]
    url = f"/entry/{form_def.key}" + (f"/{main.id}" if main.id else "")
    return ComposedView(
        title or pick(form_def.label, ctx.locale), url, f"/entry/{form_def.key}/live", f"/r/{entity.key}/{main.id}" if main.id else f"/r/{entity.key}", f"/r/{entity.key}",
        pick(entity.defn.plural, ctx.locale), _("Save"), drawn, views, main.version, _problem_title(error), tuple(_summary(ctx, form_def, problems)),
        duplicates_view(entity, error) if isinstance(error, DuplicateFound) else None,
    )  # fmt: skip


def _problem_title(error: AppError | None) -> str:
    if error is None or isinstance(error, DuplicateFound):
        return ""
    return str(type(error).title) if error.problems else str(error.message)


def _of(problems: Sequence[FieldProblem], path: str) -> list[FieldProblem]:
    """Those of one record, named by its own fields."""
    if not path:
        return [p for p in problems if "." not in p.field]
    return [FieldProblem(p.field[len(path) :], p.code, p.message, p.path) for p in problems if p.field.startswith(path)]


async def _record(conn: Any, ctx: Context, entity: Entity, given: ops.Entered, keys: Sequence[str], named: str, problems: Sequence[FieldProblem], *, creates: Sequence[str] = ()) -> list[Markup]:
    names = {k: str(v["values"].get(ctx.config.entity(entity.fields[k].options["to"]).defn.title, "")) for k, v in given.values.items() if k in creates and isinstance(v, Mapping)}
    typed = {k: None if k in names else v for k, v in given.values.items()}
    state = await form_state(ctx, entity.key, record_id=given.id if not named or "." in named.rstrip(".") else None, typed=typed)
    prefix = f"f-{named.replace('.', '-')}".rstrip("-")
    drawing = Drawing(ctx, entity, state, prefix=prefix, typed=typed, problems=_of(problems, named), named=named)
    shown = [k for k in keys if k in state.fields and state.fields[k].access in ("read", "write") and (state.fields[k].visible or named)]
    if "." in named.rstrip("."):  # a line: what is computed of it stands below, as soon as there is something to compute
        shown = [k for k in shown if state.fields[k].access == "write" or state.values.get(k) not in (None, "", []) or _of(problems, f"{named}{k}")]
    await drawing.load(conn, shown)
    found = []
    for key in shown:
        html = (await drawing.field(key, alone=key not in creates)).html
        if key in creates:
            html = Markup('<div class="compose-pair">{}<input class="input" name="{}" value="{}" placeholder="{}" aria-label="{}" maxlength="255"></div>').format(
                html, f"{named}{key}{NEW}", names.get(key, ""), _("or the name of a new one"), titled(pick(entity.fields[key].label, ctx.locale), _("or the name of a new one"))
            )
        found.append(html)
    return found


async def _part(conn: Any, ctx: Context, form_def: FormDef, main: ops.Entered, part: FormPartDef, target: composing.Target, label: str, given: Any, problems: Sequence[FieldProblem], *, more: bool) -> PartView:
    icon, error = target.entity.defn.icon, next((str(p.message) for p in problems if p.field == part.key), "")
    if part.ref is not None:
        given = given if isinstance(given, ops.Entered) else ops.Entered()
        entity = ctx.config.entity(form_def.entity)
        typed = {part.ref: str(given.id) if given.id else None}
        own = [FieldProblem(part.ref, p.code, p.message, p.path) for p in problems if p.field == part.ref]
        drawing = Drawing(ctx, entity, await form_state(ctx, entity.key, record_id=main.id, typed=typed), prefix=f"f-{part.key}-pick", typed=typed, problems=own)
        await drawing.load(conn, [part.ref])
        pick_html = (await drawing.field(part.ref, name=f"{part.key}.id", label=_("Search for one that is there"), required=False, force=True, alone=False)).html
        fields = await _record(conn, ctx, target.entity, ops.Entered(values=given.values), part.fields, f"{part.key}.", problems)
        title = target.entity.defn.title
        return PartView(part.key, label, icon, pick_html, fields, error=error, names=f"{part.key}.{title}" if title in part.fields else "", picked=given.id is not None)
    lines = list(given or ())
    while len(lines) < max(part.min, SPARE if main.id is None else 0) or more:
        lines.append(ops.Entered())
        more = False
    shown = [
        LineView(n, str(x.id or ""), x.version, await _record(conn, ctx, target.entity, x, part.fields, f"{part.key}.{n}.", problems, creates=part.creates), any(p.field.startswith(f"{part.key}.{n}.") for p in problems))
        for n, x in enumerate(lines)
    ]  # fmt: skip
    return PartView(part.key, label, icon, lines=shown, error=error, is_list=True)


def _summary(ctx: Context, form_def: FormDef, problems: Sequence[FieldProblem]) -> list[Problem]:
    """Each problem with where it stands: “Lines 2 · Price”."""
    main = ctx.config.entity(form_def.entity)
    by_key = {part.key: (part, target, label) for part, target, label in composing.labels(ctx, form_def)}
    found = []
    for problem in problems:
        steps = problem.field.split(".")
        part, target, label = by_key.get(steps[0], (None, None, ""))
        if part is None or target is None or (len(steps) == 1 and part.ref):
            declared = main.fields.get(problem.field)
            found.append(Problem(pick(declared.label, ctx.locale) if declared else "", str(problem.message), f"f-{problem.field}" if declared else ""))
            continue
        where = f"{label} {int(steps[1]) + 1}" if part.list and len(steps) > 1 and steps[1].isdigit() else label
        declared = target.entity.fields.get(steps[-1])
        anchor = f"f-{problem.field.replace('.', '-')}" if declared else ""
        found.append(Problem(f"{where} · {pick(declared.label, ctx.locale)}" if declared else where, str(problem.message), anchor))
    return found


__all__ = ["ComposedView", "entered", "stored", "view"]
