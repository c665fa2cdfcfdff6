"""The tree every backend works on. Nodes compare by meaning: `pos`, the place in the text, does not count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal as Choice

MAX_LENGTH, MAX_DEPTH, MAX_NODES = 2000, 40, 400

AGGREGATES = ("count", "sum", "avg", "min", "max", "latest", "exists", "all")


@dataclass(frozen=True, slots=True)
class Node:
    pos: int = field(default=0, compare=False, kw_only=True)

    def parts_below(self) -> tuple[Node, ...]:
        """Direct children, left to right."""
        return ()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """`kind` keeps true apart from 1 (equal and equally hashed in Python)."""

    value: str | Decimal | bool | None
    kind: Choice["text", "number", "bool", "null"]


@dataclass(frozen=True, slots=True)
class Path(Node):
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class List(Node):
    items: tuple[Node, ...]

    def parts_below(self) -> tuple[Node, ...]:
        return self.items


@dataclass(frozen=True, slots=True)
class Unary(Node):
    op: Choice["not", "-"]
    operand: Node

    def parts_below(self) -> tuple[Node, ...]:
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Binary(Node):
    op: Choice["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/"]
    left: Node
    right: Node

    def parts_below(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`and` / `or` over two or more conditions; never directly inside a Logic of the same op. Build with `logic()`."""

    op: Choice["and", "or"]
    items: tuple[Node, ...]

    def parts_below(self) -> tuple[Node, ...]:
        return self.items


@dataclass(frozen=True, slots=True)
class In(Node):
    """`options` is a List or anything whose value is a list."""

    item: Node
    options: Node
    negated: bool = False

    def parts_below(self) -> tuple[Node, ...]:
        return (self.item, self.options)


@dataclass(frozen=True, slots=True)
class Call(Node):
    name: str
    args: tuple[Node, ...] = ()

    def parts_below(self) -> tuple[Node, ...]:
        return self.args


@dataclass(frozen=True, slots=True)
class Child(Node):
    """An aggregate over child records: `max(orders.date where status == 'paid')`.

    `where` is seen from the child; `parent.field` in it is the record the expression belongs to.
    """

    fn: str
    relation: str
    field: str | None = None
    where: Node | None = None

    def parts_below(self) -> tuple[Node, ...]:
        return () if self.where is None else (self.where,)


TRUE, FALSE, NULL = Literal(True, "bool"), Literal(False, "bool"), Literal(None, "null")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def text(value: str) -> Literal:
    return Literal(value, "text")


def number(value: int | str | Decimal) -> Node:
    amount = Decimal(value)
    return Unary("-", Literal(-amount, "number")) if amount < 0 else Literal(amount, "number")


def logic(op: Choice["and", "or"], items: list[Node] | tuple[Node, ...], pos: int = 0) -> Node:
    """The conjunction or disjunction, flattened; of nothing it is true (and) or false (or)."""
    flat: list[Node] = []
    for item in items:
        if isinstance(item, Logic) and item.op == op:
            flat.extend(item.items)
        else:
            flat.append(item)
    if not flat:
        return TRUE if op == "and" else FALSE
    return flat[0] if len(flat) == 1 else Logic(op, tuple(flat), pos=pos)


def walk(node: Node, *, into_children: bool = True) -> Iterator[Node]:
    """The node and everything below it, in reading order; without `into_children` the conditions of Child nodes are left out."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if into_children or not isinstance(current, Child):
            stack.extend(reversed(current.parts_below()))


def measure(node: Node) -> tuple[int, int]:
    """(depth, number of nodes), without recursion: hostile input may be deep."""
    deepest = count = 0
    stack = [(node, 1)]
    while stack:
        current, depth = stack.pop()
        count += 1
        deepest = max(deepest, depth)
        stack.extend((below, depth + 1) for below in current.parts_below())
    return deepest, count
