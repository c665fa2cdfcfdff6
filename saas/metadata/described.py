"""Definitions whose JSON Schema says what each of their properties holds: everything that has to be known of them (what they refer to,
what is checked, how they are drawn) is read from there.

`x-control` names the sort (field, fields, relation, entity, stage, options, condition, expression), `x-of` the property that leads to the
entity it is about (without: the definition's own), `x-types` the field types that fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata.anatomy import DESCRIBED, PARTS, property_schemas
from saas.metadata.check import Check
from saas.metadata.far import Step, control_of, entity_about
from saas.metadata.kinds import field_types


def definitions(check: Check) -> Iterator[tuple[str, str, Any, str]]:
    """(path, kind, definition, entity) of all of them and of those inside them."""
    for kind, section in DESCRIBED.items():
        for definition in getattr(check.bundle, section):
            path = f"{section}[{definition.key}]"
            yield path, kind, definition, definition.entity
            for name, part in PARTS.get(kind, {}).items():
                for inner in getattr(definition, name):
                    yield f"{path}.{name}[{inner.key}]", part.kind, inner, definition.entity


def step_in(check: Check) -> Step:
    def step(entity: Any, sort: str, key: Any) -> Any:
        found = check.entities.get(entity)
        if sort == "entity":
            return key if key in check.entities else None
        if found is None:
            return None
        if sort == "relation":
            return found.children[key].child if key in found.children else None
        field = found.fields.get(key)
        return field.options.get("to") if field is not None and field.type == "ref" else None

    return step


def about(check: Check, kind: str, name: str, definition: Any, base: str) -> Any:
    return entity_about(kind, name, lambda n: getattr(definition, n), base, step_in(check))


def check_described(check: Check) -> None:
    """What the schemas say: keys exist, and fields have a type that fits."""
    for path, kind, definition, base in definitions(check):
        for name, schema in property_schemas(kind).items():
            value = getattr(definition, name)
            if value in (None, (), "", {}) or not control_of(kind, name):
                continue
            _property(check, f"{path}.{name}", kind, name, schema, definition, base, value)


def _property(check: Check, path: str, kind: str, name: str, schema: Mapping[str, Any], definition: Any, base: str, value: Any) -> None:
    hint, entity = control_of(kind, name), about(check, kind, name, definition, base)
    if hint == "entity":
        check.known(path, "entity", value, check.entities)
        return
    if hint == "connector":
        check.known(path, "connector", value, [c.key for c in check.bundle.connectors])
        return
    if hint == "named_expressions":
        return  # looked at with all other expressions
    if hint == "roles":
        for key in value:
            check.known(path, "role", key, check.roles)
        return
    if entity not in check.entities:
        return  # reported where it should come from
    found = check.entities[entity]
    if hint == "relation":
        check.known(path, "relation", value, found.children)
    elif hint in ("field", "fields"):
        for key in (value,) if isinstance(value, str) else value:
            field = check.field(path if isinstance(value, str) else f"{path}[{key}]", entity, key)
            if field is not None and not _fits(check, field, schema.get("x-types")):
                _misfit(check, path, key, schema["x-types"])
    elif hint == "transition":
        known = [t.key for t in found.pipeline.transitions] if found.pipeline else []
        check.known(path, "transition", value, known)
    elif hint in ("values", "field_map"):
        for key in value:
            check.field(f"{path}[{key}]", entity, key)
    elif hint == "stage":
        known = [s.key for s in found.pipeline.stages] if found.pipeline else []
        check.known(path, "stage", value, known)
    elif hint == "options":
        field = found.fields.get(getattr(definition, str(schema["x-of"])))
        if field is not None and field.type in ("option", "multi"):
            known = [o.key for o in check.config.field_options(field)]
            for key in value:
                check.known(f"{path}[{key}]", "option", key, known)


def _fits(check: Check, field: Any, types: Any) -> bool:
    return not types or field.type in types or check.type_of(field).key in types


def _misfit(check: Check, path: str, key: str, types: Any) -> None:
    check.problems.add(
        path, "wrong_field_type", lazy("“%(field)s” is not of a type that fits here.", field=key),
        lazy("Choose a field of one of these types: %(types)s.", types=", ".join(str(field_types.get(t).label) for t in types)),
    )  # fmt: skip


def expression_places(check: Check) -> Iterator[tuple[str, str, str, str | None]]:
    """(path, text, entity, wanted result) of the expressions in them."""
    for path, kind, definition, base in definitions(check):
        for name, schema in property_schemas(kind).items():
            value = getattr(definition, name)
            if control_of(kind, name) == "values" and value:  # over the definition's own records
                yield from ((f"{path}.{name}.{key}", text, base, None) for key, text in value.items() if base in check.entities)
            if control_of(kind, name) == "named_expressions" and value:
                entity = about(check, kind, name, definition, base)
                yield from ((f"{path}.{name}.{key}", text, entity, None) for key, text in value.items() if entity in check.entities)
            if control_of(kind, name) in ("condition", "expression") and isinstance(value, str):
                entity = about(check, kind, name, definition, base)
                if entity in check.entities:
                    yield f"{path}.{name}", value, entity, schema.get("x-result")


__all__ = ["DESCRIBED", "check_described", "control_of", "definitions", "expression_places"]
