"""Computed fields that would need themselves, through other formulas, rollups and related records; and formulas that stand on so many
others that computing them would take for ever, since each is written out where it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter

from saas.i18n import lazy
from saas.metadata import expressions as x
from saas.metadata.check import Check
from saas.metadata.expressions import nodes as n

Spot = tuple[str, str]  # entity, field

MOST_PARTS = 1000  # names, numbers and signs of a formula with all formulas it uses written out
DEEPEST = 120  # how deep they may stand inside each other; Python and PostgreSQL give up far beyond


def check_cycles(check: Check) -> None:
    needs = {
        (entity.key, field.key): list(_needs(check, entity.key, field.key))
        for entity in check.bundle.entities
        for field in entity.fields
        if field.type in ("formula", "rollup")
    }
    found = circles({spot: set(below) for spot, below in needs.items()})
    if not found:
        _check_sizes(check, needs)
    for circle in found:
        (entity, field), names = circle[0], " → ".join(f"{e}.{f}" for e, f in (*circle, circle[0]))
        check.problems.add(
            f"entities[{entity}].fields[{field}]", "formula_circle",
            lazy("This field would be computed from itself: %(names)s.", names=names),
            lazy("Break the circle: let one of these fields be computed from other fields, or be typed in."),
        )  # fmt: skip


def _check_sizes(check: Check, needs: Mapping[Spot, list[Spot]]) -> None:
    """Only the first formula that is too large is told, not those that use it."""
    formulas = {spot for spot in needs if check.entities[spot[0]].fields[spot[1]].type == "formula"}
    sizes: dict[Spot, tuple[int, int]] = {}
    for spot in TopologicalSorter({spot: formulas & set(needs[spot]) for spot in formulas}).static_order():
        depth, count = _measure(check.entities[spot[0]].fields[spot[1]].options.get("expr"))
        below = [sizes[need] for need in needs[spot] if need in sizes]
        count, depth = count + sum(c for c, _ in below), depth + max((d for _, d in below), default=0)
        if count > MOST_PARTS or depth > DEEPEST:
            entity, field = spot
            check.problems.add(
                f"entities[{entity}].fields[{field}].expr", "formula_too_large",
                lazy("With all formulas it stands on, this one would be too large to compute."),
                lazy("Use fewer other formulas in it, or turn one of them into a field that people fill or a rollup."),
            )  # fmt: skip
            return
        sizes[spot] = count, depth


def _measure(text: object) -> tuple[int, int]:
    """(depth, parts) of an expression; one that cannot be read is reported elsewhere."""
    try:
        return n.measure(x.parse(text))  # type: ignore[arg-type]
    except x.ExpressionError:
        return 1, 1


def circles(graph: dict[Spot, set[Spot]]) -> list[list[Spot]]:
    """One circle for each group of spots that need each other, starting at its first spot."""
    found: list[list[Spot]] = []
    done: set[Spot] = set()
    for start in graph:
        trail: list[Spot] = []
        stack: list[tuple[Spot, Iterator[Spot]]] = [(start, iter(sorted(graph[start])))] if start not in done else []
        trail += [start] if stack else []
        while stack:
            below = next(stack[-1][1], None)
            if below is None:
                done.add(stack.pop()[0])
                trail.pop()
            elif below in trail:
                found.append(trail[trail.index(below) :])
                done.update(trail)
            elif below in graph and below not in done:
                trail.append(below)
                stack.append((below, iter(sorted(graph[below]))))
    return found


def _needs(check: Check, entity: str, key: str) -> Iterator[Spot]:
    options = check.entities[entity].fields[key].options
    if isinstance(options.get("expr"), str):
        yield from _of_text(check, entity, options["expr"], ())
    relation = check.entities[entity].children.get(options.get("of") or "")
    if relation is not None:
        if options.get("field"):
            yield relation.child, options["field"]
        if isinstance(options.get("where"), str):
            yield from _of_text(check, relation.child, options["where"], (entity,))


def _of_text(check: Check, entity: str, text: str, parents: tuple[str, ...]) -> Iterator[Spot]:
    try:
        node = x.parse(text)
    except x.ExpressionError:  # reported with the expressions
        return
    yield from _of_node(check, entity, node, parents)


def _of_node(check: Check, entity: str, node: n.Node, parents: tuple[str, ...]) -> Iterator[Spot]:
    """Fields read below `node`; `parents` are the records around a child condition, innermost last."""
    for current in n.walk(node, into_children=False):
        if isinstance(current, n.Path):
            yield from _along(check, entity, current.parts, parents)
        elif isinstance(current, n.Child) and entity in check.entities:
            relation = x.find_relation(check.config, entity, current.relation)
            if relation is None or isinstance(relation, str):
                continue
            if current.field:
                yield relation.child, current.field
            if current.where is not None:
                yield from _of_node(check, relation.child, current.where, (*parents, entity))


def _along(check: Check, entity: str, parts: tuple[str, ...], parents: tuple[str, ...]) -> Iterator[Spot]:
    while parts and parts[0] == "parent" and parents:  # the record around the child condition
        entity, parents, parts = parents[-1], parents[:-1], parts[1:]
    for part in parts:
        if entity not in check.entities or part not in check.entities[entity].fields:
            return
        yield entity, part
        entity = str(check.entities[entity].fields[part].options.get("to"))
