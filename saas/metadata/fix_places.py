"""Where a problem is: the JSON behind its path, what may be taken away there, and what else could be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LazyString, lazy
from saas.metadata import expressions as x
from saas.metadata.anatomy import fixed_values, is_required, key_of, sort_of
from saas.metadata.config import Config
from saas.metadata.edits import steps_of
from saas.metadata.kinds import action_types, field_types, trigger_types, widget_types
from saas.metadata.mention_readers import Pointer, Spot
from saas.metadata.mentions import fresh, mentions_of
from saas.metadata.naming import Lookup, Name, Text, items
from saas.metadata.problems import closest
from saas.metadata.property_words import choice_word, property_word
from saas.metadata.removal import EMPTIED, edits_at, take_out
from saas.metadata.scopes import config_of
from saas.metadata.semantics import TITLE_TYPES

Change = Callable[[], dict[str, Any]]
Offers = Iterator[tuple[str, LazyString, Change]]

# Codes of things that exist, but are of a kind that does not fit there.
WRONG_KIND = ("bad_title", "not_sortable", "not_groupable", "not_a_number", "not_a_user", "not_a_date", "cannot_be_filled", "wrong_target", "not_a_reference")


# Properties that may be left out, but not without saying the same in another way.
_ESSENTIAL = frozenset(
    (("field", "set"), ("field", "field"), ("transition", "to"), ("transition", "branches"), ("widget", "widget"), ("widget", "report"), ("action", "target"), ("option", "key"))
)


@dataclass(frozen=True, slots=True)
class Place:
    """`pointer` leads to what the problem's path names, as far as it is there (`is_exact`: all the way); `spot` is the definition
    around it and `rest` the way from there; `owner` is the nearest definition with a name."""

    raw: Mapping[str, Any]
    lookup: Lookup
    pointer: Pointer
    is_exact: bool
    spots: tuple[Spot, ...]
    rest: tuple[str | int, ...]
    missing: tuple[str, ...] = ()

    @property
    def spot(self) -> Spot:
        return self.spots[-1]

    @property
    def kind(self) -> str:
        return self.spot.kind

    @property
    def definition(self) -> Mapping[str, Any]:
        return self.spot.raw

    @property
    def owner(self) -> Spot | None:
        return next((s for s in reversed(self.spots) if s.path and s.owner == s.path), None)

    @property
    def action(self) -> Spot | None:
        return next((s for s in reversed(self.spots) if s.kind == "action"), None)

    @property
    def name(self) -> str | None:
        """The property of the definition that is concerned."""
        return str(self.rest[0]) if self.rest else self.missing[0] if self.missing else None

    @property
    def is_entry(self) -> bool:
        """Whether it is one of several things the property holds."""
        return len(self.rest) > 1

    @property
    def value(self) -> Any:
        return edits_at(self.raw, self.pointer)

    def at(self, pointer: Pointer) -> Any:
        return edits_at(self.raw, pointer)

    def is_known_label(self, name: str) -> bool:
        return sort_of(self.kind, name) == "label"

    def can_go(self) -> bool:
        """Whether the entry or property can be taken away."""
        if self.name is None or not self.rest or not self.is_exact or (self.kind, self.name) in _ESSENTIAL:
            return False
        if self.is_entry and (self.kind, self.name) not in EMPTIED:
            return not (is_required(self.kind, self.name, self.definition) and len(self.at(self.pointer[:-1]) or ()) <= 1)
        return self.is_entry or not is_required(self.kind, self.name, self.definition)

    def without(self) -> dict[str, Any]:
        return take_out(self.raw, [self.pointer])

    def written(self, value: Any) -> dict[str, Any]:
        """The bundle with another value there; the sign of a sort order is kept, entries are not doubled."""
        raw = fresh(self.raw)
        holder, last = edits_at(raw, self.pointer[:-1]), self.pointer[-1]
        old = holder[last]
        if isinstance(old, str) and old.startswith("-"):
            value = f"-{value}"
        if isinstance(holder, list) and value in holder:
            del holder[last]  # type: ignore[arg-type]
        elif isinstance(holder, dict) and self.is_entry and sort_of(self.kind, str(self.name), self.definition) == "values":
            renamed = {value if k == last else k: v for k, v in holder.items()}
            holder.clear()
            holder.update(renamed)
        else:
            holder[last] = value
        return raw

    def changed(self, change: Callable[[dict[str, Any]], Any], size: int | None = None) -> dict[str, Any]:
        """The bundle after `change(definition)`: of the definition around, or the one at the first `size` steps of the pointer."""
        raw = fresh(self.raw)
        change(edits_at(raw, self.spot.at if size is None else self.pointer[:size]))
        return raw


def place_of(raw: Mapping[str, Any], path: str) -> Place:
    mentions = mentions_of(raw)
    here: Any = mentions.raw
    pointer: list[str | int] = []
    section, steps = "", steps_of(path)
    done = 0
    for step in steps:
        name = step[0] if isinstance(step, tuple) else step
        found = _step(here, name, section, entry=isinstance(step, tuple))
        if found is None:
            break
        pointer.append(found)
        here, section, done = here[found], name, done + 1  # type: ignore[index]
    at = tuple(pointer)
    spots = tuple(mentions.spots[at[:size]] for size in range(len(at) + 1) if at[:size] in mentions.spots)
    missing = tuple(s[0] if isinstance(s, tuple) else s for s in steps[done:])
    return Place(mentions.raw, mentions.lookup, at, done == len(steps), spots, at[len(spots[-1].at) :], missing)


def _step(here: Any, name: str, section: str, *, entry: bool) -> str | int | None:
    """The key or index one step of a path means."""
    if isinstance(here, Mapping):
        return name if name in here else None
    if not isinstance(here, list):
        return None
    for number, item in enumerate(here if entry else ()):
        if (isinstance(item, str) and item.lstrip("-") == name) or key_of(section, item) == name:
            return number
    return int(name) if name.isdigit() and int(name) < len(here) else None


# ---- conditions ---------------------------------------------------------------------------------------------------------

_ALWAYS: Mapping[tuple[str, str], LazyString] = {
    ("automation", "if"): lazy("Remove the condition: it then always runs"),
    ("action", "if"): lazy("Remove the condition: it then always happens"),
    ("transition", "allow_if"): lazy("Remove the condition: it is then always offered"),
    ("stage", "if"): lazy("Remove the condition: the stage is then there for all records"),
    ("transition", "guard"): lazy("Remove the condition: it is then always allowed"),
    ("field", "visible_if"): lazy("Remove the condition: it is then always shown"),
    ("field", "filter"): lazy("Remove the condition: every record can then be chosen"),
    ("field", "where"): lazy("Remove the condition: all records then count"),
    ("unique", "when"): lazy("Remove the condition: it then holds for all records"),
    ("entity", "editable_if"): lazy("Remove the condition: records can then always be edited"),
    ("entity", "deletable_if"): lazy("Remove the condition: records can then always be deleted"),
}
_RIGHTS = ("read", "update", "delete", "export", "create")


def condition(place: Place) -> Offers | None:
    """What can be done about a condition: the parts of a filter that make no sense, a right with its condition; never the condition
    of a right alone, which would widen it. None where there is no condition."""
    name, kind = place.name, place.kind
    if kind == "right" and name in _RIGHTS:
        at = (*place.spot.at, name)
        return iter([("remove_right", lazy("Take away the right “%(property)s”", property=property_word(kind, name)), lambda: take_out(place.raw, [at]))])
    if kind == "field_right":
        return iter([("hide", lazy("Hide the field from this role"), lambda: _set(place, place.spot.at, "hidden"))])
    if name is not None and sort_of(kind, name, place.definition) == "filter" and kind in ("view", "widget", "schedule"):
        return _filter(place, name)
    label = _ALWAYS.get((kind, str(name)))
    return iter([("remove", label, lambda: take_out(place.raw, [(*place.spot.at, str(name))]))]) if label is not None else None


def _set(place: Place, at: Pointer, value: Any) -> dict[str, Any]:
    raw = fresh(place.raw)
    edits_at(raw, at[:-1])[at[-1]] = value
    return raw


def _filter(place: Place, name: str) -> Offers:
    at = (*place.spot.at, name)
    before, config = place.at(at), config_of(place.raw)
    after = _sound(before, config, place.spot.entity) if config is not None else None
    if after is not None and after != before:
        yield "strip", lazy("Remove the conditions that make no sense any more"), lambda: _set(place, at, after)
    if place.kind != "schedule":  # one without a condition would work on all records
        yield "remove", lazy("Remove the condition: all records are then shown"), lambda: take_out(place.raw, [at])


def _sound(value: Any, config: Config, entity: Any) -> Any:
    """The parts of a filter, or of an expression's “and” and “or”, that can be understood; None when none can."""
    if isinstance(value, str):
        try:
            node = _sound_node(x.parse(value), config, entity)
        except x.ExpressionError:
            return None
        return x.dump(node) if node is not None else None
    for word in ("and", "or"):
        if isinstance(value, Mapping) and isinstance(value.get(word), list):
            parts = [p for part in value[word] if (p := _sound(part, config, entity)) is not None]
            return parts[0] if len(parts) == 1 else {word: parts} if parts else None
    if isinstance(value, Mapping) and isinstance(value.get("expr"), str):
        text = _sound(value["expr"], config, entity)
        return {"expr": text} if text is not None else None
    try:
        x.filter_to_node(value, config, entity)
    except (x.ExpressionError, x.FilterError, KeyError):
        return None
    return value


def _sound_node(node: x.Node, config: Config, entity: Any) -> x.Node | None:
    if isinstance(node, x.Logic):
        parts = [p for item in node.items if (p := _sound_node(item, config, entity)) is not None]
        return x.logic(node.op, parts) if parts else None
    try:
        x.check(node, config, entity, expect="bool", stored=True)
    except (x.ExpressionError, KeyError):
        return None
    return node


def exists(place: Place, path: str) -> bool:
    """Whether there is a definition at a path; fields every record has exist without one."""
    entity, _, field = path.removeprefix("entities[").partition("].fields[")
    if field.endswith("]") and "." not in field:
        return place.lookup.field(entity, field[:-1]) is not None
    return place_of(place.raw, path).is_exact


def dangling(place: Place, problem: DefinitionProblem) -> list[Pointer]:
    """The entries of the list at the problem's path that refer to nothing."""
    if not isinstance(place.value, list) or problem.code == "unknown_pipeline":
        return []
    found = [m for m in mentions_of(place.raw).found if m.path == problem.path and m.at[:-1] == place.pointer and not exists(place, m.target)]
    return list(dict.fromkeys(m.at for m in found))


# ---- what could be written instead --------------------------------------------------------------------------------------


def candidates(place: Place, problem: DefinitionProblem) -> list[tuple[str, Text]]:
    """Keys that fit, with their names: the one that is probably meant; for what a definition cannot be without, the first."""
    name = place.name
    if name is None or not place.is_exact or not isinstance(place.value, (str, dict)):
        return []
    at_key = isinstance(place.pointer[-1], str) and place.is_entry  # the key of a map is wrong, not what stands there
    if problem.code in _TYPE_CODES:
        return _closest(str(place.value), {t.key: t.label for t in _TYPE_CODES[problem.code]})
    if problem.code == "unknown_choice":
        choices = fixed_values(place.kind, name, place.definition)
        return _closest(str(place.value), {str(v): choice_word(place.kind, name, v, place.definition) or str(v) for v in choices})
    written = str(place.pointer[-1]) if at_key else str(place.value).lstrip("-")
    known = _known(place, problem, name)
    if problem.code.startswith("unknown_") and (guessed := _closest(written, known)):
        return guessed
    return list(known.items())[:1] if (place.kind, name) in _FIRST else []


_TYPE_CODES = {"unknown_field_type": field_types, "unknown_widget_type": widget_types, "unknown_action": action_types, "unknown_trigger": trigger_types}


def _closest(written: str, known: Mapping[str, Text]) -> list[tuple[str, Text]]:
    guess = closest(written, known)
    return [(guess, known[guess])] if guess is not None else []


def _known(place: Place, problem: DefinitionProblem, name: str) -> dict[str, Text]:
    lookup, entity, sort = place.lookup, place.spot.entity, sort_of(place.kind, name, place.definition)
    if problem.code in ("unknown_field", *WRONG_KIND) and sort in ("field", "fields", "sort", "child_field", "child_fields", "target_fields", "values", "path", "paths"):
        if place.action is not None and name in ("values", "unless_exists"):
            entity = _target_of(place)
        if sort in ("child_field", "child_fields"):
            relation = lookup.relation(entity, place.definition.get("of") or place.definition.get("key"))
            entity = relation.child if relation is not None else None
        if sort == "target_fields":
            entity = place.definition.get("to")
        known: dict[str, Text] = {k: Name(f.get("label"), k) for k, f in lookup.fields(entity).items() if _fits(place, name, f)}
        if "." in str(place.value):  # one step over a reference
            first = str(place.value).partition(".")[0]
            target = (lookup.field(entity, first) or {}).get("to")
            known = {f"{first}.{k}": lookup.path_name(entity, f"{first}.{k}") for k in lookup.fields(target)} or {k: v for k, v in known.items() if k == first}
        return known
    sections = {
        "unknown_role": "roles", "unknown_entity": "entities", "unknown_option_set": "option_sets", "unknown_report": "reports",
        "unknown_dashboard": "dashboards", "unknown_department": "departments", "unknown_pipeline": "pipelines",
    }  # fmt: skip
    if section := sections.get(problem.code):
        return {k: lookup.name(section, k) for k in lookup.section(section)}
    if problem.code == "unknown_relation":
        return {k: Name(r.label, k) for k, r in lookup.relations(entity).items()}
    if problem.code == "unknown_stage":
        return {str(s["key"]): Name(s.get("label"), str(s["key"])) for s in items(_pipeline(place), "stages") if "key" in s}
    if problem.code == "unknown_transition":
        return {str(t["key"]): Name(t.get("label"), str(t["key"])) for t in items(_pipeline(place), "transitions") if "key" in t}
    return {}


# What can be guessed even if nothing like it was written.
_FIRST = frozenset((("entity", "title"), ("board", "by"), ("pipeline", "field"), ("source", "via"), ("tree", "parent")))


def _fits(place: Place, name: str, field: Mapping[str, Any]) -> bool:
    """Whether a field may stand there, as far as the kind of field decides it."""
    kind, wanted = field.get("type"), (place.kind, name)
    if wanted == ("entity", "title"):
        return kind in TITLE_TYPES
    if wanted == ("board", "by"):
        return kind in ("option", "pipeline")
    if wanted == ("pipeline", "field"):
        return kind == "pipeline"
    if wanted in (("source", "via"), ("tree", "parent")):
        around = next((s for s in reversed(place.spots) if s.kind == "entity"), None)
        return kind in ("ref", "m2m") and around is not None and field.get("to") == around.raw.get("key")
    return True


def _pipeline(place: Place) -> Mapping[str, Any] | None:
    own = next((s.raw for s in place.spots if s.kind == "pipeline"), None)
    return own if own is not None else place.lookup.pipeline(place.spot.entity)[1]


def _target_of(place: Place) -> Any:
    """The entity the action around works on."""
    action = place.action
    if action is None:
        return place.spot.entity
    actions = edits_at(place.raw, action.at[:-1])
    known = {name.removeprefix("result."): entity for name, entity in action.names.items()}
    return place.lookup.action_entities(action.entity, actions, known)[int(action.at[-1])]
