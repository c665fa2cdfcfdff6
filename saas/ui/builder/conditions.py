"""Conditions as rows of field, operator and value, and back: what people click together is stored as an expression or a filter, and an
expression that is simple enough is shown as rows again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.expression_words import expression_words
from saas.metadata.expressions.errors import ExpressionError, FilterError
from saas.metadata.kinds import field_types
from saas.metadata.naming import Lookup
from saas.metadata.unbuild import bundle_to_raw
from saas.runtime import Context
from saas.ui.filters import OPS, Condition, condition_json, operators, value_text

Join = Literal["and", "or"]
CALLS = ("me()", "my_dept()", "today()", "now()")
_COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


@dataclass(frozen=True, slots=True)
class Rows:
    """All (and) or any (or) of some conditions."""

    join: Join = "and"
    conditions: tuple[Condition, ...] = ()


def to_filter(ctx: Context, entity: Entity, rows: Rows) -> Any:
    """Filter JSON of the rows; None for none."""
    parts = [condition_json(ctx, entity, c) for c in rows.conditions]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {rows.join: parts}


def to_expression(ctx: Context, entity: Entity, rows: Rows) -> str | None:
    """The expression the rows stand for. Errors: FilterError for a value that does not suit its field."""
    node = ex.filter_to_node(to_filter(ctx, entity, rows), ctx.config, entity.key)
    return None if node is None else ex.dump(node)


def from_expression(ctx: Context, entity: Entity, text: str | None) -> Rows | None:
    """The rows an expression says, or None where rows cannot say it."""
    if not text:
        return Rows()
    try:
        node = ex.parse(text)
    except ExpressionError:
        return None
    join: Join = node.op if isinstance(node, ex.Logic) else "and"
    items = node.items if isinstance(node, ex.Logic) else (node,)
    found = [_row(entity, item) for item in items]
    rows = [r for r in found if r is not None and r.op in operators(ctx, entity.fields[r.field])]
    return Rows(join, tuple(rows)) if len(rows) == len(found) else None


def from_filter(ctx: Context, entity: Entity, filter_: Any) -> Rows | None:
    """The rows a filter says, or None where rows cannot say it."""
    if not filter_:
        return Rows()
    if isinstance(filter_, str) or set(filter_) == {"expr"}:
        return from_expression(ctx, entity, filter_ if isinstance(filter_, str) else filter_["expr"])
    join: Join = "or" if set(filter_) == {"or"} else "and"
    items = filter_.get(join, [filter_]) if isinstance(filter_, dict) else []
    found: list[Condition] = []
    for item in items:
        if not isinstance(item, dict) or item.get("field") not in entity.fields or item.get("op") not in ex.OPS:
            return None
        value = item.get("value")
        values = [v.get("amount") if isinstance(v, dict) else v for v in (value if isinstance(value, list) else [value])]
        if any(isinstance(v, list) or v is None for v in values):
            return None
        found.append(Condition(item["field"], item["op"], tuple(_plain(v) for v in values)))
    return Rows(join, tuple(found))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", text) else text


def kept(text: str | None, was: str, ctx: Context | None = None, entity: Entity | None = None) -> str | None:
    """The expression as it was written before, if the new one says the same: the same tree or, for an entity, the same rows."""
    if not text or not was:
        return text
    try:
        if ex.parse(text) == ex.parse(was):
            return was
    except ExpressionError:
        return text
    rows = from_expression(ctx, entity, text) if ctx and entity else None
    return was if rows is not None and ctx and entity and rows == from_expression(ctx, entity, was) else text


def in_words(ctx: Context, entity: Entity | None, text: str | None) -> str:
    """A condition for people: “Status is open and Amount is more than 100”."""
    rows = from_expression(ctx, entity, text) if entity and text else None
    if entity is None or rows is None:
        lookup = ctx.config.cached("builder.lookup", lambda: Lookup(ctx.config.raw or bundle_to_raw(ctx.config.bundle)))
        return str(expression_words(lookup, text, entity.key if entity else None))
    return f" {_('and') if rows.join == 'and' else _('or')} ".join(_condition_words(ctx, entity, c) for c in rows.conditions)


def _condition_words(ctx: Context, entity: Entity, c: Condition) -> str:
    name = pick(entity.fields[c.field].label, ctx.locale)
    if c.op == "is_empty":
        return f"{name} {_('is not empty') if c.values == ('false',) else _('is empty')}"
    return f"{name} {OPS[c.op].label} {value_text(ctx, entity, c, {})}".strip()


def text_of(filter_: Any, ctx: Context, entity: Entity) -> str:
    """A filter as an expression, for those who write one."""
    if not filter_:
        return ""
    if isinstance(filter_, str):
        return filter_
    if set(filter_) == {"expr"}:
        return str(filter_["expr"])
    try:
        node = ex.filter_to_node(filter_, ctx.config, entity.key)
    except FilterError:
        return ""
    return "" if node is None else ex.dump(node)


# ---- reading the tree ---------------------------------------------------------------------------------------------------


def _row(entity: Entity, node: ex.Node) -> Condition | None:
    match node:
        case ex.Unary(op="not", operand=inner):
            found = _row(entity, inner)
            return _negated(found) if found else None
        case ex.Call(name="is_empty", args=(ex.Path() as path,)):
            return _made(entity, path, "is_empty", ["true"])
        case ex.Call(name="contains" | "starts_with" as op, args=(ex.Path() as path, ex.Literal() as value)):
            return _made(entity, path, op, _texts([value]))
        case ex.Call(name="in_period", args=(ex.Path() as path, ex.Literal() as value)):
            return _made(entity, path, "relative", _texts([value]))
        case ex.In(item=ex.Path() as path, options=ex.List(items=items), negated=negated):
            return _made(entity, path, "not_in" if negated else "in", _texts(items))
        case ex.In(item=ex.Literal() as value, options=ex.Path() as path, negated=False):
            return _made(entity, path, "contains", _texts([value]))
        case ex.Path() as path:
            return _made(entity, path, "eq", ["true"])
        case ex.Binary(op=op, left=ex.Path() as path, right=right) if op in _COMPARISONS:
            if isinstance(right, ex.Literal) and right.kind == "null":
                return _made(entity, path, "is_empty", ["true" if op == "==" else "false"]) if op in ("==", "!=") else None
            return _made(entity, path, _COMPARISONS[op], _texts([right]))
    return None


def _negated(row: Condition) -> Condition | None:
    opposite = {"in": "not_in", "not_in": "in", "eq": "ne", "ne": "eq"}
    if row.op == "is_empty" or (row.op == "eq" and row.values == ("true",)):
        return Condition(row.field, row.op, ("false",) if row.values == ("true",) else ("true",))
    return Condition(row.field, opposite[row.op], row.values) if row.op in opposite else None


def _made(entity: Entity, path: ex.Path, op: str, values: Sequence[str] | None) -> Condition | None:
    if values is None or len(path.parts) != 1 or path.parts[0] not in entity.fields:
        return None
    field = entity.fields[path.parts[0]]
    if op == "eq" and list(values) == ["true"] and field_types.get(field.type).expr_type not in ("bool", "any"):
        return None
    return Condition(path.parts[0], op, tuple(values))


def _texts(nodes: Iterable[ex.Node]) -> list[str] | None:
    found = []
    for node in nodes:
        match node:
            case ex.Literal(kind="text" | "number", value=value):
                found.append(str(value))
            case ex.Literal(kind="bool", value=value):
                found.append("true" if value else "false")
            case ex.Unary(op="-", operand=ex.Literal(kind="number", value=value)):
                found.append(f"-{value}")
            case ex.Call(name="date" | "datetime", args=(ex.Literal(kind="text", value=value),)):
                found.append(str(value))
            case ex.Call(name="me" | "my_dept" | "today" | "now" as name, args=()):
                found.append(f"{name}()")
            case _:
                return None
    return found
