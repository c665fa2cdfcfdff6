"""Texts that can be kept and are still translated when they are shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import LazyLabel, LazyPlural, LazyString

TEXT, PLURAL, VALUES, MADE_BY, LABEL = "$text", "$plural", "$values", "$class", "$label"


def to_json(value: Any) -> Any:
    """Anything made of texts, numbers, lists, mappings and dataclasses as JSON; translatable texts keep their parts."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, LazyString):
        kept = {TEXT: value.message, VALUES: to_json(dict(value.values))}
        if isinstance(value, LazyPlural):
            kept[PLURAL] = value.plural
        return kept if type(value) is LazyString else {**kept, MADE_BY: type(value).__name__}
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
    if LABEL in value:
        return LazyLabel(value[LABEL])
    if TEXT not in value:
        return {k: from_json(v) for k, v in value.items()}
    known = {cls.__name__: cls for cls in _kinds(LazyString)}
    cls = known.get(value.get(MADE_BY, ""), LazyString)
    text = cls.__new__(cls)
    text.message, text.values = value[TEXT], from_json(value[VALUES])
    if isinstance(text, LazyPlural):
        text.plural = value[PLURAL]
    return text


def _kinds(cls: type[LazyString]) -> Iterator[type[LazyString]]:
    for below in cls.__subclasses__():
        yield below
        yield from _kinds(below)
