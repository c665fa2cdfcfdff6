"""One-click fixes for the problems of a draft: each says in words what it does, and is a pure function of the bundle's JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LazyString, lazy
from saas.metadata import fix_places, fix_rules, removal
from saas.metadata.fix_places import Place, place_of
from saas.metadata.mention_readers import NEVER_EMPTY, Pointer
from saas.metadata.naming import called
from saas.metadata.property_words import property_word
from saas.metadata.removal import Removal, remove_with_references

__all__ = ["Fix", "Removal", "apply_fix", "fixes_of", "remove_with_references"]


@dataclass(frozen=True, slots=True)
class Fix:
    """`key` names it for `apply_fix`; `label` is what the button says."""

    key: str
    label: LazyString


Offer = tuple[Fix, Callable[[], dict[str, Any]]]


def fixes_of(raw: Mapping[str, Any], problem: DefinitionProblem) -> list[Fix]:
    """What can be done about a problem of the bundle with one click, the best first; empty when somebody has to think."""
    return [fix for fix, _ in _offers(raw, problem)]


def apply_fix(raw: Mapping[str, Any], problem: DefinitionProblem, key: str) -> dict[str, Any]:
    """The bundle after a fix. Errors: KeyError when the problem does not offer it (any more)."""
    for fix, make in _offers(raw, problem):
        if fix.key == key:
            return make()
    raise KeyError(key)


def _offers(raw: Mapping[str, Any], problem: DefinitionProblem) -> list[Offer]:
    place = place_of(raw, problem.path)
    found: dict[str, Offer] = {}
    for make in (fix_rules.offers, _replacements, _removals, _definitions):
        for key, label, change in make(place, problem):
            found.setdefault(key, (Fix(key, label), change))
    return list(found.values())


Found = Iterator[tuple[str, LazyString, Callable[[], dict[str, Any]]]]


# ---- writing what was probably meant ------------------------------------------------------------------------------------


def _replacements(place: Place, problem: DefinitionProblem) -> Found:
    if not problem.code.startswith("unknown_") and problem.code not in fix_places.WRONG_KIND:
        return
    for key, name in fix_places.candidates(place, problem):
        yield f"use:{key}", lazy("Use “%(name)s” instead", name=name), lambda key=key: place.written(key)


# ---- taking it away -----------------------------------------------------------------------------------------------------


def _removals(place: Place, problem: DefinitionProblem) -> Found:
    """The entry or property itself, where its definition can be without."""
    name = place.name
    if place.kind in ("right", "field_right") and not place.rest and place.is_exact and problem.code.startswith("unknown_"):
        yield "remove", lazy("Take it out of “%(property)s”", property=property_word("right" if place.kind == "field_right" else "role", _MAPS[place.kind])), place.without
    elif (conditions := fix_places.condition(place)) is not None:
        yield from conditions
    elif pointers := fix_places.dangling(place, problem):
        yield from _lost_entries(place, place.pointer, pointers)
    elif name is not None and place.can_go() and problem.code not in fix_rules.HARMLESS:
        if place.is_entry:
            yield from _lost_entries(place, place.pointer[:-1], [place.pointer])
        else:
            yield "remove", lazy("Leave “%(property)s” empty", property=property_word(place.kind, name, place.definition)), place.without
    if place.kind in _ENTRIES and place.spot.outer is not None:
        outer = place.spot.outer
        word = property_word(outer.kind, str(place.spot.at[len(outer.at)]), outer.raw)
        yield "remove_entry", lazy("Take it out of “%(property)s”", property=word), lambda: removal.take_out(place.raw, [place.spot.at])
    if place.action is not None:
        at = place.action.at
        yield "remove_action", lazy("Remove this action"), lambda: removal.take_out(place.raw, [at])


_ENTRIES = ("source", "tree")  # small definitions without names
_MAPS = {"right": "entities", "field_right": "fields"}
_EVERYBODY: Mapping[str, LazyString] = {
    "transition": lazy("Let everybody do it who may edit the record"),
    "entity": lazy("Let everybody be owner"),
    "field": lazy("Let everybody be chosen"),
    "trigger": lazy("Run it after every change"),
    "action": lazy("Make a new one each time"),
}


def _lost_entries(place: Place, holder: Pointer, pointers: list[Pointer]) -> Found:
    """Some entries of a list go. Where none would be left and “none” means “all”, that is said."""
    name = str(place.name)
    if len(pointers) < len(place.at(holder)) or (place.kind, name) not in NEVER_EMPTY:
        word = property_word(place.kind, name, place.definition)
        yield "remove", lazy("Take it out of “%(property)s”", property=word), lambda: removal.take_out(place.raw, pointers)
    else:
        yield "everybody", _EVERYBODY.get(place.kind, lazy("Show it to everybody")), lambda: place.changed(lambda d: d.pop(name))


# Definitions that nobody wants to lose because something in them is wrong, and those that go only when nothing less helps.
_PRECIOUS = ("bundle", "pack", "entity", "role", "right", "option_set", "report", "dashboard")
_LAST_RESORT = ("field", "pipeline", "stage", "option", "setting", "department")


def _definitions(place: Place, problem: DefinitionProblem) -> Found:
    """The definition that does not work without what is missing."""
    owner = place.owner
    if owner is None or problem.code in fix_rules.HARMLESS or (owner.kind in _PRECIOUS and (owner.kind, problem.code) != ("option_set", "too_few")):
        return
    if owner.kind in _LAST_RESORT and (place.can_go() or fix_places.condition(place) is not None):
        return
    yield "remove_definition", lazy("Remove: %(what)s", what=called(place.lookup, owner.path)), lambda: remove_with_references(place.raw, owner.path)
