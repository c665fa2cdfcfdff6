"""Small changes to a bundle's JSON, by path: `entities[customer].fields[phone]`. Nothing here changes what it is given."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from saas.metadata.check import OWNED, RESERVED
from saas.metadata.problems import PER_ENTITY

_STEP = re.compile(r"([A-Za-z0-9_$]+|\*)|\[([^\]]*)\]")
MAX_KEY = 48

Step = str | tuple[str]  # a property, or (key,) of a list's item


def steps_of(path: str) -> list[Step]:
    """`views[customer:mine].columns` -> ["views", ("customer:mine",), "columns"]."""
    return [name or (key,) for name, key in _STEP.findall(path)]


def parent_of(path: str) -> str:
    """The path without its last step: `entities[a].fields[b]` -> `entities[a].fields`."""
    return path[: path.rindex("[")] if path.endswith("]") else path.rpartition(".")[0]


def _index(items: list[Any], section: str, key: str) -> int | None:
    """Where an item stands: by key (views and layouts: entity:key), else by number."""
    for number, item in enumerate(items):
        if isinstance(item, Mapping):
            name = f"{item.get('entity')}:{item.get('key')}" if section in PER_ENTITY else item.get("key")
            if name == key:
                return number
    return int(key) if key.isdigit() and int(key) < len(items) else None


def find(raw: Any, path: str) -> Any:
    """What stands at the path, or None."""
    here, section = raw, ""
    for step in steps_of(path):
        if isinstance(step, tuple):
            number = _index(here, section, step[0]) if isinstance(here, list) else None
            if number is None:
                return None
            here = here[number]
        else:
            if not isinstance(here, Mapping) or step not in here:
                return None
            here, section = here[step], step
    return here


def _changed(raw: Mapping[str, Any], path: str, change: Callable[[Any, Any, str], None]) -> dict[str, Any]:
    """`raw` after `change(container, index or property, section)`; lists and objects on the way are made. KeyError when a list on
    the way lacks the item. Only what lies on the way is copied: the rest is shared with `raw`, so neither may be changed in place."""
    result: dict[str, Any] = dict(raw)
    steps, here, section = steps_of(path), result, ""
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(step, tuple):
            found: Any = _index(here, section, step[0])
            if found is None and not last:
                raise KeyError(path)
            step = found if found is not None else step[0]
        else:
            section = step
            if not last:
                here.setdefault(step, [] if isinstance(steps[number + 1], tuple) else {})
        if last:
            change(here, step, section)
        else:
            here[step] = copy.copy(here[step])
            here = here[step]
    return result


def put(raw: Mapping[str, Any], path: str, definition: Any) -> dict[str, Any]:
    """The bundle with `definition` at the path: in the place of the one there, else at the end of its list."""

    def change(container: Any, at: Any, _section: str) -> None:
        if isinstance(container, list) and not isinstance(at, int):
            container.append(definition)
        else:
            container[at] = definition

    return _changed(raw, path, change)


def add(raw: Mapping[str, Any], section_path: str, definition: Any, *, after: str | None = None) -> dict[str, Any]:
    """The bundle with `definition` in a list: after the item with that key, else at the end."""

    def change(container: Any, at: Any, section: str) -> None:
        items = container[at] = list(container.get(at, ()))
        place = _index(items, section, after) if after is not None else None
        items.insert(len(items) if place is None else place + 1, definition)

    return _changed(raw, section_path, change)


def remove(raw: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The bundle without what stands at the path."""

    def change(container: Any, at: Any, _section: str) -> None:
        if isinstance(container, list) and isinstance(at, int):
            del container[at]
        elif isinstance(container, dict):
            container.pop(at, None)

    return _changed(raw, path, change)


def move(raw: Mapping[str, Any], path: str, position: int) -> dict[str, Any]:
    """The bundle with the item at the path moved to `position` (from 0) of its list."""

    def change(container: Any, at: Any, _section: str) -> None:
        if isinstance(container, list) and isinstance(at, int):
            container.insert(max(0, position), container.pop(at))

    return _changed(raw, path, change)


def reorder(raw: Mapping[str, Any], section_path: str, keys: Iterable[str]) -> dict[str, Any]:
    """The bundle with a list in the order of `keys`; items not named keep their order, at the end."""

    def change(container: Any, at: Any, section: str) -> None:
        items = container.get(at) or []
        places = [place for key in keys if (place := _index(items, section, key)) is not None]
        places = list(dict.fromkeys(places))
        container[at] = [items[p] for p in places] + [item for n, item in enumerate(items) if n not in set(places)]

    return _changed(raw, section_path, change)


def key_for(label: Mapping[str, str], taken: Iterable[str], fallback: str) -> str:
    """A machine name from what people call it: English words, else the Chinese in pinyin, else `fallback`; never one `taken` or reserved."""
    used = {*taken, *RESERVED, *OWNED}
    base = next((k for text in (label.get("en", ""), label.get("zh_CN", "")) if (k := _plain(text))), fallback)
    key, number = base, 2
    while key in used:
        key, number = f"{base[: MAX_KEY - 4]}_{number}", number + 1
    return key


def _plain(text: str) -> str:
    if not text.isascii():
        from pypinyin import lazy_pinyin  # its dictionary takes a moment to load, and few processes ever need it

        text = " ".join(lazy_pinyin(text))
    text = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    plain = re.sub(r"[^a-z0-9]+", "_", text).strip("_")[:40].rstrip("_")
    return plain if plain and plain[0].isalpha() else ""
