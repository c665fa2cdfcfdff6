"""Collecting what is wrong with a bundle: paths people can follow, one sentence, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LazyString, lazy

UNKNOWN: dict[str, LazyString] = {
    "entity": lazy("There is no such entity here."),
    "field": lazy("There is no such field here."),
    "option_set": lazy("There is no such option set here."),
    "option": lazy("There is no such option here."),
    "role": lazy("There is no such role here."),
    "pipeline": lazy("There is no such pipeline here."),
    "stage": lazy("There is no such stage here."),
    "transition": lazy("There is no such transition here."),
    "report": lazy("There is no such report here."),
    "dashboard": lazy("There is no such dashboard here."),
    "widget": lazy("There is no such widget here."),
    "view": lazy("There is no such view here."),
    "example_record": lazy("No record of this example that stands earlier has this name."),
    "relation": lazy("There is no such list of related records here."),
    "department": lazy("There is no such department here."),
    "form": lazy("There is no such entry form here."),
    "setting": lazy("There is no such setting here."),
    "pool": lazy("There is no such pool here."),
    "ledger": lazy("There is no such ledger here."),
    "review": lazy("There is no such review here."),
    "connector": lazy("There is no such connector here."),
    "call": lazy("There is no such call here."),
    "document": lazy("There is no such document here."),
    "property": lazy("There is no such property here."),
    "field_type": lazy("There is no such field type."),
    "widget_type": lazy("There is no such kind of widget."),
    "approval": lazy("There is no such approval here."),
    "action": lazy("There is no such action."),
    "trigger": lazy("There is no such trigger."),
    "template": lazy("There is no such message here."),
    "web_form": lazy("There is no such survey here."),
    "choice": lazy("This is not one of the possible choices."),
}

# Sections whose keys are unique per entity only; their paths name the entity, too: `views[customer:mine]`.
PER_ENTITY = ("views", "layouts")
LONGEST = 120  # characters of a key in a path: “entity:view” are at most 97


def path_of(raw: Any, parts: Iterable[str | int]) -> str:
    """`entities[customer].fields[name]` for a JSON path: list entries are shown by their key where they have one."""
    text, here = "", raw
    for part in parts:
        below = _step(here, part)
        if isinstance(part, int):
            key = below.get("key") if isinstance(below, Mapping) else None
            if isinstance(key, str) and text in PER_ENTITY:
                key = f"{below.get('entity')}:{key}"
            text += f"[{_shown(key) if isinstance(key, str) and key else part}]"
        else:
            text += f".{_shown(part)}" if text else _shown(part)
        here = below
    return text


def _shown(part: str) -> str:
    """A key as it stands in a path: hostile ones are cut and made storable. What is well-formed stays as it is."""
    if len(part) > LONGEST:
        part = f"{part[: LONGEST - 1]}…"
    return part if part.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in part)


def _step(here: Any, part: str | int) -> Any:
    try:
        return here[part]
    except (KeyError, IndexError, TypeError):
        return None


def join(path: str, *parts: str) -> str:
    """`join("entities[x]", "fields[y]", "max")`."""
    return ".".join(p for p in (path, *parts) if p)


def listing(values: Iterable[str], limit: int = 12) -> str:
    """The values as a readable list, cut after `limit`."""
    known = list(values)
    shown = ", ".join(known[:limit])
    return f"{shown}, …" if len(known) > limit else shown


def closest(key: object, known: Iterable[str]) -> str | None:
    """The known key somebody probably meant."""
    if not isinstance(key, str) or len(key) > LONGEST:
        return None
    choices = {k.lower(): k for k in known}
    found = get_close_matches(key.lower(), list(choices), 1, 0.6)
    return choices[found[0]] if found else None


def unknown_text(noun: str, key: object, known: Sequence[str]) -> tuple[LazyString, LazyString]:
    """Message and hint for a key that names nothing."""
    sentence, guess = UNKNOWN[noun], closest(key, known)
    shown = str(key)[:60]
    if guess:
        message = lazy("“%(key)s”: %(sentence)s Did you mean “%(guess)s”?", key=shown, sentence=sentence, guess=guess)
        return message, lazy("Write “%(guess)s”, or one of: %(known)s.", guess=guess, known=listing(known))
    message = lazy("“%(key)s”: %(sentence)s", key=shown, sentence=sentence)
    if not known:
        return message, lazy("None is defined yet: add it, or remove this entry.")
    return message, lazy("Write one of: %(known)s.", known=listing(known))


class Problems:
    """An ordered, de-duplicated list of problems. `ghosts` are keys of definitions that were set aside because they are
    themselves broken: pointing to one of them is not a second problem."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], DefinitionProblem] = {}
        self.ghosts: set[str] = set()

    def add(self, path: str, code: str, message: LazyString | str, hint: LazyString | str) -> None:
        self._found.setdefault((path, code), DefinitionProblem(path, code, message, hint))

    def unknown(self, path: str, noun: str, key: object, known: Iterable[str]) -> None:
        if key in self.ghosts:
            return
        message, hint = unknown_text(noun, key, list(known))
        self.add(path, f"unknown_{noun}", message, hint)

    def known(self, path: str, noun: str, key: str | None, known: Iterable[str]) -> bool:
        """Whether `key` is known; reports it when not. None counts as unknown without report."""
        if key is None:
            return False
        if key in (choices := known if isinstance(known, (Mapping, set, frozenset)) else list(known)):
            return True
        self.unknown(path, noun, key, choices)
        return False

    def has_below(self, *paths: str) -> bool:
        """Whether something is reported at one of these paths or inside it."""
        return any(found == path or found.startswith((f"{path}.", f"{path}[")) for found, _ in self._found for path in paths)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def list(self) -> list[DefinitionProblem]:
        return list(self._found.values())
