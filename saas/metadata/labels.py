"""Every text of a configuration that people read, with where it stands: for translating it page by page."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saas.i18n import LOCALES
from saas.metadata.anatomy import PARTS, ROOT, key_of, part_of, sort_of
from saas.metadata.edits import find, steps_of


@dataclass(frozen=True, slots=True)
class Text:
    """One label map. `owners` are the labels (or keys) of the definitions around it, from the outside; `section` the section of the
    bundle it stands in; `name` its property."""

    path: str
    section: str
    kind: str
    name: str
    owners: tuple[Mapping[str, str] | str, ...]
    label: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """The languages it is not written in."""
        return tuple(locale for locale in LOCALES if not self.label.get(locale))


def texts(raw: Mapping[str, Any]) -> Iterator[Text]:
    """All texts, section by section, empty ones left out."""
    yield from _of({name: raw[name] for name in PARTS[ROOT] if name in raw}, "", ROOT, "", ())


def with_texts(raw: Mapping[str, Any], changes: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The bundle with other label maps at some paths; paths that lead nowhere are passed over."""
    result = copy.deepcopy(dict(raw))
    for path, label in changes.items():
        parent = path.rpartition(".")[0]
        target = find(result, parent) if parent else result
        if isinstance(target, dict) and isinstance(find(raw, path), Mapping):
            target[steps_of(path)[-1]] = dict(label)
    return result


def _of(definition: Mapping[str, Any], path: str, kind: str, section: str, owners: tuple[Mapping[str, str] | str, ...]) -> Iterator[Text]:
    for name, value in definition.items():
        here = f"{path}.{name}" if path else name
        where = section or name
        if part := part_of(kind, name):
            for below_path, key, below in _below(here, name, part.form, value):
                yield from _of(below, below_path, part.kind, where, (*owners, _name(below, key)) if part.named else owners)
        elif sort_of(kind, name) == "label" and isinstance(value, Mapping) and any(value.values()):
            yield Text(here, where, kind, name, owners, value)


def _below(path: str, section: str, form: str, value: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(path, key, definition) of the definitions a property holds."""
    if form == "one" and isinstance(value, Mapping):
        yield path, "", value
    elif form == "map" and isinstance(value, Mapping):
        yield from ((f"{path}.{key}", key, item) for key, item in value.items() if isinstance(item, Mapping))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, Mapping):
                key = key_of(section, item) if form == "list" else None
                yield f"{path}[{key or number}]", key or "", item


def _name(definition: Mapping[str, Any], key: str) -> Mapping[str, str] | str:
    label = definition.get("label") or definition.get("message")
    return label if isinstance(label, Mapping) and label else key
