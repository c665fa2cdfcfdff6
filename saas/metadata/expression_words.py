"""An expression as a person reads it: labels instead of keys, words instead of signs. Never raises: what cannot be read stands as it
is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from saas.i18n import LazyString, lazy, lazy_plural
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.calendar import PERIODS
from saas.metadata.expressions.dump import dump
from saas.metadata.expressions.errors import ExpressionError
from saas.metadata.expressions.filters import OPS
from saas.metadata.expressions.parser import parse
from saas.metadata.naming import Joined, Lookup, Name, Text
from saas.metadata.property_words import NO, YES

AND, OR = lazy(" and "), lazy(" or ")
_COMPARED: Mapping[str, LazyString] = {
    "==": OPS["eq"].label, "!=": OPS["ne"].label, "<": OPS["lt"].label, "<=": OPS["lte"].label, ">": OPS["gt"].label, ">=": OPS["gte"].label,
}  # fmt: skip
_SIGNS: Mapping[str, str] = {"+": " + ", "-": " − ", "*": " × ", "/": " ÷ "}
_NOBODYS: Mapping[str, LazyString] = {"today": lazy("today"), "now": lazy("now"), "me": lazy("me"), "my_dept": lazy("my department")}
# Functions of one value.
_OF: Mapping[str, Callable[..., LazyString]] = {
    "year": lambda of: lazy("the year of %(value)s", value=of), "month": lambda of: lazy("the month of %(value)s", value=of),
    "day": lambda of: lazy("the day of the month of %(value)s", value=of), "len": lambda of: lazy("the length of %(value)s", value=of),
    "upper": lambda of: lazy("%(value)s in capital letters", value=of), "lower": lambda of: lazy("%(value)s in small letters", value=of),
    "abs": lambda of: lazy("%(value)s without its sign", value=of), "floor": lambda of: lazy("%(value)s rounded down", value=of),
    "ceil": lambda of: lazy("%(value)s rounded up", value=of), "round": lambda of: lazy("%(value)s rounded", value=of),
}  # fmt: skip
_AS_IT_IS = ("text", "number", "date", "datetime", "trim")  # how a value is written makes no difference to who reads it
_OF_CHILDREN: Mapping[str, Callable[..., LazyString]] = {
    "count": lambda of: lazy("the number of %(records)s", records=of), "exists": lambda of: lazy("there are %(records)s", records=of),
    "sum": lambda of: lazy("the sum of %(records)s", records=of), "avg": lambda of: lazy("the average of %(records)s", records=of),
    "min": lambda of: lazy("the smallest of %(records)s", records=of), "max": lambda of: lazy("the largest of %(records)s", records=of),
    "latest": lambda of: lazy("the latest of %(records)s", records=of), "all": lambda of: lazy("all of %(records)s", records=of),
}  # fmt: skip


def expression_words(lookup: Lookup, text: Any, entity: Any, field: Mapping[str, Any] | None = None) -> Text:
    """“Status is Open and Due is today + 1 day” for `status == 'open' and due == add_days(today(), 1)`; `entity` is the key of the
    entity whose fields it names, None where that is not known; `field` is the one that gets the value."""
    if not isinstance(text, str):
        return ""
    try:
        node = parse(text)
    except (ExpressionError, RecursionError):
        return text
    reader = _Reader(lookup, entity)
    return reader.literal(node, field) if field is not None else reader.words(node)


@dataclass(frozen=True, slots=True)
class _Reader:
    lookup: Lookup
    entity: Any
    outer: Any = None  # of the record that the expression belongs to, seen from its children

    def words(self, node: n.Node) -> Text:
        match node:
            case n.Literal():
                return self.literal(node, None)
            case n.Path(parts=parts):
                return self.path(parts)
            case n.List(items=items):
                return Joined(map(self.words, items))
            case n.Unary(op="-", operand=below):
                return lazy("minus %(value)s", value=self.bound(below))
            case n.Unary(operand=below):
                return self.negated(below)
            case n.Logic(op=op, items=items):
                return Joined((self.part(item) for item in items), AND if op == "and" else OR)
            case n.Binary(op=op, left=left, right=right) if op in _SIGNS:
                return Joined((self.bound(left), self.bound(right)), _SIGNS[op])
            case n.Binary():
                return self.comparison(node)
            case n.In(item=item, options=options, negated=negated):
                return self.among(item, options, negated)
            case n.Child():
                return self.children(node)
            case n.Call():
                return self.call(node)
        return dump(node)

    def part(self, node: n.Node) -> Text:
        """A condition among others."""
        return lazy("(%(text)s)", text=self.words(node)) if isinstance(node, n.Logic) else self.words(node)

    def bound(self, node: n.Node) -> Text:
        """A value that is calculated with."""
        loose = isinstance(node, n.Logic) or (isinstance(node, n.Binary) and node.op in ("+", "-")) or (isinstance(node, n.Call) and node.name == "if")
        return lazy("(%(text)s)", text=self.words(node)) if loose else self.words(node)

    # ---- values -----------------------------------------------------------------------------------------------------

    def path(self, parts: tuple[str, ...]) -> Text:
        if parts[0] == "parent" and self.outer is not None and len(parts) > 1:
            return self.lookup.path_name(self.outer, ".".join(parts[1:]))
        return lazy("this record") if parts == ("id",) else self.lookup.path_name(self.entity, ".".join(parts))

    def field(self, node: n.Node) -> Mapping[str, Any] | None:
        """The field a value is compared with: it knows the names of its choices."""
        if isinstance(node, n.Call) and node.name in ("coalesce", "old") and node.args:
            first = node.args[0]
            return self.field(n.Path((str(first.value),)) if isinstance(first, n.Literal) else first)
        if not isinstance(node, n.Path):
            return None
        here, parts = (self.outer, node.parts[1:]) if node.parts[0] == "parent" and self.outer is not None else (self.entity, node.parts)
        return self.lookup.field(*self.lookup.along(here, ".".join(parts))) if parts else None

    def literal(self, node: n.Node, field: Mapping[str, Any] | None) -> Text:
        if not isinstance(node, n.Literal):
            return self.words(node)
        if node.value is None:
            return lazy("empty")
        if isinstance(node.value, bool):
            return YES if node.value else NO
        if isinstance(node.value, Decimal):
            return format(node.value, "f")
        known = field is not None and any(o.get("key") == node.value for o in self.lookup.options(field)[1])
        return self.lookup.option_name(field, node.value) if known else lazy("“%(text)s”", text=node.value)

    # ---- conditions -------------------------------------------------------------------------------------------------

    def comparison(self, node: n.Binary) -> Text:
        left, right = node.left, node.right
        if isinstance(right, n.Literal) and right.value is None and node.op in ("==", "!="):
            return self.empty(left, node.op == "==")
        field = self.field(left) or self.field(right)
        return Joined((self.literal(left, field), _COMPARED[node.op], self.literal(right, field)), " ")

    def empty(self, node: n.Node, is_so: bool) -> Text:
        return lazy("%(field)s is empty", field=self.words(node)) if is_so else lazy("%(field)s is not empty", field=self.words(node))

    def among(self, item: n.Node, options: n.Node, negated: bool) -> Text:
        if not isinstance(options, n.List):
            text: Text = Joined((self.words(options), OPS["contains"].label, self.literal(item, self.field(options))), " ")
            return lazy("not (%(text)s)", text=text) if negated else text
        field = self.field(item)
        return Joined((self.words(item), OPS["not_in" if negated else "in"].label, Joined(self.literal(o, field) for o in options.items)), " ")

    def negated(self, node: n.Node) -> Text:
        match node:
            case n.Call(name="is_empty", args=(value,)):
                return self.empty(value, False)
            case n.Call(name="has_role", args=(n.Literal(value=key),)):
                return lazy("the person does not have the role “%(role)s”", role=self.lookup.name("roles", key))
            case n.Call(name="is_changed", args=(n.Literal(value=key),)):
                return lazy("%(field)s has not changed", field=self.lookup.field_name(self.entity, key))
            case n.Child(fn="exists"):
                return lazy("there are no %(records)s", records=self.records(node))
            case n.In(item=item, options=options, negated=negated):
                return self.among(item, options, not negated)
            case n.Path():
                return Joined((self.words(node), OPS["eq"].label, NO), " ")
        return lazy("not (%(text)s)", text=self.words(node))

    # ---- calls ------------------------------------------------------------------------------------------------------

    def call(self, node: n.Call) -> Text:
        if not node.args and node.name in _NOBODYS:
            return _NOBODYS[node.name]
        match node:
            case n.Call(name="is_empty", args=(value,)):
                return self.empty(value, True)
            case n.Call(name="setting", args=(n.Literal(value=key),)):
                return lazy("“%(text)s”", text=self.setting(key))
            case n.Call(name="has_role", args=(n.Literal(value=key),)):
                return lazy("the person has the role “%(role)s”", role=self.lookup.name("roles", key))
            case n.Call(name="old", args=(n.Literal(value=key),)):
                return lazy("%(field)s before the change", field=self.lookup.field_name(self.entity, key))
            case n.Call(name="rank", args=(n.Literal(value=key),)):
                return lazy("the place by %(field)s", field=self.lookup.field_name(self.entity, key))
            case n.Call(name="rank", args=(n.Literal(value=key), n.Literal(value=among))):
                return lazy("the place by %(field)s among the same %(among)s", field=self.lookup.field_name(self.entity, key), among=self.lookup.field_name(self.entity, among))
            case n.Call(name="ntile", args=(n.Literal(value=key), n.Literal(value=Decimal() as parts))):
                return lazy("which of %(count)s parts by %(field)s", count=int(parts), field=self.lookup.field_name(self.entity, key))
            case n.Call(name="ntile", args=(n.Literal(value=key), n.Literal(value=Decimal() as parts), n.Literal(value=among))):
                return lazy("which of %(count)s parts by %(field)s among the same %(among)s", count=int(parts), field=self.lookup.field_name(self.entity, key), among=self.lookup.field_name(self.entity, among))
            case n.Call(name="is_changed", args=(n.Literal(value=key),)):
                return lazy("%(field)s has changed", field=self.lookup.field_name(self.entity, key))
            case n.Call(name="contains" | "starts_with" as op, args=(value, other)):
                return Joined((self.words(value), OPS[op].label, self.literal(other, self.field(value))), " ")
            case n.Call(name="in_period", args=(value, n.Literal(value=str(period)))):
                return Joined((self.words(value), *(() if period in ("past", "future") else (OPS["relative"].label,)), _period(period)), " ")
            case n.Call(name="days_between", args=(start, end)):
                return lazy("the days from %(start)s to %(end)s", start=self.words(start), end=self.words(end))
            case n.Call(name="add_days", args=(start, n.Literal(value=Decimal() as count))):
                return lazy_plural("%(start)s + %(count)s day", "%(start)s + %(count)s days", int(count), start=self.words(start))
            case n.Call(name="add_days", args=(start, count)):
                return lazy("%(start)s + as many days as %(count)s", start=self.words(start), count=self.bound(count))
            case n.Call(name="add_months", args=(start, n.Literal(value=Decimal() as count))):
                return lazy_plural("%(start)s + %(count)s month", "%(start)s + %(count)s months", int(count), start=self.words(start))
            case n.Call(name="add_months", args=(start, count)):
                return lazy("%(start)s + as many months as %(count)s", start=self.words(start), count=self.bound(count))
            case n.Call(name="if", args=(condition, yes, no)):
                return lazy("%(yes)s if %(condition)s, else %(no)s", yes=self.words(yes), condition=self.words(condition), no=self.words(no))
            case n.Call(name="coalesce", args=(value, other)):
                return lazy("%(value)s (%(other)s if empty)", value=self.words(value), other=self.literal(other, self.field(value)))
            case n.Call(name="coalesce", args=args):
                return lazy("the first of %(values)s that is not empty", values=Joined(map(self.words, args)))
            case n.Call(name="concat", args=args):
                return Joined(map(self.words, args), " + ")
            case n.Call(name="min", args=(*args,)) if len(args) > 1:
                return lazy("the smallest of %(records)s", records=Joined(map(self.words, args)))
            case n.Call(name="max", args=(*args,)) if len(args) > 1:
                return lazy("the largest of %(records)s", records=Joined(map(self.words, args)))
        if node.name in _AS_IT_IS and node.args:
            return self.words(node.args[0])
        if node.name in _OF and node.args:
            return _OF[node.name](self.bound(node.args[0]))
        return lazy("%(name)s (%(items)s)", name=node.name, items=Joined(map(self.words, node.args)))

    def setting(self, key: Any) -> Name:
        return self.lookup.name("settings", key)

    def children(self, node: n.Child) -> Text:
        make = _OF_CHILDREN.get(node.fn)
        return make(self.records(node)) if make else dump(node)

    def records(self, node: n.Child) -> Text:
        """“Orders with Status is Paid”."""
        relation = self.lookup.relation(self.entity, node.relation)
        below = _Reader(self.lookup, relation.child if relation else None, self.entity)
        name: Text = self.lookup.relation_name(self.entity, node.relation)
        if node.field:
            name = Joined((name, self.lookup.path_name(below.entity, node.field)), " · ")
        return lazy("%(records)s (%(condition)s)", records=name, condition=below.words(node.where)) if node.where is not None else name


def _period(token: str) -> Text:
    name, _colon, days = token.partition(":")
    if days and name in ("last_n_days", "next_n_days"):
        return lazy("the last %(days)s days", days=days) if name == "last_n_days" else lazy("the next %(days)s days", days=days)
    return PERIODS.get(token, token)
