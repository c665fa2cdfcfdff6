"""Controls made of rows: what a list is sorted by, what a figure measures and groups by, what people may choose above a report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import LOCALES, LazyString, lazy
from saas.metadata import edits
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.query import MAX_SORTS
from saas.runtime.sql import expr_type
from saas.ui.builder.controls import Control, ControlKind, control_kinds, is_summable, is_time
from saas.ui.builder.desk import Desk
from saas.ui.views import Choice

FUNCTIONS: Mapping[str, LazyString] = {
    "count": lazy("Number of records"), "sum": lazy("Sum of"), "avg": lazy("Average of"), "min": lazy("Lowest"), "max": lazy("Highest"),
    "count_distinct": lazy("Different values of"),
}  # fmt: skip
BUCKETS: Mapping[str, LazyString] = {
    "day": lazy("by day"), "week": lazy("by week"), "month": lazy("by month"), "quarter": lazy("by quarter"), "year": lazy("by year"),
}  # fmt: skip
PARAM_KINDS: Mapping[str, LazyString] = {"year": lazy("a year"), "period": lazy("a period"), "option": lazy("a choice"), "user": lazy("a person")}


class FillControl(ControlKind):
    """Rows of inputs named `<name>.<number>.<part>`. A subclass reads one row and draws one; one empty row is there for those
    without scripts. `more["most"]`: how many rows there may be."""

    grouped = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        numbers = sorted({int(m[1]) for key in form if (m := re.fullmatch(rf"{re.escape(control.name)}\.(\d+)\..+", key))})
        return [row for n in numbers if (row := self.read_row(desk, control, Part(form, f"{control.name}.{n}"))) is not None]

    def read_row(self, desk: Desk, control: Control, part: Part) -> Any:
        """The JSON of one row; None when it says nothing."""
        raise NotImplementedError

    def row(self, desk: Desk, control: Control, item: Any) -> dict[str, Any]:
        """What the template needs of one row; `item` is {} for an empty one."""
        raise NotImplementedError

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        items = [v for v in value or [] if v]
        rows = [{**self.row(desk, control, item), "number": str(n)} for n, item in enumerate(items)]
        spare = {**self.row(desk, control, {}), "number": str(len(items))}
        return {"rows": rows, "spare": spare, "blank": {**spare, "number": "__n__"}, "most": control.more.get("most", 10)}


class Part:
    """The inputs of one row of a posted form."""

    def __init__(self, form: FormMultiDict, name: str) -> None:
        self.form, self.name = form, name

    def text(self, key: str) -> str:
        return str(self.form.get(f"{self.name}.{key}") or "").strip()

    def label(self, key: str) -> dict[str, str]:
        return {loc: text for loc in LOCALES if (text := self.text(f"{key}.{loc}"))}


@control_kinds.register
class Orders(ControlKind):
    """What records are sorted by: `["-amount", "name"]`. A fixed number of rows; one that is filled shows the next."""

    key = "orders"
    grouped = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        parts = [Part(form, f"{control.name}.{n}") for n in range(MAX_SORTS)]
        found = {p.text("field"): p.text("down") for p in reversed(parts) if p.text("field")}
        return [("-" if down else "") + key for key, down in reversed(found.items())]

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        texts = value.split(",") if isinstance(value, str) else list(value or [])
        texts = [*texts, *[""] * MAX_SORTS][:MAX_SORTS]
        entity = desk.config.entities.get(control.entity)
        return {"rows": [{"key": t.strip().removeprefix("-"), "down": t.strip().startswith("-")} for t in texts], "fields": sortable(desk, entity) if entity else []}


def sortable(desk: Desk, entity: Entity) -> list[Choice]:
    return [Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values() if field_types.get(f.type).sortable]


def as_written(desk: Desk, entity_key: str, controls: Iterable[Control], before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """`after` with the words of `before` where both say the same: a form that was not touched changes nothing."""
    found = dict(after)
    for control in controls:
        name = control.name
        if name in before and name not in found and before[name] == control.default:
            found[name] = before[name]
    if before.get("filter") and found.get("filter") and _said(desk, entity_key, before["filter"]) == _said(desk, entity_key, found["filter"]):
        found["filter"] = before["filter"]
    if before.get("sort") and found.get("sort") and _joined(before["sort"]) == _joined(found["sort"]):
        found["sort"] = before["sort"]
    return found


def _joined(sort: Any) -> str:
    return ",".join(sort) if isinstance(sort, list) else str(sort)


def _said(desk: Desk, entity_key: str, filter_: Any) -> Any:
    try:
        return ex.dump(ex.filter_to_node(filter_, desk.config, entity_key))
    except (ex.FilterError, ex.ExpressionError):
        return filter_


# ---- figures ------------------------------------------------------------------------------------------------------------


@control_kinds.register
class Measures(FillControl):
    key = "measures"

    def read_row(self, desk: Desk, control: Control, part: Part) -> Any:
        fn = part.text("fn")
        if not fn:
            return None
        found: dict[str, Any] = {"fn": fn}
        if part.text("field") and (fn != "count" or part.text("kept") == part.text("field")):
            found["field"] = part.text("field")
        return {**found, **({"label": label} if (label := part.label("label")) else {})}

    def row(self, desk: Desk, control: Control, item: Any) -> dict[str, Any]:
        entity = desk.config.entities.get(control.entity)
        fields = [(Choice(f.key, desk.words(f.label, f.key), f.key == item.get("field")), " ".join(fns)) for f in entity.fields.values() if (fns := functions(desk.config, f))] if entity else []
        known = {c.key for c, _fns in fields}
        lost = item.get("field") if item.get("field") and item["field"] not in known else ""
        return {
            "fn": item.get("fn", ""), "fns": [Choice(k, str(t), k == item.get("fn")) for k, t in FUNCTIONS.items()], "fields": fields, "lost": lost,
            "field": item.get("field", ""), "label": item.get("label") or {},
        }  # fmt: skip


def functions(config: Config, field: FieldDef) -> list[str]:
    """What can be measured of a field besides counting."""
    kind = expr_type(config, field)
    found = ["sum", "avg"] if is_summable(config, field) else []
    if kind in ("number", "date", "datetime"):
        found += ["min", "max"]
    return [*found, "count_distinct"] if field_types.get(field.type).groupable else found


@control_kinds.register
class Dimensions(FillControl):
    key = "dimensions"

    def read_row(self, desk: Desk, control: Control, part: Part) -> Any:
        path = part.text("field")
        if not path:
            return None
        field = field_at(desk.config, control.entity, path)
        bucket = part.text("bucket") if field is None or is_time(desk.config, field) else ""
        return {"field": path, **({"bucket": bucket} if bucket else {})}

    def row(self, desk: Desk, control: Control, item: Any) -> dict[str, Any]:
        fields = [(Choice(path, text, path == item.get("field")), is_time(desk.config, field)) for path, text, field in groupable(desk, control.entity)]
        known = {c.key for c, _time in fields}
        lost = item.get("field") if item.get("field") and item["field"] not in known else ""
        return {
            "fields": fields, "lost": lost, "field": item.get("field", ""), "buckets": [Choice(k, str(t), k == item.get("bucket")) for k, t in BUCKETS.items()],
            "time": any(c.on and time for c, time in fields), "bucket": item.get("bucket", ""),
        }  # fmt: skip


def groupable(desk: Desk, entity_key: str) -> Iterator[tuple[str, str, FieldDef]]:
    """(path, name, field) of what records can be grouped by: own fields, then one step over a reference."""
    entity = desk.config.entities.get(entity_key)
    if entity is None:
        return
    for field in entity.fields.values():
        if field_types.get(field.type).groupable:
            yield field.key, desk.words(field.label, field.key), field
    for head in entity.fields.values():
        target = desk.config.entities.get(head.options.get("to") or "") if field_types.get(head.type).expr_type == "ref" else None
        for field in target.fields.values() if target else ():
            if field_types.get(field.type).groupable:
                yield f"{head.key}.{field.key}", f"{desk.words(head.label, head.key)} → {desk.words(field.label, field.key)}", field


def field_at(config: Config, entity_key: str, path: str) -> FieldDef | None:
    """The field a path of at most one step over a reference ends at."""
    entity = config.entities.get(entity_key)
    first, _dot, second = path.partition(".")
    field = entity.fields.get(first) if entity else None
    if field is None or not second:
        return field
    target = config.entities.get(field.options.get("to") or "")
    return target.fields.get(second) if target else None


# ---- choices above a report ---------------------------------------------------------------------------------------------


@control_kinds.register
class Params(FillControl):
    """What people may choose above a report. `more["entities"]`: the entities its figures are about."""

    key = "params"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        rows, taken = super().read(desk, control, form), []
        for row in rows:
            row["key"] = row["key"] or edits.key_for({"en": row["field"].rpartition(".")[2]}, taken, "choice")
            taken.append(row["key"])
        return rows

    def read_row(self, desk: Desk, control: Control, part: Part) -> Any:
        path, _bar, kind = part.text("what").partition("|")
        if not path:
            return None
        kept = part.text("key") if part.text("kept") == path else ""
        return {"key": kept, "field": path, "kind": kind, **({"label": label} if (label := part.label("label")) else {})}

    def row(self, desk: Desk, control: Control, item: Any) -> dict[str, Any]:
        here = f"{item['field']}|{item['kind']}" if item else ""
        offers = [Choice(value, text, value == here) for value, text in choosable(desk, control.more.get("entities", ()))]
        if here and all(c.key != here for c in offers):
            offers.append(Choice(here, here.partition("|")[0], True))
        return {"offers": offers, "key": item.get("key", ""), "field": item.get("field", ""), "label": item.get("label") or {}}


def choosable(desk: Desk, entities: Sequence[str]) -> list[tuple[str, str]]:
    """("field|kind", name) for every field people could choose by, over the entities of a report's figures."""
    found: dict[str, str] = {}
    for entity_key in dict.fromkeys(entities):
        for path, text, field in groupable(desk, entity_key):
            for kind in param_kinds(desk.config, field):
                found.setdefault(f"{path}|{kind}", f"{text} · {PARAM_KINDS[kind]}")
    return list(found.items())


def param_kinds(config: Config, field: FieldDef) -> tuple[str, ...]:
    kind = expr_type(config, field)
    if kind in ("date", "datetime"):
        return ("period", "year")
    return (kind,) if kind in ("option", "user") else ()
