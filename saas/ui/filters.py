"""A list's state in its address: filter chips, search, sort, columns, page. Chips are `f=field:op:value`, several values joined
by commas; `filter=` takes filter JSON (links from reports), shown as chips as far as it can be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from saas.errors import BadRequest
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.expressions.calendar import PERIODS
from saas.metadata.expressions.filters import OPS
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.runtime import Context
from saas.ui.guards import whole_number
from saas.ui.views import Choice

MAX_TRAIL = 12


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    op: str
    values: tuple[str, ...]

    def text(self) -> str:
        return f"{self.field}:{self.op}:{','.join(self.values)}"


@dataclass(frozen=True, slots=True)
class State:
    """What the address says. `advanced` is filter JSON that is no plain list of conditions."""

    path: str
    view: str | None = None
    q: str = ""
    conditions: tuple[Condition, ...] = ()
    advanced: str = ""
    sort: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    limit: int | None = None
    after: str | None = None
    trail: tuple[str, ...] = ()
    exact: bool = False

    def params(self, *without: str) -> tuple[tuple[str, str], ...]:
        pairs: list[tuple[str, str]] = []
        if self.view:
            pairs.append(("view", self.view))
        if self.q:
            pairs.append(("q", self.q))
        pairs += [("f", c.text()) for c in self.conditions]
        if self.advanced:
            pairs.append(("filter", self.advanced))
        if self.sort:
            pairs.append(("sort", ",".join(self.sort)))
        pairs += [("cols", c) for c in self.columns]
        if self.limit:
            pairs.append(("limit", str(self.limit)))
        if self.exact:
            pairs.append(("count", "exact"))
        if self.after:
            pairs += [("after", self.after), *(("trail", t) for t in self.trail)]
        return tuple(p for p in pairs if p[0] not in without)

    def url(self, **changes: Any) -> str:
        """The address after a change. Whatever changes what is listed starts again at the first page."""
        if "after" not in changes:
            changes.update(after=None, trail=())
        state = replace(self, **changes)
        query = urlencode(state.params())
        return state.path + (f"?{query}" if query else "")


def read_state(path: str, query: Any, entity: Entity, *, view: str | None) -> State:
    """Errors: BadRequest for a filter that is no JSON."""
    conditions = [c for c in (_parse(text, entity) for text in query.getall("f", [])) if c]
    advanced = ""
    if raw := query.get("filter"):
        found = _plain_conditions(raw, entity)
        if found is None:
            advanced = raw
        else:
            conditions += found
    limit = whole_number(query.get("limit", ""))
    return State(
        path=path, view=view, q=(query.get("q") or "").strip()[:200], conditions=tuple(conditions), advanced=advanced,
        sort=tuple(s for s in (query.get("sort") or "").split(",") if s), columns=tuple(c for c in query.getall("cols", []) if c in entity.fields),
        limit=min(max(limit, 5), 200) if limit is not None else None, after=query.get("after") or None,
        trail=tuple(query.getall("trail", []))[-MAX_TRAIL:], exact=query.get("count") == "exact",
    )  # fmt: skip


def _parse(text: str, entity: Entity) -> Condition | None:
    field, _colon, rest = text.partition(":")
    op, _colon, values = rest.partition(":")
    if field.split(".")[0] not in entity.fields or op not in OPS:
        return None
    return Condition(field, op, tuple(v for v in values.split(",") if v != "") if OPS[op].takes in ("many", "pair") else (values,))


def _plain_conditions(raw: str, entity: Entity) -> list[Condition] | None:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequest(lazy("The filter in this address is not valid JSON."), field="filter") from error
    items = data.get("and") if isinstance(data, dict) and set(data) == {"and"} else [data]
    found = []
    for item in items if isinstance(items, list) else [None]:
        if not isinstance(item, dict) or "field" not in item or item["field"] not in entity.fields or item.get("op") not in OPS:
            return None
        value = item.get("value")
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, (dict, list)) or v is None or "," in str(v) for v in values):
            return None
        found.append(Condition(item["field"], item["op"], tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)))
    return found


def filter_json(ctx: Context, entity: Entity, state: State) -> Any:
    """The state's filter for the door; None if it states none."""
    parts: list[Any] = [condition_json(ctx, entity, c) for c in state.conditions]
    if state.advanced:
        parts.append(json.loads(state.advanced))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"and": parts}


def condition_json(ctx: Context, entity: Entity, c: Condition) -> dict[str, Any]:
    takes = OPS[c.op].takes
    field = entity.fields.get(c.field)
    value: Any
    if takes == "flag":
        value = c.values[:1] != ("false",)
    elif takes in ("many", "pair"):
        value = [_value(ctx, field, v) for v in c.values]
    else:
        value = c.values[0] if takes == "period" or not c.values else _value(ctx, field, c.values[0])
    return {"field": c.field, "op": c.op, "value": value}


def _value(ctx: Context, field: FieldDef | None, text: str) -> Any:
    if field is None or text in ("me()", "my_dept()", "today()", "now()"):
        return text
    kind, result = field_types.get(field.type).result_of(field, ctx.config)
    expr_type = kind.expr_type_of(result, ctx.config)
    if expr_type == "bool":
        return text == "true"
    if expr_type in ("ref", "user", "dept", "option", "list", "text", "date", "datetime"):
        return text
    return kind.from_form(result, [text], ctx.config)


# ---- words -------------------------------------------------------------------------------------------------------------


def operators(ctx: Context, field: FieldDef) -> list[str]:
    kind, result = field_types.get(field.type).result_of(field, ctx.config)
    expr_type = kind.expr_type_of(result, ctx.config)
    return [op for op in kind.operators if op in OPS and expr_type in OPS[op].types]


def editor_kind(ctx: Context, field: FieldDef) -> str:
    """Which control asks for the value: options picker date bool number text."""
    kind, result = field_types.get(field.type).result_of(field, ctx.config)
    if has_options(result):
        return "options"
    expr_type = kind.expr_type_of(result, ctx.config)
    if kind.holds in ("record", "user", "dept"):
        return "picker"
    return {"date": "date", "datetime": "date", "bool": "bool", "number": "number"}.get(expr_type, "text")


def has_options(field: FieldDef) -> bool:
    return any(field.options.get(name) for name in ("set", "options", "pipeline"))


def filterable(ctx: Context, field: FieldDef) -> bool:
    return bool(operators(ctx, field))


def op_choices(ctx: Context, field: FieldDef) -> tuple[Choice, ...]:
    """Several ticked options or people mean "one of", so there "is" and "is one of" are one choice."""
    ops = operators(ctx, field)
    if editor_kind(ctx, field) in ("options", "picker") and "in" in ops:
        ops = [op for op in ops if op not in ("eq", "ne")]
    choices = [Choice(op, str(OPS[op].label)) for op in ops if op != "is_empty"]
    if "is_empty" in ops:
        choices += [Choice("is_empty", _("is empty")), Choice("not_empty", _("is not empty"))]
    return tuple(choices)


def period_choices(chosen: Sequence[str] = ()) -> tuple[Choice, ...]:
    found = []
    for key, label in PERIODS.items():
        if key.endswith("_n_days"):
            found += [Choice(f"{key}:{n}", str(label).replace("…", str(n)), f"{key}:{n}" in chosen) for n in (7, 30, 90)]
        else:
            found.append(Choice(key, str(label), key in chosen))
    known = {c.key for c in found}
    for own in (c for c in chosen if c not in known):  # as many days as somebody wrote
        key, _colon, number = own.partition(":")
        if number and key in PERIODS:
            found.append(Choice(own, str(PERIODS[key]).replace("…", number), True))
    return tuple(found)


def value_text(ctx: Context, entity: Entity, c: Condition, names: dict[str, str]) -> str:
    """The values of a condition in words; `names` are those of people and records."""
    field = entity.fields.get(c.field)
    if OPS[c.op].takes == "flag":
        return "" if c.values[:1] != ("false",) else _("no")
    if OPS[c.op].takes == "period":
        return next((p.text for p in period_choices(c.values) if p.key == c.values[0]), c.values[0])
    words = [_word(ctx, entity, field, v, names) for v in c.values]
    if OPS[c.op].takes == "pair":
        return " – ".join(words)
    return ("、" if ctx.locale == "zh_CN" else ", ").join(words)


def _word(ctx: Context, entity: Entity, field: FieldDef | None, value: str, names: dict[str, str]) -> str:
    if value == "me()":
        return _("me")
    if value == "my_dept()":
        return _("my department")
    if value == "today()":
        return _("Today")
    if value in names or field is None:
        return names.get(value, value)
    if has_options(field):
        return next((pick(o.label, ctx.locale) for o in ctx.config.options(entity.key, field.key) if o.key == value), value)
    kind: FieldType = field_types.get(field.type)
    if kind.expr_type_of(field, ctx.config) == "bool":
        return _("Yes") if value == "true" else _("No")
    return value


def added(query: Any, entity: Entity, ctx: Context) -> Condition | None:
    """The condition of a sent filter editor (`add_field`, `add_op`, `add_value`, `add_period`); None if it says nothing."""
    field = entity.fields.get(query.get("add_field", ""))
    op = query.get("add_op", "")
    if field is None:
        return None
    values = [v.strip() for v in query.getall("add_value", []) if v.strip()]
    period = query.get("add_period", "")
    if op == "not_empty":
        return Condition(field.key, "is_empty", ("false",))
    if op == "is_empty":
        return Condition(field.key, "is_empty", ("true",))
    if period and "relative" in operators(ctx, field):
        return Condition(field.key, "relative", (period,))
    if op not in OPS or not values:
        return None
    if op == "relative":
        op = "eq" if "eq" in operators(ctx, field) else "gte"
    if op == "contains" and len(values) > 1 and "in" in operators(ctx, field):  # several people were picked
        op = "in"
    takes = OPS[op].takes
    if takes == "pair" and len(values) < 2:
        op, takes = "gte", "one"
    clean = [v.replace(",", " ") if takes in ("many", "pair") else v for v in values]
    return Condition(field.key, op, tuple(clean) if takes == "many" else tuple(clean[:2]) if takes == "pair" else (clean[0],))


def without(conditions: Iterable[Condition], index: int) -> tuple[Condition, ...]:
    return tuple(c for i, c in enumerate(conditions) if i != index)
