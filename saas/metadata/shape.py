"""The shape of a bundle: the JSON Schemas of `schemas/` applied, every error said in our own words.

`check_shape` also returns a cleaned copy without the broken parts, so that the later checks can go on and report the rest.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jsonschema_rs
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from saas.metadata import kinds
from saas.metadata.formats import Reference
from saas.metadata.problems import Problems, path_of
from saas.metadata.shape_words import explain

BASE = "https://saas.example/schemas/"
ROUNDS = 12
DEPTH = 40
UNSTORABLE = 20  # so many unstorable texts are told at once


class _Gone:
    """Marks a list entry to be taken out."""


GONE = _Gone()


@functools.cache
def schemas() -> Mapping[str, dict[str, Any]]:
    """The JSON Schema of each kind of definition, by name."""
    found = {}
    for entry in sorted(resources.files("saas.metadata").joinpath("schemas").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".schema.json"):
            found[entry.name.removesuffix(".schema.json")] = json.loads(entry.read_text(encoding="utf-8"))
    return found


@functools.cache
def registry() -> Registry:
    """Our own schemas and nothing else: a reference to anywhere else fails instead of being fetched."""
    return Registry().with_resources((s["$id"], DRAFT202012.create_resource(_plain(s))) for s in schemas().values())


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without `$schema`, at which the validator would fall back to the library's own reading of patterns."""
    return {name: value for name, value in schema.items() if name != "$schema"}


def _refuse(uri: str) -> Any:
    raise ValueError(f"external schema {uri} is not allowed")


@functools.cache
def _fast() -> Any:
    return _fast_for({"$ref": f"{BASE}bundle.schema.json"})


def _fast_for(schema: Mapping[str, Any]) -> Any:
    return jsonschema_rs.validator_for(dict(schema), registry=_fast_registry(), retriever=_refuse)


@functools.cache
def _fast_registry() -> Any:
    return jsonschema_rs.Registry([(s["$id"], s) for s in schemas().values()], retriever=_refuse)


@functools.cache
def _reference() -> Any:
    return Reference(_plain(schemas()["bundle"]), registry=registry())


@functools.cache
def common_properties(name: str) -> frozenset[str]:
    """Properties every definition of a polymorphic kind (field, widget, action, trigger) has."""
    return frozenset(schemas()[name]["properties"])


@functools.cache
def option_defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Defaults of a type's own properties."""
    properties = kind.options_schema.get("properties", {})
    return tuple((k, p["default"]) for k, p in properties.items() if isinstance(p, Mapping) and "default" in p)


@dataclass(frozen=True, slots=True)
class _Poly:
    """A definition whose further properties depend on a type."""

    schema: str
    type_key: str
    registry: Any
    noun: str


FIELD = _Poly("field", "type", kinds.field_types, "field_type")
WIDGET = _Poly("widget", "type", kinds.widget_types, "widget_type")
ACTION = _Poly("action", "action", kinds.action_types, "action")
TRIGGER = _Poly("trigger", "trigger", kinds.trigger_types, "trigger")


def check_shape(raw: Any, problems: Problems) -> dict[str, Any] | None:
    """Report every error of form. Returns a copy of `raw` without the broken parts, or None when nothing is usable."""
    if not isinstance(raw, Mapping):
        _report(problems, raw, (), "type", {"type": "object", "x-kind": "bundle"}, "object")
        return None
    try:
        work = _copied(dict(raw), 0)
    except _UnsoundError:  # which parts, and why
        if not _is_sound(raw, problems):
            return None
        work = copy.deepcopy(dict(raw))
    if not _is_valid(_fast(), work):
        for round_ in range(ROUNDS):
            if round_ and _is_valid(_fast(), work):
                break
            errors = list(_reference().iter_errors(work))
            for error in errors:
                path = tuple(error.absolute_path)
                if round_ == 0:
                    _report(problems, raw, path, error.validator, error.schema, error.validator_value, error.instance)
                _repair(work, path, error.validator, error.validator_value, error.schema, problems)
            work = _purge(work)
        else:
            if not problems:  # the two validators disagree
                _report(problems, raw, (), "unreadable", {}, None)
            return None
    _check_types(raw, work, problems)
    return _purge(work)


def _is_valid(validator: Any, work: Any) -> bool:
    try:
        return validator.is_valid(work)
    except (ValueError, TypeError):  # values JSON does not know; the reference validator says where
        return False


_SCALARS = frozenset({str, bool, int, float, type(None)})


class _UnsoundError(Exception):
    """Something that `_is_sound` has to look at."""


def _copied(value: Any, depth: int) -> Any:
    """A copy in which everything is sound. Of what nearly always is: several times as fast as looking first and copying then."""
    kind = type(value)
    if kind is dict and depth < DEPTH:
        return {_copied(k, depth): _copied(v, depth + 1) for k, v in value.items()}
    if kind is list and depth < DEPTH:
        return [_copied(v, depth + 1) for v in value]
    if kind in _SCALARS and _can_be_stored(value):
        return value
    raise _UnsoundError


def _is_sound(raw: Any, problems: Problems) -> bool:
    """Whether it is not nested too deeply and holds nothing that PostgreSQL cannot keep."""
    stack: list[tuple[Any, int, Any]] = [(raw, 0, None)]  # value, depth, (trail above, last step)
    found = 0
    while stack and found < UNSTORABLE:
        value, depth, trail = stack.pop()
        if depth > DEPTH:
            _report(problems, raw, _path_to(trail), "depth", {"x-kind": "depth"}, DEPTH)
            return False
        if isinstance(value, Mapping):
            below = [(v, depth + 1, (trail, k)) for k, v in value.items()]
            bad = not all(map(_can_be_stored, value))
        else:
            below = [(v, depth + 1, (trail, i)) for i, v in enumerate(value)] if isinstance(value, list) else []
            bad = not isinstance(value, list) and not _can_be_stored(value)
        stack += reversed(below)
        if bad:
            found += 1
            _report(problems, raw, _path_to(trail), "stored", {"x-kind": "storable"}, value)
    return not found


def _path_to(trail: Any) -> tuple:
    parts: list[Any] = []
    while trail is not None:
        trail, part = trail
        parts.append(part)
    return tuple(reversed(parts))


def _can_be_stored(value: Any) -> bool:
    """No NUL, no half surrogate pair, no NaN: PostgreSQL keeps none of them."""
    if isinstance(value, str):
        return (value.isascii() and "\x00" not in value) or not re.search("[\x00\ud800-\udfff]", value)
    return not isinstance(value, float) or math.isfinite(value)


def _report(problems: Problems, raw: Any, path: tuple, keyword: str, schema: Any, value: Any, instance: Any = None) -> None:
    base = path_of(raw, path)
    for suffix, code, message, hint in explain(keyword, value, instance, schema if isinstance(schema, Mapping) else {}, path):
        problems.add(f"{base}.{suffix}" if suffix and base else suffix or base, code, message, hint)


# ---- setting broken parts aside -----------------------------------------------------------------------------------------


def _repair(work: Any, path: tuple, keyword: str, value: Any, schema: Any, problems: Problems) -> None:
    """Change `work` so that this error goes away and as much as possible of the rest stays."""
    here = _at(work, path)
    if here is GONE:
        return
    if keyword == "additionalProperties" and isinstance(here, dict) and value is False:
        for name in set(here) - set(schema.get("properties", {})):
            del here[name]
    elif keyword == "required" and isinstance(here, dict):
        for name in (n for n in value if n not in here):
            filler = _filler(name, here, schema)
            if filler is None:
                _drop(work, path, problems)
                return
            here[name] = filler
    elif keyword == "propertyNames" or (keyword == "pattern" and isinstance(here, dict)):
        _drop(work, path, problems)
    elif keyword in ("maxItems", "uniqueItems") and isinstance(here, list):
        unique = list({json.dumps(v, sort_keys=True, default=str): v for v in here}.values())
        here[:] = unique[: value if keyword == "maxItems" else len(unique)]
    else:
        _drop(work, path, problems)


def _filler(name: str, here: Mapping[str, Any], schema: Any) -> Any:
    target = schema.get("properties", {}).get(name, {}).get("$ref", "")
    if target.endswith(("/label", "/text")):
        return {"en": str(here.get("key", "?")), "zh_CN": str(here.get("key", "?"))}
    return {"format": 1, "version": "0.0.0", "pack": {"key": "unnamed", "version": "0.0.0", "label": {"en": "?"}}}.get(name)


def _drop(work: Any, path: tuple, problems: Problems) -> None:
    """Take out the value at `path`; what it defined becomes a ghost."""
    _remember(_at(work, path), problems)
    if not path:
        return
    parent = _at(work, path[:-1])
    if isinstance(parent, list) and isinstance(path[-1], int):
        parent[path[-1]] = GONE
    elif isinstance(parent, dict):
        parent.pop(path[-1], None)


def _remember(value: Any, problems: Problems) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("key"), str):
            problems.ghosts.add(value["key"])
        for below in value.values():
            _remember(below, problems)
    elif isinstance(value, list):
        for below in value:
            _remember(below, problems)


def _at(work: Any, path: tuple) -> Any:
    for part in path:
        try:
            work = work[part]
        except (KeyError, IndexError, TypeError):
            return GONE
    return work


def _purge(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _purge(v) for k, v in value.items() if v is not GONE}
    if isinstance(value, list):
        return [_purge(v) for v in value if v is not GONE]
    return value


# ---- properties that depend on a type -----------------------------------------------------------------------------------


def _check_types(raw: Any, work: dict[str, Any], problems: Problems) -> None:
    for poly, path, item in list(_typed(work)):
        kind = poly.registry.find(item[poly.type_key])
        if kind is None and not poly.registry.keys():
            continue  # no kinds are loaded: nothing can be said about types
        if kind is None:
            problems.unknown(f"{path_of(work, path)}.{poly.type_key}", poly.noun, item[poly.type_key], poly.registry.keys())
            _drop(work, path[:-1] if path[-1] == "on" else path, problems)  # without its trigger an automation is nothing
            continue
        common = common_properties(poly.schema) - set(kinds.NESTS).difference(kind.nests) if poly is ACTION else common_properties(poly.schema)
        extra = {k: v for k, v in item.items() if k not in common}
        if _is_valid(_fast_type_validator(kind), extra):
            continue
        for error in list(_type_validator(kind).iter_errors(extra)):
            _check_error(work, path, error, item, common, kind, problems)


def _check_error(
    work: Any, path: tuple, error: Any, item: dict[str, Any], common: frozenset[str], kind: Any, problems: Problems
) -> None:
    inner = tuple(error.absolute_path)
    schema = error.schema
    if error.validator == "additionalProperties" and not inner:  # the common properties are possible choices, too
        schema = {**schema, "properties": {**dict.fromkeys(common), **schema.get("properties", {})}}
        _report(problems, work, path, error.validator, schema, error.validator_value, item)
        for name in set(item) - set(schema["properties"]):
            del item[name]
        return
    _report(problems, work, path + inner, error.validator, schema, error.validator_value, error.instance)
    if error.validator in ("additionalProperties", "maxItems"):  # what is too much goes, the rest can be judged
        _repair(work, path + inner, error.validator, error.validator_value, schema, problems)
    elif len(inner) > 1 and isinstance(_at(work, path + inner[:1]), list):
        _drop(work, path + inner[:2], problems)  # one broken option does not take the others along
    elif inner and inner[0] not in kind.options_schema.get("required", ()):
        _drop(work, path + inner[:1], problems)
    else:
        _drop(work, path, problems)


@functools.cache
def _fast_type_validator(kind: Any) -> Any:
    return _fast_for(kind.options_schema)


@functools.cache
def _type_validator(kind: Any) -> Any:
    return Reference(dict(kind.options_schema), registry=registry())


def _typed(work: dict[str, Any]) -> Iterator[tuple[_Poly, tuple, dict[str, Any]]]:
    for e, entity in enumerate(work.get("entities", ())):
        for f, field in enumerate(entity["fields"]):
            yield FIELD, ("entities", e, "fields", f), field
    for section in ("reports", "dashboards"):
        for r, report in enumerate(work.get(section, ())):
            for w, widget in enumerate(report["widgets"]):
                if "report" not in widget:
                    yield WIDGET, (section, r, "widgets", w), widget
    for p, pipeline in enumerate(work.get("pipelines", ())):
        for t, transition in enumerate(pipeline.get("transitions", ())):
            yield from _steps(("pipelines", p, "transitions", t, "effects"), transition.get("effects", ()))
    for section in ("automations", "schedules"):
        for n, rule in enumerate(work.get(section, ())):
            yield from _steps((section, n, "do"), rule["do"])
            if "on" in rule:
                yield TRIGGER, (section, n, "on"), rule["on"]


def _steps(path: tuple, steps: Any) -> Iterator[tuple[_Poly, tuple, dict[str, Any]]]:
    for number, step in enumerate(steps):
        yield ACTION, (*path, number), step
        for name in kinds.NESTS:
            yield from _steps((*path, number, name), step.get(name, ()))
