"""Putting two people's changes to the same bundle together: what only one of them changed is taken, what both changed
differently is a conflict. Works on JSON, definition by definition; nothing here needs a bundle to be valid."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saas.metadata import anatomy, ordering
from saas.metadata.anatomy import ROOT, WHOLE, Part


class _Missing:
    """Stands for “not there”: null is a value."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> _Missing:
        return self

    def __deepcopy__(self, memo: Any) -> _Missing:
        return self


MISSING = _Missing()
MINE, THEIRS = "mine", "theirs"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both changed what stands at `path`, differently. Values are JSON, or MISSING for what is not there."""

    path: str
    base: Any
    mine: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class Merge:
    """`bundle` has mine wherever there is a conflict. `from_mine` and `from_theirs` are the paths only that side changed.
    The bundle shares parts with those it was made of: change none of them."""

    bundle: dict[str, Any]
    conflicts: tuple[Conflict, ...] = ()
    from_mine: tuple[str, ...] = ()
    from_theirs: tuple[str, ...] = ()
    sides: tuple[Any, Any, Any] = field(default=({}, {}, {}), repr=False, compare=False)


def merge(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Merge:
    """Both sides' changes to `base` in one bundle."""
    return _merge(base, mine, theirs, {})


def resolve(merged: Merge, choices: Mapping[str, str]) -> dict[str, Any]:
    """The bundle with each conflict decided: `choices` says "mine" or "theirs" for its path; mine where nothing is said."""
    return _merge(*merged.sides, choices).bundle


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _merge(base: Any, mine: Any, theirs: Any, choices: Mapping[str, str]) -> Merge:
    run = _Run(choices)
    bundle = run.value("", ROOT, Part(ROOT, "one"), base, mine, theirs)
    return Merge(bundle, tuple(run.conflicts), tuple(run.from_mine), tuple(run.from_theirs), (base, mine, theirs))


class _Run:
    def __init__(self, choices: Mapping[str, str]) -> None:
        self.choices = choices
        self.conflicts: list[Conflict] = []
        self.from_mine: list[str] = []
        self.from_theirs: list[str] = []

    def value(self, path: str, section: str, part: Part | str, base: Any, mine: Any, theirs: Any) -> Any:
        """The merged value at `path`, or MISSING. `part` says which definitions stand here, or of which sort a plain value is."""
        if same(mine, theirs):
            return mine
        if same(mine, base):
            self._note(self.from_theirs, path, section, part, base, theirs)
            return theirs
        if same(theirs, base):
            self._note(self.from_mine, path, section, part, base, mine)
            return mine
        sides = [_or_empty(part, side) for side in (base, mine, theirs)]
        if part in WHOLE:
            return self._conflict(path, base, mine, theirs)
        if all(isinstance(side, list) for side in sides):
            return self._list(path, section, part, *sides) or (MISSING if mine is MISSING else [])
        if base is MISSING and not _is_definition(part):  # both began it: a text in two languages
            sides[0] = {}
        if all(isinstance(side, Mapping) for side in sides):
            return self._object(path, part, *sides) or (MISSING if mine is MISSING else {})
        return self._conflict(path, base, mine, theirs)

    def _conflict(self, path: str, base: Any, mine: Any, theirs: Any) -> Any:
        taken = {c.path for c in self.conflicts}
        while path in taken:  # entries without keys are told apart by their place, which is another on each side
            path += "~"
        self.conflicts.append(Conflict(path, base, mine, theirs))
        return theirs if self.choices.get(path) == THEIRS else mine

    # ---- objects --------------------------------------------------------------------------------------------------------

    def _object(self, path: str, part: Part | str, base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
        kind = part.kind if isinstance(part, Part) and part.form != "map" else None
        if kind is not None and _types_clash(kind, base, mine, theirs):
            return self._conflict(path, base, mine, theirs)
        result = {}
        for name in dict.fromkeys((*mine, *theirs, *base)):
            sides = (base.get(name, MISSING), mine.get(name, MISSING), theirs.get(name, MISSING))
            found = self.value(f"{path}.{name}" if path else name, name, _below(part, kind, name), *sides)
            if found is not MISSING:
                result[name] = found
        return result

    # ---- lists ----------------------------------------------------------------------------------------------------------

    def _list(self, path: str, section: str, part: Part | str, base: list[Any], mine: list[Any], theirs: list[Any]) -> Any:
        if all(ordering.is_plain(items) for items in (base, mine, theirs)):
            found = ordering.merge_sets(base, mine, theirs)
            if found is None:
                return self._conflict(path, base, mine, theirs)
            self.from_mine.append(path)
            self.from_theirs.append(path)
            return found
        names = ordering.identify(section, base, mine, theirs, loose=isinstance(part, Part) and part.kind == "menu")
        if names is None:
            return self._conflict(path, base, mine, theirs)
        return self._keyed(path, section, part, names, (base, mine, theirs))

    def _keyed(self, path: str, section: str, part: Part | str, names: Sequence[list[Hashable]], lists: Sequence[list[Any]]) -> list[Any]:
        sides = [dict(zip(ids, items, strict=True)) for ids, items in zip(names, lists, strict=True)]
        kept = {}
        for name in dict.fromkeys((*names[1], *names[2], *names[0])):
            here = f"{path}[{_shown(name, names)}]"
            found = self.value(here, section, _item(part), *(side.get(name, MISSING) for side in sides))
            if found is not MISSING:
                kept[name] = found
        order = ordering.merge_order(*names, kept)
        for side, ids in ((self.from_mine, names[1]), (self.from_theirs, names[2])):
            if ordering.moved(names[0], ids):
                side.append(path)
        return [kept[name] for name in order]

    # ---- what one side changed ------------------------------------------------------------------------------------------

    def _note(self, found: list[str], path: str, section: str, part: Part | str, base: Any, new: Any) -> None:
        """Add the paths below `path` at which `new` differs from `base`."""
        if same(base, new):
            return
        if isinstance(base, Mapping) and isinstance(new, Mapping) and part not in WHOLE:
            kind = part.kind if isinstance(part, Part) and part.form != "map" else None
            for name in dict.fromkeys((*new, *base)):
                here = f"{path}.{name}" if path else name
                self._note(found, here, name, _below(part, kind, name), base.get(name, MISSING), new.get(name, MISSING))
        elif isinstance(base, list) and isinstance(new, list) and (names := _keys(section, base, new)) is not None:
            before, after = (dict(zip(ids, items, strict=True)) for ids, items in zip(names, (base, new), strict=True))
            for name in dict.fromkeys((*after, *before)):
                self._note(found, f"{path}[{name}]", section, _item(part), before.get(name, MISSING), after.get(name, MISSING))
            if ordering.moved(*names):
                found.append(path)
        else:
            found.append(path)


def _or_empty(part: Part | str, value: Any) -> Any:
    """A list or map of definitions that is left out is an empty one."""
    if value is not MISSING or not isinstance(part, Part) or part.form == "one":
        return value
    return {} if part.form == "map" else []


def _below(part: Part | str, kind: str | None, name: str) -> Part | str:
    """What stands under a property, or under a key of a map."""
    if kind is not None:
        return anatomy.part_of(kind, name) or anatomy.sort_of(kind, name)
    return _item(part)


def _item(part: Part | str) -> Part | str:
    """What one entry of a list or map is."""
    if not isinstance(part, Part):
        return "plain"
    return "expression" if part.kind == "field_right" else Part(part.kind, "one", part.named)


def _is_definition(part: Part | str) -> bool:
    return isinstance(part, Part) and part.form == "one"


def _types_clash(kind: str, base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether one side made it another type while the other changed what only the old type has: no mixture would make sense."""
    if kind not in anatomy.TYPES:
        return False
    name = anatomy.TYPES[kind][0]
    if not same(base.get(name), mine.get(name)) and not same(base.get(name), theirs.get(name)):
        return not same(mine.get(name), theirs.get(name))
    changed, other = (mine, theirs) if not same(base.get(name), mine.get(name)) else (theirs, mine)
    if same(base.get(name), changed.get(name)):
        return False
    return any(
        not anatomy.is_common(kind, p) and not same(base.get(p, MISSING), other.get(p, MISSING)) and not same(changed.get(p, MISSING), other.get(p, MISSING))
        for p in dict.fromkeys((*base, *other))
    )


def _keys(section: str, *lists: list[Any]) -> list[list[Hashable]] | None:
    """The keys of the items of each list; None where one has none, or twice the same."""
    names = [[anatomy.key_of(section, item) for item in items] for items in lists]
    return None if any(None in ids or len(set(ids)) < len(ids) for ids in names) else names  # type: ignore[return-value]


def _shown(name: Hashable, names: Sequence[list[Hashable]]) -> Hashable:
    """How an item is named in a path: by its key, else by its place on my side, or where it stands at all."""
    if isinstance(name, str):
        return name
    return next(ids.index(name) for ids in (names[1], names[2], names[0]) if name in ids)
