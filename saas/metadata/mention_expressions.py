"""Which definitions an expression, filter, literal or text refers to, as paths. Read from the expression's tree, never from its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saas.metadata import expressions as x
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.filters import MAX_DEPTH
from saas.metadata.naming import Lookup, texts

Names = Mapping[str, Any]  # further roots of paths, dotted ones too, with the entity each leads to
_TEMPLATE = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_.]*)")
FIELD_CALLS = ("old", "is_changed")


def field_path(entity: Any, key: str) -> str:
    return f"entities[{entity}].fields[{key}]"


def option_path(lookup: Lookup, entity: Any, key: str, option: str) -> str | None:
    """The path of an option of a field, or of a stage; None for a field without choices."""
    fld = lookup.field(entity, key)
    if fld is None or fld.get("type") not in ("option", "multi", "tags", "pipeline"):
        return None
    return f"{lookup.options(fld)[0] or f'{field_path(entity, key)}.options'}[{option}]"


def along(lookup: Lookup, entity: Any, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(entity, field) of each step of a path, as far as it can be followed."""
    for part in parts:
        if lookup.entity(entity) is None or part == "id":
            return
        yield entity, part
        fld = lookup.field(entity, part)
        entity = fld.get("to") if fld is not None and fld.get("type") in ("ref", "m2m") else None


def in_expression(
    lookup: Lookup, text: Any, entity: Any, names: Names | None = None, *, into: tuple[Any, str] | None = None, parents: tuple[Any, ...] = ()
) -> list[str]:
    """The definitions an expression over records of `entity` refers to; `into` is the (entity, field) that takes its result,
    `parents` are the entities of the records around, where it is a condition on children."""
    try:
        node = x.parse(text)
    except x.ExpressionError:  # reported as a problem where it stands
        return []
    found = list(_Reader(lookup, names or {}).node(node, entity, parents))
    if into is not None:
        found += [p for value in _results(node) if (p := option_path(lookup, *into, value)) is not None]
    return list(dict.fromkeys(found))


def in_node(lookup: Lookup, node: n.Node, entity: Any) -> list[str]:
    """The definitions a part of an expression refers to."""
    return list(dict.fromkeys(_Reader(lookup, {}).node(node, entity, ())))


def in_filter(lookup: Lookup, value: Any, entity: Any) -> list[str]:
    """The definitions a filter refers to."""
    return list(dict.fromkeys(_filter(lookup, value, entity, 0)))


def _filter(lookup: Lookup, value: Any, entity: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield from in_expression(lookup, value, entity)
    if not isinstance(value, Mapping) or depth > MAX_DEPTH:
        return
    for word in ("and", "or"):
        for part in value[word] if isinstance(value.get(word), list) else ():
            yield from _filter(lookup, part, entity, depth + 1)
    if "not" in value:
        yield from _filter(lookup, value["not"], entity, depth + 1)
    if "expr" in value:
        yield from in_expression(lookup, value["expr"], entity)
    if isinstance(value.get("field"), str):
        steps = list(along(lookup, entity, value["field"].split(".")))
        yield from (field_path(*step) for step in steps)
        if steps:
            yield from (p for text in texts(value.get("value")) if (p := option_path(lookup, *steps[-1], text)) is not None)


def in_literal(lookup: Lookup, value: Any, entity: Any, key: str) -> list[str]:
    """The options a fixed value of a field names."""
    return [p for text in texts(value) if (p := option_path(lookup, entity, key, text)) is not None]


def in_template(lookup: Lookup, text: Any, entity: Any, names: Names) -> list[str]:
    """The fields a text with {{ field }} shows."""
    found = []
    for name in _TEMPLATE.findall(text) if isinstance(text, str) else ():
        parts = name.split(".")
        if parts[0] == "result" and len(parts) > 2:
            found += [field_path(*step) for step in along(lookup, names.get(".".join(parts[:2])), parts[2:])]
        elif parts[0] not in ("result", "me", "today"):
            found += [field_path(*step) for step in along(lookup, entity, parts)]
    return list(dict.fromkeys(found))


def _results(node: n.Node) -> Iterator[str]:
    """The fixed texts an expression can result in."""
    if isinstance(node, n.Literal) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, n.Call) and node.name in ("if", "coalesce", "min", "max"):
        for arg in node.args[1:] if node.name == "if" else node.args:
            yield from _results(arg)


class _Reader:
    def __init__(self, lookup: Lookup, names: Names) -> None:
        self.lookup, self.names = lookup, names

    def node(self, node: n.Node, entity: Any, parents: tuple[Any, ...]) -> Iterator[str]:
        """`parents` are the entities of the records around a child condition, innermost last."""
        for current in x.walk(node, into_children=False):
            match current:
                case n.Path(parts=parts):
                    yield from (field_path(*step) for step in self.path(parts, entity, parents))
                case n.Child():
                    yield from self.child(current, entity, parents)
                case n.Call(name="setting", args=(n.Literal(value=str(key)),)):
                    yield f"settings[{key}]"
                case n.Call(name="has_role", args=(n.Literal(value=str(key)),)):
                    yield f"roles[{key}]"
                case n.Call(name=name, args=(n.Literal(value=str(key)),)) if name in FIELD_CALLS:
                    yield from (field_path(*step) for step in along(self.lookup, entity, (key,)))
                case n.Call(name="rank" | "ntile", args=args):
                    for arg in args:
                        if isinstance(arg, n.Literal) and isinstance(arg.value, str):
                            yield from (field_path(*step) for step in along(self.lookup, entity, (arg.value,)))
                case n.Call(name="contains", args=(left, right)):
                    yield from self.options(left, right, entity, parents)
                case n.Binary(op="==" | "!=", left=left, right=right):
                    yield from self.options(left, right, entity, parents)
                    yield from self.options(right, left, entity, parents)
                case n.In(item=item, options=options):
                    yield from self.options(item, options, entity, parents)
                    yield from self.options(options, item, entity, parents)

    def path(self, parts: tuple[str, ...], entity: Any, parents: tuple[Any, ...]) -> list[tuple[str, str]]:
        while parts[:1] == ("parent",) and parents and self.lookup.field(entity, "parent") is None:
            entity, parents, parts = parents[-1], parents[:-1], parts[1:]
        if not parents:
            for size in range(len(parts), 0, -1):  # the longest of the further names wins
                if (name := ".".join(parts[:size])) in self.names:
                    return list(along(self.lookup, self.names[name], parts[size:]))
        return list(along(self.lookup, entity, parts))

    def child(self, node: n.Child, entity: Any, parents: tuple[Any, ...]) -> Iterator[str]:
        relation = self.lookup.relation(entity, node.relation)
        if relation is None:
            return
        yield f"{field_path(relation.child, relation.field)}.inverse"
        if node.field:
            yield field_path(relation.child, node.field)
        if node.where is not None:
            yield from self.node(node.where, relation.child, (*parents, entity))

    def options(self, side: n.Node, other: n.Node, entity: Any, parents: tuple[Any, ...]) -> Iterator[str]:
        """Options and stages that stand as texts beside their field."""
        if isinstance(side, n.Call) and side.name == "old" and side.args and isinstance(side.args[0], n.Literal):
            side = n.Path((str(side.args[0].value),))
        if not isinstance(side, n.Path):
            return
        steps = self.path(side.parts, entity, parents)
        for value in other.items if isinstance(other, n.List) else (other,):
            if steps and isinstance(value, n.Literal) and isinstance(value.value, str):
                path = option_path(self.lookup, *steps[-1], value.value)
                if path is not None:
                    yield path
