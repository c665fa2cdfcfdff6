"""Every place of a bundle that refers to a definition: which, where, and what could be taken away to get rid of it.

Works on JSON that may have problems; what cannot be understood refers to nothing.
"""

from __future__ import annotations

import copy
import json
import marshal
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from saas.metadata.anatomy import PARTS, ROOT, Part, key_of, part_of, sort_of, type_of, type_property
from saas.metadata.mention_expressions import Names, field_path, in_expression
from saas.metadata.mention_readers import READERS, Pointer, Spot
from saas.metadata.naming import Lookup, entity_of, texts

KEPT = 4


class Mention(NamedTuple):
    """One place that refers to the definition at the path `target`.

    `path` is the place as problems name it, `at` the same as a JSON pointer; `kind` and `name` say which property of what it is,
    `owner` is the path of the definition around it. `cut` is what can be taken away without guessing so that nothing refers to the
    target there any more (None: nothing can); `in_filter`: the conditions about it can be taken out of the filter at `cut`.
    """

    target: str
    path: str
    at: Pointer
    kind: str
    name: str
    owner: str
    cut: Pointer | None = None
    in_filter: bool = False


# Properties of actions that are about the record they work on.
_OF_THE_TARGET = frozenset((("action", "values"), ("action", "unless_exists"), ("action", "transition"), ("action", "where")))


class Mentions:
    """All mentions of a bundle. `spots` are its definitions by JSON pointer."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw, self.lookup = raw, Lookup(raw)
        self.spots: dict[Pointer, Spot] = {}
        self.found: list[Mention] = []
        self._definition(Spot(ROOT, "", (), raw))
        self._by_target: dict[str, list[Mention]] = {}
        for mention in self.found:
            self._by_target.setdefault(mention.target, []).append(mention)

    def of(self, path: str) -> list[Mention]:
        """Those that refer to the definition at a path."""
        return self._by_target.get(path, [])

    def within(self, path: str) -> list[Mention]:
        """Those that refer to the definition at a path, or to one inside it."""
        return [m for target, found in self._by_target.items() if target == path or target.startswith((f"{path}.", f"{path}[")) for m in found]

    # ---- walking --------------------------------------------------------------------------------------------------------

    def _definition(self, spot: Spot) -> None:
        self.spots[spot.at] = spot
        for name in spot.raw if spot.kind != ROOT else PARTS[ROOT]:  # sections in their order, however they are written
            value = spot.raw.get(name)
            part = part_of(spot.kind, name)
            if part is not None:
                self._part(spot, name, part, value)
            elif (spot.kind, name) in _OF_THE_TARGET:
                continue
            elif (read := READERS.get(sort_of(spot.kind, name, spot.raw))) is not None:
                for target, path, at, cut in read(self.lookup, spot, name, value):
                    whole = cut is not None and cut == (*spot.at, name) and sort_of(spot.kind, name) == "filter"
                    self.found.append(Mention(target, path, at, spot.kind, name, spot.owner, cut, whole))

    def _part(self, outer: Spot, name: str, part: Part, value: Any) -> None:
        path, at = f"{outer.path}.{name}" if outer.path else name, (*outer.at, name)
        if part.form == "one" and isinstance(value, Mapping):
            self._enter(outer, part, value, "", path, at)
        elif part.form == "map" and isinstance(value, Mapping):
            for key, item in value.items():
                self._named_by_key(outer, part, key, f"{path}.{key}", (*at, key), item)
                self._enter(outer, part, item if isinstance(item, Mapping) else {"access": item}, key, f"{path}.{key}", (*at, key))
        elif isinstance(value, list):
            nested = outer.kind == part.kind == "action"
            here = self.lookup.inner_entity(outer.entity, outer.raw) if nested else outer.entity
            names: dict[str, Any] = dict(outer.names) if nested else {}
            known = {name.removeprefix("result."): entity for name, entity in names.items()}
            entities = self.lookup.action_entities(here, value, known) if part.kind == "action" else []
            for number, item in enumerate(value):
                if not isinstance(item, Mapping):
                    continue
                key = key_of(name, item) if part.form == "list" else None
                spot = self._enter(outer, part, item, str(item.get("key")), f"{path}[{key or number}]", (*at, number), dict(names), here)
                if part.kind == "action":
                    self._action(spot, entities[number])
                    if isinstance(item.get("as"), str):
                        names[f"result.{item['as']}"] = entities[number]

    def _enter(
        self, outer: Spot, part: Part, item: Mapping[str, Any], key: str, path: str, at: Pointer, names: Names | None = None, around: Any = None
    ) -> Spot:
        entity = entity_of(self.lookup, part.kind, item, key, around if outer.kind == part.kind == "action" else outer.entity)
        owner = path if part.named else outer.owner
        spot = Spot(part.kind, path, at, item, entity, owner, outer, names if names is not None else outer.names)
        self._definition(spot)
        return spot

    def _action(self, spot: Spot, target: Any) -> None:
        """What an action says about the record it works on; the rest is about the record it runs on."""
        values = spot.raw.get("values")
        for key, text in values.items() if isinstance(values, Mapping) else ():
            path, at = f"{spot.path}.values", (*spot.at, "values", key)
            cut = at if len(values) > 1 or spot.raw.get("action") != "create" else None
            self._add(spot, "values", f"{path}[{key}]", at, [field_path(target, key)], cut)
            self._add(spot, "values", f"{path}.{key}", at, in_expression(self.lookup, text, spot.entity, spot.names, into=(target, key)))
        keys = texts(spot.raw.get("unless_exists"))
        for number, key in enumerate(keys):
            at = (*spot.at, "unless_exists", number)
            self._add(spot, "unless_exists", f"{spot.path}.unless_exists[{key}]", at, [field_path(target, key)], at if len(keys) > 1 else None)
        if isinstance(spot.raw.get("field"), str) and type_property("action", "field", spot.raw).get("x-control") == "target_field":
            self._add(spot, "field", f"{spot.path}.field", (*spot.at, "field"), [field_path(target, spot.raw["field"])])
        for name, key in spot.raw.items():  # fields of an entity that stands beside them
            beside = type_property("action", name, spot.raw).get("x-entity") if isinstance(key, str) else None
            if beside and isinstance(spot.raw.get(beside), str):
                self._add(spot, name, f"{spot.path}.{name}", (*spot.at, name), [field_path(spot.raw[beside], key)])
        if isinstance(spot.raw.get("map"), Mapping):
            self._copies(spot, target)
        if isinstance(spot.raw.get("where"), str):
            about = self.lookup.inner_entity(spot.entity, spot.raw) if "of" in spot.raw else target
            self._add(spot, "where", f"{spot.path}.where", (*spot.at, "where"), in_expression(self.lookup, spot.raw["where"], about, {**spot.names, "new": spot.entity}))
        kind = type_of("action", spot.raw)
        for number, key in enumerate(texts(spot.raw.get("order")) if getattr(kind, "looks_among", False) else ()):
            at = (*spot.at, "order", number)
            self._add(spot, "order", f"{spot.path}.order[{key}]", at, [field_path(target, key.removeprefix("-"))], at)
        if isinstance(spot.raw.get("transition"), str):
            pipeline = self.lookup.pipeline(target)[0]
            self._add(spot, "transition", f"{spot.path}.transition", (*spot.at, "transition"), [f"pipelines[{pipeline}].transitions[{spot.raw['transition']}]"])

    def _copies(self, spot: Spot, target: Any) -> None:
        """Fields of copies in a list of the target, and what their values are made of."""
        into = self.lookup.relation(target, spot.raw.get("into") or spot.raw.get("of"))
        about = self.lookup.inner_entity(spot.entity, spot.raw)
        for key, text in spot.raw["map"].items():
            path, at = f"{spot.path}.map", (*spot.at, "map", key)
            if into is not None:
                self._add(spot, "map", f"{path}[{key}]", at, [field_path(into.child, key)], at)
            self._add(spot, "map", f"{path}.{key}", at, in_expression(self.lookup, text, about, spot.names))

    def _named_by_key(self, outer: Spot, part: Part, key: str, path: str, at: Pointer, item: Any) -> None:
        """Rights on an entity or a field refer to it."""
        if part.kind == "right" and key != "*":
            self._add(outer, "entities", path, at, [f"entities[{key}]"], at)
        elif part.kind == "field_right" and outer.entity is not None:
            self._add(outer, "fields", f"{path.rpartition('.')[0]}[{key}]", at, [field_path(outer.entity, key)], at)

    def _add(self, spot: Spot, name: str, path: str, at: Pointer, targets: list[str], cut: Pointer | None = None) -> None:
        self.found.extend(Mention(t, path, at, spot.kind, name, spot.owner, cut) for t in targets)


def mentions_of(raw: Mapping[str, Any]) -> Mentions:
    """All mentions in a bundle; those of the bundles asked about last are kept, told apart by what they say."""
    content = _packed(raw)
    found = _kept.pop(content, None) or Mentions(fresh(raw))
    _kept[content] = found
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return found


def fresh(raw: Any) -> Any:
    """A copy of JSON that shares nothing with it; far quicker than a deep copy."""
    try:
        return marshal.loads(marshal.dumps(raw, 2))
    except ValueError:  # something in it is no JSON
        return copy.deepcopy(raw)


def _packed(raw: Any) -> bytes:
    try:
        return marshal.dumps(raw, 2)
    except ValueError:
        return json.dumps(raw, default=str).encode()


_kept: OrderedDict[bytes, Mentions] = OrderedDict()
