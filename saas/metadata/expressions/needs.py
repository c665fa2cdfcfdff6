"""What must be loaded before an expression can be evaluated in Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from saas.metadata.expressions import nodes as n

_TIME = {"today", "now", "in_period"}


@dataclass(frozen=True, slots=True)
class Needs:
    """`paths` are those of the record itself, `parent.…` in a child condition included (without `parent`); `children` are the
    outermost aggregates, their conditions being the business of whoever resolves them; `olds` are fields asked for by
    old() and is_changed(); `ranks` by rank() and ntile()."""

    paths: frozenset[tuple[str, ...]] = frozenset()
    children: tuple[n.Child, ...] = ()
    olds: frozenset[str] = frozenset()
    uses_time: bool = False
    ranks: frozenset[tuple[str, str | None]] = frozenset()  # (field, field that must be equal) of rank() and ntile()

    @property
    def is_constant(self) -> bool:
        """Whether the value is the same for all records of one query."""
        return not (self.paths or self.children or self.olds or self.ranks)


def needs(node: n.Node) -> Needs:
    paths: set[tuple[str, ...]] = set()
    children: list[n.Child] = []
    olds: set[str] = set()
    ranks: set[tuple[str, str | None]] = set()
    uses_time = False
    for current in n.walk(node, into_children=False):
        match current:
            case n.Path(parts=parts):
                paths.add(parts)
            case n.Child():
                if current not in children:
                    children.append(current)
                if current.where is not None:
                    paths.update(_outer_paths(current.where, 1))
                    uses_time |= any(isinstance(x, n.Call) and x.name in _TIME for x in n.walk(current.where))
            case n.Call(name="old" | "is_changed", args=(n.Literal(value=str(key)),)):
                olds.add(key)
            case n.Call(name="rank" | "ntile" as name, args=args):
                fields = [str(a.value) for a in args if isinstance(a, n.Literal) and a.kind == "text"]
                ranks.add((fields[0], fields[1] if len(fields) > 1 else None))
            case n.Call(name=name) if name in _TIME:
                uses_time = True
    return Needs(frozenset(paths), tuple(children), frozenset(olds), uses_time, frozenset(ranks))


def _outer_paths(where: n.Node, level: int) -> Iterator[tuple[str, ...]]:
    """Paths in a child condition that reach `level` records up."""
    for current in n.walk(where, into_children=False):
        if isinstance(current, n.Path) and current.parts[:level] == ("parent",) * level and len(current.parts) > level:
            yield current.parts[level:]
        elif isinstance(current, n.Child) and current.where is not None:
            yield from _outer_paths(current.where, level + 1)
