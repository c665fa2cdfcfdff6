"""The form of one figure: what a kind of figure can be put together from, read back, completed with what is usual, and what it lacks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from litestar.datastructures import FormMultiDict

from saas.errors import NotFound
from saas.i18n import LOCALES, LazyString, lazy, pick, use_locale
from saas.i18n import gettext as _
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import WidgetParts, widget_types
from saas.runtime.sql import expr_type
from saas.ui.builder.controls import Control, ControlKind, control_kinds, controls_of, laid, read
from saas.ui.builder.desk import Desk, Errors
from saas.ui.builder.figure_parts import FUNCTIONS, field_at
from saas.ui.guards import whole_number
from saas.ui.views import Choice

Raw = Mapping[str, Any]
USUAL_WIDTH = 6
FIGURE_ORDERS = ("-value", "value", "label", "-label")
COMMON = ("key", "label", "type", "entity", "filter", "width", "help")
WIDTHS: Mapping[int, LazyString] = {3: lazy("a quarter"), 4: lazy("a third"), 6: lazy("half"), 8: lazy("two thirds"), 9: lazy("three quarters"), 12: lazy("full width")}


def width_choices() -> list[Choice]:
    return [Choice(str(n), f"{n} · {WIDTHS[n]}" if n in WIDTHS else str(n)) for n in range(1, 13)]


@control_kinds.register
class Types(ControlKind):
    """A kind of figure, chosen by its picture."""

    key = "types"
    grouped = True
    wide = True

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"types": [{"key": t.key, "label": str(t.label), "about": str(t.about), "icon": t.icon} for t in widget_types]}


def read_figure(desk: Desk, form: FormMultiDict) -> dict[str, Any]:
    """What the form says. Of a kind chosen before, what this kind has no use for is kept in `_was`; another entity begins afresh."""
    was: dict[str, Any] = {}
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(str(form.get("_was") or "{}"))
        was = {k: v for k, v in found.items() if _is_sound(k, v)} if isinstance(found, dict) else {}
    given = {"type": str(form.get("type") or ""), "entity": str(form.get("entity") or "")}
    kind, entity = widget_types.find(given["type"]), desk.config.entities.get(given["entity"])
    if kind is None or entity is None:
        raise NotFound()
    drawn_type, drawn_entity = str(form.get("_type") or given["type"]), str(form.get("_entity") or given["entity"])
    before = {**was, "type": drawn_type, "entity": drawn_entity}
    if drawn_entity not in desk.config.entities or widget_types.find(drawn_type) is None:
        raise NotFound()
    # Controls that depend on one another's values (a table's columns decide on its measures) were drawn for what was there then.
    controls = figure_controls(desk, {**before, **({"columns": ["?"]} if form.get("_records") else {})})
    values = laid(was, controls, read(desk, controls, form))
    values["width"] = whole_number(str(values.get("width", ""))) or USUAL_WIDTH
    if drawn_entity != given["entity"]:
        values = {k: v for k, v in values.items() if k in ("width", "limit", "help")}
    return completed(desk, {**values, **given})


def _is_sound(name: str, value: Any) -> bool:
    """Whether what came back in a hidden input can be drawn again; whether it is right is checked when it is saved."""
    if name in ("measures", "dimensions"):
        part = "fn" if name == "measures" else "field"
        return isinstance(value, list) and all(isinstance(v, dict) and isinstance(v.get(part), str) and isinstance(v.get("label", {}), dict) for v in value)
    if name in ("sort", "limit", "filter", "help"):
        return isinstance(value, {"sort": (str, list), "limit": int, "filter": dict, "help": dict}[name])
    props = [p for k in widget_types for n, p in k.options_schema["properties"].items() if n == name]
    return bool(props) and all(Draft202012Validator(p).is_valid(value) for p in props)


def completed(desk: Desk, values: Mapping[str, Any]) -> dict[str, Any]:
    """With what a figure of this kind cannot do without, chosen sensibly, so that there is something to look at."""
    found, kind, entity = dict(values), widget_types.get(values["type"]), desk.config.entities[values["entity"]]
    parts = kind.parts(found)
    if parts.measures and not found.get("measures"):
        found["measures"] = [{"fn": "count"}]
    if kind.min_dimensions and not found.get("dimensions"):
        found["dimensions"] = [_usual_dimension(desk.config, entity, over_time=parts.over_time)]
    if not _suits(found.get("sort"), parts, entity):
        found.pop("sort", None)
    for name, prop in kind.options_schema["properties"].items():
        if prop.get("x-control") == "pipeline" and entity.pipeline and not found.get(name):
            found[name] = entity.pipeline.key
    return found


def _suits(sort: Any, parts: WidgetParts, entity: Entity) -> bool:
    """Whether an order chosen for another kind of figure means anything for this one."""
    if parts.orders == "records":
        texts = sort if isinstance(sort, list) else str(sort or "").split(",")
        return all(isinstance(t, str) and t.strip().removeprefix("-") in entity.fields for t in texts)
    return isinstance(sort, str) and sort in FIGURE_ORDERS


def _usual_dimension(config: Config, entity: Entity, *, over_time: bool) -> dict[str, str]:
    """Months of creation for what shows time; else the stage, a choice, or the owner."""
    if not over_time:
        kinds = {f.key: expr_type(config, f) for f in entity.fields.values()}
        key = next((k for k, kind in kinds.items() if kind == "option"), "owner" if entity.defn.owned else None)
        if key:
            return {"field": key}
    return {"field": "created_at", "bucket": "month"}


def definition_of(desk: Desk, values: Raw) -> dict[str, Any]:
    """The widget that the values mean: only what its kind knows, and at most as much of it."""
    kind = widget_types.get(values["type"])
    parts = kind.parts(values)
    names = [*COMMON, *(["measures"] if parts.measures else []), *(["dimensions"] if parts.dimensions else []), *(["sort", "limit"] if parts.orders else []), *kind.options_schema["properties"]]
    made = {k: values[k] for k in names if values.get(k) not in (None, "", [], {})}
    if made.get("width") == USUAL_WIDTH:
        made.pop("width")
    if parts.measures and "measures" in made:
        made["measures"] = made["measures"][: parts.measures]
    if parts.dimensions and "dimensions" in made:
        made["dimensions"] = made["dimensions"][: parts.dimensions]
    if "sort" in made and isinstance(made["sort"], list) != (parts.orders == "records"):
        made.pop("sort")
    return {**made, "label": made.get("label") or suggested(desk.config, made)}


def suggested(config: Config, values: Raw) -> dict[str, str]:
    """A name in each language for a figure that was given none."""
    entity = config.entities[values["entity"]]
    found = {}
    for locale in LOCALES:
        with use_locale(locale):
            measure = (values.get("measures") or [{"fn": "count"}])[0]
            field = entity.fields.get(measure.get("field") or "")
            what = _("%(measure)s %(field)s", measure=FUNCTIONS[measure["fn"]], field=pick(field.label, locale)) if field and measure.get("fn") in FUNCTIONS else pick(entity.defn.plural, locale) or entity.key
            by = field_at(config, entity.key, str((values.get("dimensions") or [{}])[0].get("field", "")))
            found[locale] = _("%(what)s by %(field)s", what=what, field=pick(by.label, locale) or by.key) if by else what
    return found


def lacking(desk: Desk, values: Raw) -> Errors:
    """What is missing, in people's words."""
    kind, entity = widget_types.get(values["type"]), desk.config.entities[values["entity"]]
    parts, errors = kind.parts(values), {}
    if parts.dimensions and len(values.get("dimensions") or ()) < kind.min_dimensions:
        errors["dimensions"] = _("Choose what to group by.")
    for measure in (values.get("measures") or ())[: parts.measures]:
        if measure["fn"] != "count" and not measure.get("field"):
            errors["measures"] = _("Choose the field for “%(what)s”.", what=FUNCTIONS.get(measure["fn"], measure["fn"]))
    for name in kind.options_schema.get("required", ()):
        if not values.get(name):
            none = kind.options_schema["properties"][name].get("x-control") == "pipeline" and entity.pipeline is None
            errors[name] = _("“%(name)s” has no pipeline. Choose other records, or another kind of figure.", name=desk.words(entity.defn.plural, entity.key)) if none else _("Please choose.")
    for name, prop in kind.options_schema["properties"].items():
        wanted = prop.get("x-show-if", {})
        if wanted and not values.get(name) and all(values.get(other) in allowed for other, allowed in wanted.items()):
            errors[name] = _("Please choose.")
    return errors


def figure_controls(desk: Desk, values: Raw) -> list[Control]:
    """The form of a figure: what this kind can be put together from, for this entity."""
    kind, entity = widget_types.get(values["type"]), values["entity"]
    parts = kind.parts(values)
    several = parts.measures > 1
    found = [
        Control("type", "types", _("Kind of figure"), required=True),
        Control("entity", "choice", _("About which records?"), required=True, choices=tuple(Choice(e.key, desk.words(e.defn.plural, e.key)) for e in desk.config.entities.values())),
        Control("label", "label", _("Name"), _("Left empty, it is named after what it shows.")),
    ]  # fmt: skip
    if parts.measures:
        found.append(Control("measures", "measures", _("What to show"), _("Sums and averages can be made of numbers and amounts.") if several else "", entity=entity, more={"most": parts.measures}))
    if parts.dimensions:
        note = _("A second one splits each bar, line or area.") if kind.min_dimensions and parts.dimensions == 2 else ""
        found.append(Control("dimensions", "dimensions", _("Grouped by"), note, entity=entity, more={"most": parts.dimensions}))
    found += controls_of(desk, kind.options_schema, entity=entity)
    found.append(Control("filter", "filter", _("Which records"), entity=entity))
    if parts.orders == "records":
        found.append(Control("sort", "orders", _("Order"), entity=entity))
    elif parts.orders:
        orders = (Choice("-value", _("Largest first")), Choice("value", _("Smallest first")), Choice("label", _("By name")))
        found.append(Control("sort", "choice", _("Order"), choices=orders, more={"empty": _("As usual: by time, or as the options stand")}))
    if parts.orders:
        found.append(Control("limit", "number", _("At most"), default=50, more={"unit": _("rows"), "min": 1, "max": 1000}))
    found.append(Control("width", "choice", _("Width"), choices=tuple(width_choices()), default=USUAL_WIDTH))
    found.append(Control("help", "label", _("Explanation"), _("Shown when people point at the name."), advanced=True))
    return found


def deciding(values: Raw) -> list[str]:
    """Options of this kind that decide what else it is put together from."""
    kind = widget_types.get(values["type"])
    return [name for name in kind.options_schema["properties"] if kind.parts({**values, name: ["?"]}) != kind.parts({**values, name: None})]
