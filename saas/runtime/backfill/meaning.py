"""What an expression depends on, as a set that is equal as long as the expression means the same."""

from __future__ import annotations

from typing import Any

from saas.metadata import expressions as ex
from saas.metadata import slots
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.rollups import rollup_node
from saas.runtime.sql import formula_node

Facts = set[tuple[Any, ...]]


def meaning(config: Config, entity_key: str, node: Any) -> frozenset[tuple[Any, ...]]:
    """Fields with the way they are written, formulas and rollups with their text, settings with their values, all the way down."""
    found: Facts = set()
    _node(config, config.entity(entity_key), node, found)
    return frozenset(found)


def _node(config: Config, entity: Entity, node: Any, found: Facts) -> None:
    for part in ex.walk(node):
        if isinstance(part, ex.Call) and part.name == "setting" and isinstance(part.args[0], ex.Literal):
            setting = config.settings.get(str(part.args[0].value))
            found.add(("setting", str(part.args[0].value), repr(setting.default) if setting else None))
    needs = ex.needs(node)
    for path in needs.paths:
        _path(config, entity, path, found)
    for child in needs.children:
        relation = config.relation(entity.key, child.relation)
        if relation is None:
            continue
        below = config.entity(relation.child)
        _path(config, below, (relation.field,), found)
        for inner in (child.where, ex.Path((child.field,)) if child.field else None):
            if inner is not None:
                _node(config, below, inner, found)


def _path(config: Config, entity: Entity, path: tuple[str, ...], found: Facts) -> None:
    declared = entity.fields.get(path[0])
    if declared is None:
        return
    fact = (entity.key, declared.key, *_written(declared))
    if fact not in found:
        found.add(fact)
        if declared.type == "formula":
            _node(config, entity, formula_node(config, entity, declared), found)
        elif declared.type == "rollup":
            _node(config, entity, rollup_node(declared), found)
    if len(path) > 1 and declared.options.get("to") in config.entities:
        _path(config, config.entity(declared.options["to"]), path[1:], found)


def _written(declared: FieldDef) -> tuple[str, ...]:
    if declared.type in ("formula", "rollup"):
        return (declared.type, *(str(declared.options.get(name)) for name in ("returns", "expr", "of", "fn", "field", "where")))
    return (slots.shape_of(declared),) if not declared.system else (field_types.get(declared.type).key,)
