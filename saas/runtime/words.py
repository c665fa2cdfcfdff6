"""Texts that can be kept and are still translated when they are shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from saas.i18n import LazyLabel, LazyPlural, LazyString

TEXT, PLURAL, VALUES, LABEL = "$text", "$plural", "$values", "$label"


def to_json(value: Any) -> Any:
    """Anything made of texts, numbers, lists, mappings and dataclasses as JSON; translatable texts keep their parts."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, LazyPlural):
        return {TEXT: value.message, PLURAL: value.plural, VALUES: to_json(dict(value.values))}
    if isinstance(value, LazyString):
        return {TEXT: value.message, VALUES: to_json(dict(value.values))}
    if isinstance(value, LazyLabel):
        return {LABEL: value.label}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return str(value)


def from_json(value: Any) -> Any:
    """The reverse, but for dataclasses, which stay mappings."""
    if isinstance(value, list):
        return [from_json(v) for v in value]
    if not isinstance(value, Mapping):
        return value
    if PLURAL in value:
        return LazyPlural(value[TEXT], value[PLURAL], from_json(value[VALUES]))
    if TEXT in value:
        return LazyString(value[TEXT], from_json(value[VALUES]))
    if LABEL in value:
        return LazyLabel(value[LABEL])
    return {k: from_json(v) for k, v in value.items()}
