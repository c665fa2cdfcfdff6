"""Forms of records and transitions: posted bodies to values through the field types, and what the templates show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from litestar.datastructures import FormMultiDict, UploadFile
from markupsafe import Markup

from saas.errors import AppError, DuplicateFound, FieldProblem, InvalidInput, PlanLimitReached, StaleVersion
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick, titled
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, LayoutDef, SectionDef
from saas.runtime import Context, permissions
from saas.runtime import operations as ops
from saas.runtime.alike import Alike, looked_at
from saas.runtime.forms import FieldState, FormState, choices, filter_options
from saas.runtime.pools.rights import releases
from saas.runtime.present import display_text, names_for
from saas.tenants import list_departments
from saas.tenants.ids import uuid_of
from saas.ui.filters import has_options
from saas.ui.guards import whole_number
from saas.ui.plan_views import way_to_more
from saas.ui.render import markup
from saas.ui.values import is_wide, put_into
from saas.ui.views import (
    AlikeView,
    ConflictView,
    Difference,
    DuplicatesView,
    FormField,
    FormSection,
    FormView,
    Problem,
    TwinView,
)

PLAIN_SELECT = 30  # up to so many candidates stand in a select; beyond, the select becomes a search box
PICKED = ("record", "user", "dept")  # what is held where candidates are asked for


@dataclass(frozen=True, slots=True)
class Option:
    """What input.html of the choice types wants to know of an option."""

    key: str
    label: str
    color: str = "gray"
    active: bool = True
    parent: str | None = None
    selected: bool = False


@dataclass(frozen=True, slots=True)
class PickFilter:
    """A select of the window in which somebody or something is chosen: (value, text) pairs; departments are indented by their depth."""

    key: str
    label: str
    options: tuple[tuple[str, str], ...]


def has_window(ctx: Context, field: FieldDef) -> bool:
    """Whether a field is chosen from in a window with filters; people outside, who would find only themselves, are not shown the company's parts."""
    return bool(field.options.get("picker")) and not permissions.is_outsider(ctx)


async def pick_filters(ctx: Context, field: FieldDef) -> tuple[PickFilter, ...]:
    if not has_window(ctx, field):
        return ()
    found = []
    for key in field.options["picker"]:
        if field_types.get(field.type).holds == "record":
            target = ctx.config.entity(field.options["to"])
            if permissions.static_access(ctx, target)[key] not in ("read", "write"):  # what the records are asked for must not tell
                continue
            found.append(PickFilter(key, pick(target.fields[key].label, ctx.locale), tuple((o.key, pick(o.label, ctx.locale)) for o in filter_options(ctx, target, key))))
        elif key == "dept":
            departments = await list_departments(ctx.tenant_id)
            found.append(PickFilter(key, _("Department"), tuple((str(d["id"]), "\u2003" * d["depth"] + pick(d["name"], ctx.locale)) for d in departments)))
        else:
            found.append(PickFilter(key, _("Role"), tuple((r.key, pick(r.label, ctx.locale)) for r in ctx.config.bundle.roles if not r.external)))
    return tuple(found)


# ---- bodies ------------------------------------------------------------------------------------------------------------


def form_values(ctx: Context, entity: Entity, form: FormMultiDict, keys: Iterable[str] | None = None) -> dict[str, Any]:
    """JSON values of the fields that were posted. Uploads have been replaced by file ids before (saas.ui.uploads)."""
    found: dict[str, Any] = {}
    for key in entity.fields if keys is None else keys:
        field = entity.fields.get(key)
        if field is None or key not in form or (field.system and key != "owner"):
            continue
        texts = [v for v in form.getall(key) if isinstance(v, str)]
        found[key] = field_types.get(field.type).from_form(field, texts, ctx.config)
    return found


def without_unseen(ctx: Context, entity: Entity, typed: Mapping[str, Any]) -> dict[str, Any]:
    """A dialog shows no value that the person may not see, so an empty control for one means "as it was"."""
    access = permissions.static_access(ctx, entity)
    return {k: v for k, v in typed.items() if v not in (None, "", []) or access.get(k) in ("read", "write")}


def inherited_values(ctx: Context, entity: Entity, query: Any) -> dict[str, Any]:
    """For a record created from inside another form (`source.entity` names its entity): references that both have, such as the same
    customer, are taken over from `source.<field>`."""
    source = ctx.config.entities.get(query.get("source.entity", ""))
    if source is None:
        return {}
    chosen = {f.options["to"]: query.get(f"source.{key}") for key, f in source.declared.items() if "to" in f.options and uuid_of(query.get(f"source.{key}")) is not None}
    return {key: chosen[f.options["to"]] for key, f in entity.declared.items() if f.options.get("to") in chosen and field_types.get(f.type).expr_type == "ref"}


def version_of(form: FormMultiDict) -> int | None:
    return whole_number(str(form.get("version") or ""))


def has_uploads(form: FormMultiDict) -> bool:
    return any(isinstance(value, UploadFile) for _key, value in form.multi_items())


# ---- one field ---------------------------------------------------------------------------------------------------------


class Drawing:
    """Draws fields of one form: candidates, names of what is chosen, messages."""

    def __init__(
        self, ctx: Context, entity: Entity, state: FormState, *, prefix: str = "f", typed: Mapping[str, Any] | None = None, problems: Sequence[FieldProblem] = (), named: str = ""
    ) -> None:
        """`named`: what goes before the names of the controls where several records stand in one form."""
        self.ctx, self.entity, self.state, self.prefix, self.named = ctx, entity, state, prefix, named
        self.typed = typed or {}
        self.messages: dict[str, str] = {}
        for problem in problems:
            self.messages.setdefault(problem.field, str(problem.message))
        self.names: Any = None

    def value(self, key: str) -> Any:
        return self.typed[key] if key in self.typed else self.state.values.get(key)

    async def load(self, conn: Any, keys: Iterable[str]) -> None:
        """Names of the records and people that are chosen now."""
        pairs = []
        for key in keys:
            field, value = self.entity.fields[key], self.value(key)
            if field_types.get(field.type).holds in PICKED:
                items = value if isinstance(value, list) else [value]
                if value and all(uuid_of(v) is not None for v in items):
                    pairs.append((field, value))
        self.names = await names_for(conn, self.ctx, pairs)

    def text(self, field: FieldDef, value: Any) -> str:
        try:
            return display_text(self.ctx, self.entity, field, value, self.names)
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
            return str(value)  # typed and not understood

    async def field(self, key: str, *, required: bool | None = None, force: bool = False, name: str = "", label: str = "", alone: bool = True) -> FormField:
        """`force`: a transition asks for this field, so it can be typed even where it is read-only otherwise. `name`, `label`: other ones
        than the field's. Not `alone`: what it links to is made in the same form."""
        name = name or f"{self.named}{key}"
        field, state = self.entity.fields[key], self.state.fields[key]
        kind = field_types.get(field.type)
        value = self.value(key)
        read_only = state.access != "write" and not force
        must = state.required if required is None else required
        id_ = f"{self.prefix}-{key}"
        control, create = Markup(""), ""
        if not read_only:
            options, lookup = await self._options(field, value)
            window = await pick_filters(self.ctx, field) if lookup else ()
            control = markup(
                f"fields/{field.type}/input.html", id=id_, name=name, field=field, value=kind.to_form(field, value, self.ctx.config), text=self.text(field, value) if value else "",
                options=options, required=must, disabled=False, invalid=key in self.messages, describedby=f"e-{id_}", locale=self.ctx.locale,
                choices_url=lookup, end=kind.align_end, config=self.ctx.config, window=window, label=label or pick(field.label, self.ctx.locale),
            )  # fmt: skip
            create = self._create_url(field) if alone else ""
        html = markup(
            "records/_field.html", key=name, id=id_, label=label or pick(field.label, self.ctx.locale), control=control, error=self.messages.get(key, ""), required=must and not read_only,
            help=pick(field.help, self.ctx.locale), wide=is_wide(field), read_only=read_only, labelled=False, display=self.text(field, value) if value not in (None, "", []) else "",
            create_url=create, create_text=_("Create a new one") if create else "",
        )  # fmt: skip
        return FormField(key, html)

    async def _options(self, field: FieldDef, value: Any) -> tuple[list[Option], str]:
        """The options of a choice field, or the first candidates of a reference with the address that searches them all."""
        chosen = value if isinstance(value, list) else [value] if value else []
        if has_options(field):
            above = self.value(field.options.get("depends_on") or "") if field.options.get("depends_on") in self.entity.fields else None
            fits = [o for o in self.ctx.config.field_options(field) if not above or o.parent in (None, above)]
            return [Option(o.key, pick(o.label, self.ctx.locale), o.color, o.active, o.parent, o.key in chosen) for o in fits], ""
        kind = field_types.get(field.type)
        if kind.holds not in PICKED:
            return [], ""
        windowed = has_window(self.ctx, field)
        found = await choices(self.ctx, self.entity.key, field.key, values=self.state.values, record_id=self.state.record_id, limit=PLAIN_SELECT + 1)
        options = [Option(c.id, f"{c.label} · {c.detail}" if c.detail and not windowed else c.label, selected=c.id in chosen) for c in found]
        known = {o.key for o in options}
        for item in chosen:
            if item not in known and isinstance(item, str):
                options.insert(0, Option(item, self.text(field, [item] if isinstance(value, list) else item) or item, selected=True))
        if len(found) <= PLAIN_SELECT and not kind.many and not windowed:  # several are chosen more easily by searching
            return options, ""
        return options, f"/lookup/{self.entity.key}/{field.key}" + (f"?id={self.state.record_id}" if self.state.record_id else "")

    def _create_url(self, field: FieldDef) -> str:
        target = field.options.get("to")
        if not target or field_types.get(field.type).expr_type != "ref" or not permissions.may(self.ctx, "create", target):
            return ""
        return f"/r/{quote(target)}/new?inline=1&source.entity={self.entity.key}"


# ---- whole forms -------------------------------------------------------------------------------------------------------


def layout_of(ctx: Context, entity: Entity) -> LayoutDef | None:
    """The first layout of the entity meant for one of the person's roles, or for everybody."""
    mine = set(ctx.user.role_keys) if ctx.user else set()
    found = [x for x in ctx.config.layouts(entity.key) if not x.roles or mine & set(x.roles)]
    return next((x for x in found if x.roles), None) or (found[0] if found else None)


def form_sections(ctx: Context, entity: Entity, state: FormState, *, new: bool) -> list[SectionDef]:
    """Which fields the form shows, in which groups: those of the layout, then required ones it forgot."""
    layout = layout_of(ctx, entity)
    sections = [s for tab in layout.tabs for s in tab.sections] if layout else []
    if not sections:
        keys = [f.key for f in entity.defn.fields if not f.hidden] + (["owner"] if entity.defn.owned else [])
        sections = [SectionDef(key="main", fields=tuple(keys))]
    listed = {key for s in sections for key in s.fields}
    missing = [k for k, f in entity.declared.items() if k not in listed and (state.fields[k].required and state.fields[k].access == "write") and (new or not f.hidden)]
    if missing:
        sections = [SectionDef(sections[0].key, (*sections[0].fields, *missing), sections[0].label, sections[0].columns), *sections[1:]]
    return [SectionDef(s.key, tuple(k for k in s.fields if _on_form(entity, k, state.fields.get(k), new=new)), s.label, s.columns) for s in sections]


def _on_form(entity: Entity, key: str, state: FieldState | None, *, new: bool) -> bool:
    """Editable fields; read-only ones only where they explain something, on the form of an existing record."""
    if state is None or state.access in ("hidden", "masked") or not state.visible:
        return False
    field = entity.fields[key]
    if state.access == "write":
        return True
    return not new and not field.system and not field_types.get(field.type).computed and not field.options.get("pipeline")


def depends_on(entity: Entity) -> str:
    """The fields that conditions and candidate filters of other fields look at, by spaces."""
    names: set[str] = set()
    for field in entity.defn.fields:
        for text in (field.visible_if, field.required_if, field.read_only_if):
            if text:
                names |= {path[0] for path in ex.needs(ex.parse(text)).paths}
        if field.options.get("depends_on"):
            names.add(field.options["depends_on"])
        if field.options.get("filter") and field.options.get("to"):
            names |= {path[1] for path in ex.needs(ex.parse(field.options["filter"])).paths if path[0] == "new" and len(path) > 1}
    return " ".join(sorted(names & set(entity.fields)))


def shown_problems(entity: Entity, error: AppError, drawn: set[str], prefix: str, locale: str) -> tuple[Problem, ...]:
    found = []
    for problem in error.problems:
        if not isinstance(problem, FieldProblem):
            continue
        field = entity.fields.get(problem.field)
        label = pick(field.label, locale) if field else ""
        text = str(problem.message)
        if field is None or problem.field not in drawn:
            found.append(Problem("", titled(label, text)))
        else:
            found.append(Problem(label, text, f"{prefix}-{problem.field}"))
    return tuple(found)


def alike_view(entity: Entity, found: Alike) -> AlikeView:
    texts = {"block": found.message, "warn": found.message}
    text = texts.get(found.action) or ngettext("%(count)s record has a similar name", "%(count)s records have similar names", len(found.matches))
    return AlikeView(text, found.action, twin_views(entity.key, found.matches))


def duplicates_view(entity: Entity, error: DuplicateFound, reason: str = "") -> DuplicatesView:
    found = twin_views(entity.key, error.data.get("matches") or ())
    return DuplicatesView(str(error.message), found, error.data.get("action") != "block", bool(error.data.get("needs_reason")), reason)


def twin_views(entity: str, matches: Iterable[Mapping[str, Any]]) -> tuple[TwinView, ...]:
    """What may be told of records that were found; those of `entity` can be used instead."""
    found = []
    for match in matches:
        lines = tuple((line["label"], line["text"]) for line in match.get("shown") or ())
        score = _("%(percent)s %% alike", percent=match["score"]) if match.get("score") not in (None, 100) else ""
        url = f"/r/{match['entity']}/{match['id']}" if match.get("id") else ""
        usable = bool(match.get("id")) and match["entity"] == entity
        found.append(TwinView(match["title"] or _("A record you may not see"), match.get("id") or "", url, match.get("owner") or "", score, lines, usable))
    return tuple(found)


def conflict_view(ctx: Context, entity: Entity, drawing: Drawing, current: ops.Record, typed: Mapping[str, Any]) -> ConflictView:
    """What stands there now and what was typed, where they differ."""
    changes = []
    for key, value in typed.items():
        field = entity.fields[key]
        if key not in current.display:
            continue
        try:
            mine = drawing.text(field, None if value is None else field_types.get(field.type).normalise(field, value, ctx.config)) if value not in (None, "", []) else ""
        except (ValueError, TypeError, KeyError):
            mine = str(value)
        if mine != current.display[key]:
            changes.append(Difference(pick(field.label, ctx.locale), current.display[key], mine))
    return ConflictView(_("Somebody changed this record in the meantime"), _("Your input is still here. These values differ from what is stored now:"), tuple(changes))


async def build_form(
    conn: Any, ctx: Context, entity: Entity, state: FormState, *, new: bool, error: AppError | None = None, typed: Mapping[str, Any] | None = None,
    current: ops.Record | None = None, prefix: str = "f", reason: str = "", **shown: Any,
) -> FormView:  # fmt: skip
    """The create or edit form. After a refusal: `error`, and what was typed; after a stale version also the `current` record."""
    sections = form_sections(ctx, entity, state, new=new)
    keys = [key for section in sections for key in section.fields]
    problems = [p for p in error.problems if isinstance(p, FieldProblem)] if isinstance(error, InvalidInput) else []
    drawing = Drawing(ctx, entity, state, prefix=prefix, typed=typed, problems=problems)
    await drawing.load(conn, [*keys, *(typed or {})])
    drawn = [
        FormSection(pick(s.label, ctx.locale), tuple([await drawing.field(key) for key in s.fields]), s.columns) for s in sections if s.fields
    ]
    files = any("max_mb" in entity.fields[key].options for key in keys)
    more: dict[str, Any] = {}
    if isinstance(error, StaleVersion) and current is not None:
        more["conflict"] = conflict_view(ctx, entity, drawing, current, typed or {})
    elif isinstance(error, DuplicateFound):
        more["duplicates"] = duplicates_view(entity, error, reason)
    if new and "duplicates" not in more and (fields := set(looked_at(ctx, entity)) & set(keys)):
        more |= {"alike_url": f"/r/{entity.key}/alike", "alike_fields": " ".join(sorted(fields)), "alike_now": any(state.values.get(k) not in (None, "", []) for k in fields)}
    owner = state.fields.get("owner")
    if new and "owner" in keys and owner is not None and owner.access == "write" and any(releases(ctx, p, may_update=permissions.may(ctx, "update", entity.key)) for p in entity.defn.pools):
        more["pool_text"] = put_into(entity.defn.pools, ctx.locale) if len(entity.defn.pools) == 1 else _("Save without an owner")
    if error is not None and not more.get("conflict") and not more.get("duplicates"):
        more["problem_title"] = str(type(error).title) if error.problems else str(error.message)
        more["problems"] = shown_problems(entity, error, set(keys), prefix, ctx.locale)
        more["more"] = way_to_more(ctx) if isinstance(error, PlanLimitReached) else None
    return FormView(
        entity_plural=pick(entity.defn.plural, ctx.locale), list_url=f"/r/{entity.key}", id="form" if prefix == "f" else f"form-{prefix}", sections=tuple(drawn),
        enctype="multipart/form-data" if files else "application/x-www-form-urlencoded", depends=depends_on(entity), **{**more, **shown},
    )  # fmt: skip


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode([p for p in pairs if p[1]])
    return f"{url}?{query}" if query else url
