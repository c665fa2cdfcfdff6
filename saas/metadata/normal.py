"""Bundles without differences that mean nothing: defaults left out, and one of several ways to write the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.metadata.anatomy import ROOT, Part, default_of, part_of, sort_of
from saas.metadata.build import as_filter, scope_rules
from saas.metadata.merge import same

KEPT_WHOLE = ("default", "literal", "literals")
MASK = "****{4}"


def normal(raw: Any) -> dict[str, Any]:
    """The bundle as JSON in which equal meaning is written equally. What is broken stays as it is."""
    found = _definition(ROOT, raw) if isinstance(raw, Mapping) else {}
    return {k: v for k, v in found.items() if k not in ("$schema", "format")}


def _definition(kind: str, raw: Any) -> Any:
    if not isinstance(raw, Mapping):
        return {"access": raw} if kind == "field_right" and isinstance(raw, str) else raw
    found = {}
    for name, value in raw.items():
        part = part_of(kind, name)
        plain = _part(part, value) if part is not None else _value(kind, name, value, raw)
        if not _says_nothing(kind, name, plain) and not same(plain, _default(kind, name, raw)):
            found[name] = plain
    if kind == "right" and raw.get("import"):  # who imports must be able to create
        found.setdefault("create", True)
    return found


def _says_nothing(kind: str, name: str, value: Any) -> bool:
    if kind == "role" and name == "transitions":  # none at all is another thing than nothing said
        return value is None
    return value is None or (value in ("", [], {}) and sort_of(kind, name) not in KEPT_WHOLE)


def _default(kind: str, name: str, raw: Mapping[str, Any]) -> Any:
    return MASK if (kind, name) == ("field_right", "mask") else default_of(kind, name, raw)


def _part(part: Part, value: Any) -> Any:
    if part.form == "one":
        return _definition(part.kind, value)
    if part.form == "map" and isinstance(value, Mapping):
        return {k: _definition(part.kind, v) for k, v in value.items()}
    if part.form in ("list", "steps") and isinstance(value, list):
        return [_definition(part.kind, v) for v in value]
    return value


def _value(kind: str, name: str, value: Any, raw: Mapping[str, Any]) -> Any:
    sort = sort_of(kind, name)
    if sort == "filter":
        return as_filter(value)
    if sort == "widget_sort" and isinstance(value, list):
        return ",".join(map(str, value))
    if kind == "right":
        return _right(name, value, raw)
    if kind == "role" and name in ("reports", "dashboards", "settings") and isinstance(value, str):
        return [value]
    if sort == "transition_rights" and isinstance(value, Mapping):
        return {k: [v] if isinstance(v, str) else v for k, v in value.items()}
    return value


def _right(name: str, value: Any, raw: Mapping[str, Any]) -> Any:
    if name == "create":
        return value or None
    if name == "export" and isinstance(value, bool):
        return _rules(raw.get("read")) if value else None
    return _rules(value) if name in ("read", "update", "delete", "export") else value


def _rules(value: Any) -> Any:
    try:
        return [{"scope": r.scope, "if": r.condition} if r.condition else r.scope for r in scope_rules(value)]
    except (KeyError, TypeError, AttributeError):  # not a right
        return value
