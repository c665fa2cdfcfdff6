"""Changes to a list of options, as JSON: many at once, the order of a part, splitting and merging. What happens to records that hold
an option is said by data steps, which travel with the change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saas.metadata.edits import key_for

Option = dict[str, Any]
Step = dict[str, Any]

COLOURS = ("gray", "blue", "teal", "green", "yellow", "orange", "red", "pink", "purple", "indigo")  # in the order new options get them
MOST_LINES = 10_000  # more than a list may have: the check then says so
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Holder:
    """A field whose values are options of a list."""

    entity: str
    field: str


def holders(raw: Mapping[str, Any], set_key: str) -> list[Holder]:
    """The fields that choose from an option set."""
    return [
        Holder(entity["key"], field["key"])
        for entity in raw.get("entities", ())
        for field in entity.get("fields", ())
        if field.get("set") == set_key and entity.get("key") and field.get("key")
    ]  # fmt: skip


def placed(options: Sequence[Option], keys: Sequence[str]) -> list[Option]:
    """The options with those named by `keys` in that order, in the places they hold together; all others stay where they are."""
    by_key = {o.get("key"): o for o in options}
    wanted = [by_key[k] for k in dict.fromkeys(keys) if k in by_key]
    named = {o["key"] for o in wanted}
    order = iter(wanted)
    return [next(order) if o.get("key") in named else o for o in options]


def moved(options: Sequence[Option], key: str, position: int) -> list[Option]:
    """The options with one of them at `position` (from 1)."""
    one = [o for o in options if o.get("key") == key]
    rest = [o for o in options if o.get("key") != key]
    place = max(0, min(position - 1, len(rest)))
    return [*rest[:place], *one, *rest[place:]]


@dataclass(frozen=True, slots=True)
class Added:
    """The list after adding lines; `new` keys, and the lines that were there already."""

    options: tuple[Option, ...]
    new: tuple[str, ...]
    skipped: tuple[str, ...]


def with_lines(options: Sequence[Option], text: str, *, parent: str | None = None, colourful: bool = False) -> Added:
    """One option for each line: a name, or the English and the Chinese one with a tab or “|” between them."""
    result, new, skipped = list(options), [], []
    taken = {o.get("key") for o in options}
    known = {_plain(t) for o in options for t in (o.get("label") or {}).values() if o.get("parent") == parent}
    for line in [line.strip() for line in text.splitlines() if line.strip()][:MOST_LINES]:
        label = label_of(line)
        if not label or {_plain(t) for t in label.values()} & known:
            skipped.append(line)
            continue
        key = key_for(label, taken, "option")
        option: Option = {"key": key, "label": label}
        if colourful:
            option["color"] = COLOURS[(len(result) + 1) % len(COLOURS)]
        if parent:
            option["parent"] = parent
        result.append(option)
        new.append(key)
        taken.add(key)
        known |= {_plain(t) for t in label.values()}
    return Added(tuple(result), tuple(new), tuple(skipped))


def label_of(line: str) -> dict[str, str]:
    """The label a line says: “High | 高”, or one language."""
    parts = [p.strip()[:200] for p in re.split(r"\t|\|", line) if p.strip()]
    if len(parts) > 1:
        first, second = parts[0], parts[1]
        return {"en": second, "zh_CN": first} if _CHINESE.search(first) and not _CHINESE.search(second) else {"en": first, "zh_CN": second}
    return {"zh_CN" if _CHINESE.search(parts[0]) else "en": parts[0]} if parts else {}


def _plain(text: str) -> str:
    return " ".join(str(text).casefold().split())


def replace_step(holder: Holder, key: str, to: str | None, rules: Iterable[tuple[str, str]] = ()) -> Step:
    """What records that hold an option get instead: by the first rule that is true, else `to` (None empties them)."""
    step: Step = {"do": "replace", "entity": holder.entity, "field": holder.field, "from": key, "to": to}
    if found := [{"if": condition, "to": target} for condition, target in rules if condition and target]:
        step["rules"] = found
    return step


def split(options: Sequence[Option], key: str, lines: str, *, keep: bool) -> Added:
    """New options in the place of one: after it when it is kept, else instead of it. They inherit colour and parent."""
    old = next((o for o in options if o.get("key") == key), {})
    made = with_lines(options, lines, parent=old.get("parent"))
    new = [{**o, **({"color": old["color"]} if "color" in old else {})} for o in made.options[len(options) :]]
    result: list[Option] = []
    for option in options:
        if option.get("key") != key:
            result.append(option)
            continue
        result += [option, *new] if keep else new
    return Added(tuple(result), made.new, made.skipped)
