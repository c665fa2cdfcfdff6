"""A list of options in the designer, wherever it stands: a list that fields share, or the choices of one field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.datastructures import FormMultiDict

from saas.errors import AppError, NotFound
from saas.i18n import LOCALES
from saas.i18n import gettext as _
from saas.metadata import edits, option_lists
from saas.metadata.kinds import field_types
from saas.metadata.option_lists import Holder
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.ui import design_views as views
from saas.ui import formats
from saas.ui.builder.controls import COLOURS, colour_name
from saas.ui.builder.desk import Desk
from saas.ui.guards import whole_number
from saas.ui.views import Choice

PAGE = 100
Option = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """Where a list of options stands. `current` is the item of the settings menu; `is_shared`: a list of its own."""

    path: str
    url: str
    title: str
    definition: Mapping[str, Any]
    holders: tuple[Holder, ...]
    trail: tuple[tuple[str, str], ...]
    current: str
    is_shared: bool

    @property
    def options(self) -> list[Option]:
        return list(self.definition.get("options") or ())

    def option(self, key: str) -> Option:
        """Errors: NotFound."""
        found = next((o for o in self.options if o.get("key") == key), None)
        if found is None:
            raise NotFound()
        return found

    def with_options(self, options: Sequence[Option]) -> dict[str, Any]:
        return {**self.definition, "options": list(options)}


def home_of(desk: Desk, request: Request) -> Home:
    """The list an address names: /settings/option-sets/{key}, or …/fields/{name}/options. Errors: NotFound."""
    key, name = str(request.path_params["key"]), request.path_params.get("name")
    return field_home(desk, key, str(name)) if name is not None else set_home(desk, key)


def set_home(desk: Desk, key: str) -> Home:
    definition = desk.find(f"option_sets[{key}]")
    return Home(
        f"option_sets[{key}]", f"/settings/option-sets/{key}", desk.words(definition.get("label"), key), definition, tuple(option_lists.holders(desk.raw, key)),
        ((_("Option lists"), "/settings/option-sets"),), "option-sets", True,
    )  # fmt: skip


def field_home(desk: Desk, entity: str, name: str) -> Home:
    definition = desk.find(f"entities[{entity}].fields[{name}]")
    if not definition.get("options"):
        raise NotFound()
    url = f"/settings/entities/{entity}"
    trail = ((_("Entities"), "/settings/entities"), (views.entity_words(desk, entity), url), (desk.words(definition.get("label"), name), f"{url}/fields/{name}"))
    title = _("Choices of “%(field)s”", field=desk.words(definition.get("label"), name))
    return Home(f"entities[{entity}].fields[{name}]", f"{url}/fields/{name}/options", title, definition, (Holder(entity, name),), trail, "entities", False)


def holder_words(desk: Desk, holder: Holder) -> str:
    return f"{views.entity_words(desk, holder.entity)} · {views.field_words(desk, holder.entity, holder.field)}"


async def holding(desk: Desk, holder: Holder, key: str) -> str:
    """How many records hold an option, in words; empty where that cannot be said."""
    live = desk.ask.ctx.config.entities.get(holder.entity)
    if live is None or holder.field not in live.declared:
        return ""
    op = "contains" if field_types.get(live.declared[holder.field].type).many else "eq"
    try:
        found = await execute(desk.ask.ctx, ops.List(entity=holder.entity, filter={"field": holder.field, "op": op, "value": key}, fields=(), limit=1, count="capped"))
    except AppError:  # not readable for this admin, or no such choice in the live configuration
        return ""
    if found.count is None:
        return ""
    number = formats.number(desk.ask.ctx, found.count.value)
    return number if found.count.exact else _("%(number)s or more", number=number)


def parents(desk: Desk, home: Home) -> list[Choice]:
    """Options that one of this list can belong to: of the same list in a tree, else of the fields it depends on."""
    if home.definition.get("tree"):
        return [Choice(o["key"], desk.words(o.get("label"), o["key"])) for o in home.options]
    found: dict[str, str] = {}
    for holder in home.holders:
        field = edits.find(desk.raw, f"entities[{holder.entity}].fields[{holder.field}]") or {}
        if field.get("depends_on"):
            found.update(_choices_of(desk, holder.entity, field["depends_on"]))
    return [Choice(key, text) for key, text in found.items()]


def _choices_of(desk: Desk, entity: str, name: str) -> Iterable[tuple[str, str]]:
    try:
        return [(o.key, desk.words(o.label, o.key)) for o in desk.config.options(entity, name)]
    except KeyError:  # the field, its list or its pipeline is gone: a problem of the draft
        return []


# ---- rows of a page -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of the list, after searching."""

    rows: list[dict[str, Any]]
    q: str
    number: int
    pages: int
    total: int
    found: int


def page_of(desk: Desk, home: Home, query: Mapping[str, str], typed: Mapping[str, Mapping[str, Any]] | None = None) -> Shown:
    q = str(query.get("q") or "").strip()[:100]
    options = [(n, o) for n, o in enumerate(home.options, 1) if _matches(o, q)]
    pages = max(1, -(-len(options) // PAGE))
    number = min(max(whole_number(str(query.get("page") or "")) or 1, 1), pages)
    names = {c.key: c.text for c in parents(desk, home)}
    rows = [_row(desk, n, {**o, **(typed or {}).get(o["key"], {})}, names) for n, o in options[(number - 1) * PAGE : number * PAGE]]
    return Shown(rows, q, number, pages, len(home.options), len(options))


def _matches(option: Option, q: str) -> bool:
    texts = [*(option.get("label") or {}).values(), option.get("key", "")]
    return not q or any(q.casefold() in str(text).casefold() for text in texts)


def _row(desk: Desk, number: int, option: Option, parent_names: Mapping[str, str]) -> dict[str, Any]:
    label = option.get("label") or {}
    return {
        "number": number, "key": option["key"], "name": desk.words(label, option["key"]), **{locale: label.get(locale, "") for locale in LOCALES}, "color": option.get("color", "gray"),
        "active": option.get("active", True), "parent": parent_names.get(option.get("parent") or "", option.get("parent") or ""),
    }  # fmt: skip


def colours() -> list[Choice]:
    return [Choice(c, colour_name(c), color=c) for c in COLOURS]


def read_rows(home: Home, form: FormMultiDict) -> tuple[list[Option], dict[str, dict[str, Any]], dict[str, str]]:
    """The whole list after what was posted for the rows of one page: (options, what was typed by key, messages by key). Rows that
    were not on the page stay as and where they are."""
    typed: dict[str, dict[str, Any]] = {}
    errors: dict[str, str] = {}
    for option in home.options:
        name = f"option.{option['key']}"
        if f"{name}.color" not in form:
            continue
        label = {loc: text for loc in LOCALES if (text := str(form.get(f"{name}.{loc}") or "").strip())}
        colour = str(form.get(f"{name}.color"))
        typed[option["key"]] = {"label": label, "color": colour if colour in COLOURS else "gray", "active": "on" in form.getall(f"{name}.active", [])}
        if not label:
            errors[option["key"]] = _("Give it a name in at least one language.")
    options = [_merged(o, typed[o["key"]]) if o["key"] in typed else o for o in home.options]
    return option_lists.placed(options, [str(k) for k in form.getall("row", [])]), typed, errors


def _merged(option: Option, typed: Mapping[str, Any]) -> Option:
    made = {**option, "label": typed["label"]}
    for name, default in (("color", "gray"), ("active", True)):
        if typed[name] != option.get(name, default):
            made[name] = typed[name]
        if made.get(name) == default and option.get(name) != default:
            made.pop(name, None)
    return made
