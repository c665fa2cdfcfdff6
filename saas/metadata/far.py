"""Which entity the keys of a property are about, where its schema says that another property leads there (`x-of`; with
`"x-else": "own"` it is the definition's own where that property is empty)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saas.metadata.anatomy import property_schemas
from saas.metadata.naming import Lookup

Step = Callable[[Any, str, Any], Any]  # (entity, sort of the key, key) -> the entity it leads to, or None


def entity_about(kind: str, name: str, value_of: Callable[[str], Any], base: Any, step: Step) -> Any:
    """The entity that a property's keys are about; None where something on the way is missing. Of several ways the first that is taken."""
    ways = property_schemas(kind).get(name, {}).get("x-of")
    if ways is None or base is None:
        return base
    of = next((w for w in ways if value_of(w)), ways[0]) if isinstance(ways, list) else ways
    inner, hint, key = entity_about(kind, of, value_of, base, step), control_of(kind, of), value_of(of)
    if not key and property_schemas(kind)[name].get("x-else") == "own":  # nothing leads away
        return inner
    if inner is None or not isinstance(key, str):
        return None
    return inner if hint == "field" and control_of(kind, name) == "options" else step(inner, hint, key)


def control_of(kind: str, name: str) -> str:
    return str(property_schemas(kind).get(name, {}).get("x-control") or "")


def entity_in(lookup: Lookup, kind: str, name: str, definition: Mapping[str, Any], base: Any) -> Any:
    """The same for a definition in JSON that may have problems."""

    def step(entity: Any, sort: str, key: Any) -> Any:
        if sort == "entity":
            return key
        if sort == "relation":
            relation = lookup.relation(entity, key)
            return relation.child if relation is not None else None
        return (lookup.field(entity, key) or {}).get("to")

    return entity_about(kind, name, definition.get, base, step)
