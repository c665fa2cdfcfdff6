"""A situation to start an example from: plausible values for what an entity requires, with the records it needs beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata import expressions as ex
from saas.metadata import models as m
from saas.metadata.compile import validate
from saas.metadata.config import Config, Entity
from saas.metadata.example_checks import ME, ROLE
from saas.metadata.kinds import field_types

DEPTH = 3
WORDS = {"text": (lazy("Example"), "Example", "example", "1", "12345678"), "number": (1, 100)}
TODAY = {"date": "@date:+0d", "datetime": "@datetime:+0d 09:00"}


def situation(config: Config, entity_key: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(values, records) in the form of a bundle's example; what cannot be guessed is left out."""
    records: list[dict[str, Any]] = []
    return _values(config, config.entity(entity_key), records, DEPTH), records


def _values(config: Config, entity: Entity, records: list[dict[str, Any]], depth: int) -> dict[str, Any]:
    found = {}
    for field in entity.declared.values():
        if (field.required and not _comes_by_itself(field)) or field.key == entity.defn.title:
            value = _value(config, entity, field, records, depth)
            if value is not None:
                found[field.key] = value
    return found


def _comes_by_itself(field: m.FieldDef) -> bool:
    """A default that does not look at another record, which an example need not have."""
    if isinstance(field.default, dict) and "expr" in field.default:
        return not any(len(path) > 1 for path in ex.needs(ex.parse(field.default["expr"])).paths)
    return field.default is not None


def _value(config: Config, entity: Entity, field: m.FieldDef, records: list[dict[str, Any]], depth: int) -> Any:
    kind = field_types.get(field.type)
    if kind.computed or field.type in ("pipeline", "auto") or kind.holds in ("file", "dept"):
        return None
    if kind.holds == "user":
        roles = field.options.get("roles") or ()
        return _many(kind, f"@{ROLE}{roles[0]}" if roles else f"@{ME}")
    if kind.holds == "record":
        return _many(kind, _beside(config, entity, field.options["to"], records, depth))
    if kind.expr_type_of(field, config) in TODAY and "min" not in field.options and "max" not in field.options:
        return TODAY[kind.expr_type_of(field, config)]
    return next((v for v in _candidates(config, entity, field) if _fits(config, entity, field, v)), None)


def _many(kind: Any, value: Any) -> Any:
    return [value] if kind.many and value is not None else value


def _beside(config: Config, entity: Entity, key: str, records: list[dict[str, Any]], depth: int) -> str | None:
    """A record of another entity, made once for all who need one."""
    if any(r["entity"] == key for r in records):
        return "@" + next(r["key"] for r in records if r["entity"] == key)
    if not depth or key == entity.key or key not in config.entities:
        return None
    values = _values(config, config.entity(key), records, depth - 1)
    if roles := config.entity(key).defn.owner_roles:  # whoever acts may not be one who can own it
        values["owner"] = f"@{ROLE}{roles[0]}"
    records.append({"key": key, "entity": key, "values": values})
    return f"@{key}"


def _candidates(config: Config, entity: Entity, field: m.FieldDef) -> Iterable[Any]:
    kind = field_types.get(field.type)
    if field.options.get("set") or field.options.get("options"):
        options = [o.key for o in config.options(entity.key, field.key) if o.active and not o.parent]
        yield from ([o] if kind.many or kind.expr_type_of(field, config) == "list" else o for o in options)
    yield from (str(w) if isinstance(w, LazyString) else w for w in WORDS.get(kind.expr_type_of(field, config), ()))
    for bound in ("min", "max"):
        if isinstance(field.options.get(bound), (int, float, str)):
            yield field.options[bound]
    yield from kind.EXAMPLES


def _fits(config: Config, entity: Entity, field: m.FieldDef, value: Any) -> bool:
    kind = field_types.get(field.type)
    value = kind.normalise(field, value, config)
    return value is not None and not validate(config, entity.key, {field.key: value}, partial=True) and not kind.problems(field, value, config)
