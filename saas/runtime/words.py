"""Texts that can be kept and are still translated when they are shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saas.errors import AppError, FieldProblem, InvalidInput
from saas.i18n import LazyLabel, LazyPlural, LazyString, gettext, lazy, sentences, use_locale

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


class Sentences(LazyString):
    """Several texts as one."""

    __slots__ = ()

    def __init__(self, texts: Sequence[LazyString | str]) -> None:
        super().__init__("", {"texts": list(texts)})

    def __str__(self) -> str:
        return sentences(self.values["texts"])

    __repr__ = __str__


def reason_of(error: AppError) -> LazyString:
    """Why something was refused, with the fields it is about."""
    problems = [lazy("%(title)s: %(text)s", title=p.field, text=p.message) if p.field else p.message for p in error.problems if isinstance(p, FieldProblem)] if isinstance(error, InvalidInput) else []
    return Sentences(problems or [error.message])


def kept(text: LazyString | str, most: int = 500) -> str:
    """A text for a column of at most so many characters. `told` translates it; one that is too long with its parts is kept in English."""
    if not isinstance(text, LazyString):
        return clean(text)[:most]
    if type(text) is LazyString and not text.values:
        return text.message[:most]
    parts = clean(json.dumps(to_json(text), ensure_ascii=False))
    if len(parts) <= most:
        return parts
    with use_locale("en"):
        return clean(str(text))[:most]


def told(text: str) -> str:
    """What was kept, for whoever reads it now."""
    if text.startswith(f'{{"{TEXT}": '):
        try:
            return str(from_json(json.loads(text)))
        except (ValueError, TypeError, KeyError, AttributeError):
            return text
    return gettext(text) if text else ""


def clean(text: str) -> str:
    """Without what no database keeps: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _kinds(cls: type[LazyString]) -> Iterator[type[LazyString]]:
    for below in cls.__subclasses__():
        yield below
        yield from _kinds(below)
