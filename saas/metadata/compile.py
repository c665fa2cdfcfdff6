"""EntityDef -> JSON Schema and validator of a record's values. The JSON Schema says what a value looks like; required fields,
rights and rules across fields depend on the record and belong to the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import FormatChecker
from referencing import Registry

from saas.errors import FieldProblem
from saas.i18n import LazyString, lazy, pick
from saas.metadata import models as m
from saas.metadata.config import Config
from saas.metadata.formats import FORMATS, Reference, fast_validator
from saas.metadata.kinds import field_types
from saas.metadata.problems import closest
from saas.metadata.value_words import explain_value

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NULL = {"type": "null"}


def record_schema(config: Config, entity_key: str, *, partial: bool = False) -> dict[str, Any]:
    """JSON Schema of a record's values. `partial`: of a change, where nothing is required and null empties a field."""
    entity = config.entity(entity_key)
    properties = {f.key: _nullable(value_schema(config, f), f, partial) for f in entity.defn.fields}
    if entity.defn.owned:
        properties["owner"] = _nullable({"type": "string", "format": "uuid"}, entity.fields["owner"], partial)
    required = [] if partial else [f.key for f in entity.defn.fields if must_be_given(f)]
    return {"$schema": DIALECT, "type": "object", "properties": properties, "required": required, "additionalProperties": False}


def value_schema(config: Config, field: m.FieldDef) -> dict[str, Any]:
    return dict(field_types.get(field.type).value_schema(field, config))


def must_be_given(field: m.FieldDef) -> bool:
    """Required in every record, with nothing to fill it but the caller."""
    computed = field_types.get(field.type).computed or field.type == "pipeline"
    return field.required and field.default is None and not field.visible_if and not computed


def _nullable(schema: dict[str, Any], field: m.FieldDef, partial: bool) -> dict[str, Any]:
    if not partial and must_be_given(field):
        return schema
    if isinstance(schema.get("type"), str) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, NULL]}


# ---- for readers --------------------------------------------------------------------------------------------------------


def record_schema_for(config: Config, entity_key: str, accesses: Mapping[str, str], locale: str) -> dict[str, Any]:
    """The schema as one role sees it: hidden fields are absent, read-only ones marked, titles in the reader's language.

    `accesses` is {field: hidden | masked | read | write}; a field it does not name is hidden.
    """
    entity = config.entity(entity_key)
    plain = record_schema(config, entity_key)
    properties: dict[str, Any] = {}
    for key, field in entity.fields.items():
        access = accesses.get(key, "hidden")
        if access == "hidden":
            continue
        schema = plain["properties"].get(key) or _nullable(value_schema(config, field), field, True)
        properties[key] = {**schema, **_annotations(config, entity_key, field, access, locale)}
    return {
        "$schema": DIALECT,
        "$id": f"/api/v1/schema/{entity_key}",
        "title": pick(entity.defn.label, locale),
        **({"description": pick(entity.defn.description, locale)} if entity.defn.description else {}),
        "type": "object",
        "properties": properties,
        "required": [key for key in plain["required"] if accesses.get(key) == "write"],
        "additionalProperties": False,
        "x-entity": entity_key,
        "x-plural": pick(entity.defn.plural, locale),
        "x-title-field": entity.defn.title,
    }


def _annotations(config: Config, entity_key: str, field: m.FieldDef, access: str, locale: str) -> dict[str, Any]:
    kind = field_types.get(field.type)
    result, described = kind.result_of(field, config)
    found: dict[str, Any] = {
        "title": pick(field.label, locale),
        "x-type": field.type,
        "x-operators": list(result.operators),
        "x-sortable": kind.sortable,
        "x-access": access,
    }
    if field.help:
        found["description"] = pick(field.help, locale)
    if access != "write" or kind.computed or field.read_only or field.type == "pipeline":
        found["readOnly"] = True
    if field.required:
        found["x-required"] = True
    if described.options.get("to"):
        found["x-refers-to"] = described.options["to"]
    if field.type == "pipeline" or described.options.get("set") or described.options.get("options"):
        options = config.options(entity_key, field.key)
        found["x-options"] = [{"key": o.key, "label": pick(o.label, locale), "color": o.color, "active": o.active} for o in options]
    if field.default is not None and not (isinstance(field.default, Mapping) and set(field.default) == {"expr"}):
        found["default"] = field.default
    return found


# ---- validating ---------------------------------------------------------------------------------------------------------


def reference_validator(schema: Mapping[str, Any]) -> Any:
    """The `jsonschema` package: slower, and its errors can be taken apart. Held equal to the fast one by a property test."""
    checker = FormatChecker(formats=())
    for name, test in FORMATS.items():
        checker.checks(name)(test)
    return Reference(schema, registry=Registry(), format_checker=checker)


def validator(config: Config, entity_key: str, *, partial: bool = False) -> Any:
    """The compiled fast validator, made once per configuration."""
    return config.cached(("compile.fast", entity_key, partial), lambda: fast_validator(record_schema(config, entity_key, partial=partial)))


def _reference(config: Config, entity_key: str, partial: bool) -> Any:
    return config.cached(
        ("compile.reference", entity_key, partial), lambda: reference_validator(record_schema(config, entity_key, partial=partial))
    )


def validate(config: Config, entity_key: str, values: Mapping[str, Any], *, partial: bool = False) -> list[FieldProblem]:
    """What is wrong with the shape of a record's values, which are already normalised; one problem per field."""
    if _passes(validator(config, entity_key, partial=partial), values):
        return []
    entity = config.entity(entity_key)
    found: dict[str, FieldProblem] = {}
    for error in _reference(config, entity_key, partial).iter_errors(dict(values)):
        for problem in _problems(config, entity, error, values):
            found.setdefault(problem.field, problem)
    return list(found.values())


def _passes(fast: Any, values: Any) -> bool:
    try:
        return fast.is_valid(values)
    except (ValueError, TypeError, OverflowError):  # not JSON: NaN, half a surrogate pair; the reference says which field
        return False


def _problems(config: Config, entity: Any, error: Any, values: Mapping[str, Any]) -> list[FieldProblem]:
    path = list(error.absolute_path)
    if not path and error.validator == "additionalProperties":
        return [_unknown(key, entity) for key in values if key not in error.schema["properties"]]
    if not path and error.validator == "required":
        missing = [key for key in error.validator_value if key not in values]
        return [FieldProblem(key, "required", lazy("This field is required."), f"/{key}") for key in missing]
    if not path:
        return [FieldProblem("", "wrong_type", lazy("Send the values as an object: {\"field\": value}."))]
    field = entity.fields[path[0]]
    code, message = explain_value(_innermost(error), field, values[path[0]])
    return [FieldProblem(field.key, code, pick(field.message) if field.message else message, "".join(f"/{part}" for part in path))]


def _unknown(key: str, entity: Any) -> FieldProblem:
    guess = closest(key, entity.declared)
    if guess:
        message = lazy("There is no field “%(key)s” here. Did you mean “%(guess)s”?", key=str(key)[:60], guess=guess)
    else:
        message = lazy("There is no field “%(key)s” here.", key=str(key)[:60])
    return FieldProblem(str(key), "unknown_field", message, f"/{key}")


def _innermost(error: Any) -> Any:
    """The error that says most: below an `anyOf` with null it is that of the real schema."""
    while error.validator in ("anyOf", "oneOf") and error.context:
        real = [e for e in error.context if not (e.validator == "type" and e.validator_value == "null")]
        error = max(real or error.context, key=lambda e: (e.validator != "type", len(e.absolute_path)))
    return error


def value_problems(config: Config, field: m.FieldDef, value: Any) -> list[tuple[str, LazyString | str]]:
    """Everything one field's own type has against a value, as [(code, message)]; used for defaults and imports."""
    kind = field_types.get(field.type)
    value = kind.normalise(field, value, config)
    if value is None:
        return []
    checker = config.cached(("compile.value", id(field)), lambda: (reference_validator(value_schema(config, field)), field))[0]
    for error in checker.iter_errors(value):
        return [explain_value(_innermost(error), field, value)]
    return list(kind.problems(field, value, config))
