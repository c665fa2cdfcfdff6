"""The difference of two bundles in plain words, each change judged: safe, needs_backfill or destructive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import LOCALE_NAMES, LazyString, lazy
from saas.metadata import evolve_fields
from saas.metadata import models as m
from saas.metadata.anatomy import ROOT, Part, default_of, key_of, part_of, property_schemas, sort_of
from saas.metadata.config import Config
from saas.metadata.definition_words import access_words, action_words, step_words, value_words
from saas.metadata.merge import same
from saas.metadata.naming import Apart, Joined, Lookup, Short, Text, definition_name, entity_of, place, titled
from saas.metadata.normal import normal
from saas.metadata.ordering import moved
from saas.metadata.property_words import ACCESS, noun, property_word
from saas.metadata.scopes import Change, Detail, Kind, Scope, Sides
from saas.metadata.unbuild import bundle_to_raw

__all__ = ["Change", "Detail", "Kind", "compare", "diff"]


def diff(old: m.Bundle, new: m.Bundle) -> list[Change]:
    """All changes from `old` to `new`, in the order of the bundle's sections."""
    return _compare(bundle_to_raw(old), bundle_to_raw(new), Config(old), Config(new))


def compare(old_raw: Mapping[str, Any], new_raw: Mapping[str, Any]) -> list[Change]:
    """All changes between two bundles' JSON, either of which may have problems: what cannot be understood is compared as JSON.
    Empty when they mean the same."""
    return _compare(old_raw, new_raw, None, None)


def _compare(old_raw: Any, new_raw: Any, before: Config | None, after: Config | None) -> list[Change]:
    old, new = normal(old_raw), normal(new_raw)
    if same(old, new):
        return []
    sides = Sides(Lookup(old), Lookup(new), old_raw, new_raw, before, after)
    return list(_inside(sides, Scope(ROOT, "", "", old, new)))


# ---- definitions --------------------------------------------------------------------------------------------------------


def _pair(sides: Sides, scope: Scope) -> Iterator[Change]:
    """What becomes of one definition."""
    if same(scope.old, scope.new):
        return
    if not _are(Mapping, scope.old, scope.new):
        values = ("" if side is None else str(side) for side in (scope.old, scope.new))
        yield scope.change(sides, "safe", lazy("changes"), details=(_detail(noun(scope.kind), *values),))
    elif scope.old is None:
        yield _added(sides, scope)
    elif scope.new is None:
        yield from _removed(sides, scope)
    else:
        yield from _inside(sides, scope)


def _added(sides: Sides, scope: Scope) -> Change:
    details = [d for n in _order(scope.kind, {}, scope.new) if not _is_in_title(scope.kind, n) for d in _details(sides, scope, n)]
    kind, what, message = evolve_fields.judge_new(sides, scope)
    return scope.change(sides, kind, what, message, details=details)


def _removed(sides: Sides, scope: Scope) -> Iterator[Change]:
    details = [d for n in _order(scope.kind, scope.old, {}) if not _is_in_title(scope.kind, n) for d in _details(sides, scope, n)]
    for judged in evolve_fields.judge_gone(sides, scope):
        yield scope.change(
            sides, judged.kind, lazy("is removed"), judged.message, details=details, entity=judged.entity, field=judged.field, stage=judged.stage, value=judged.value
        )  # fmt: skip


def _is_in_title(kind: str, name: str) -> bool:
    return name in ("key", "label") or (name == "entity" and kind in ("view", "layout"))


def _inside(sides: Sides, scope: Scope) -> Iterator[Change]:
    """The changes of a definition that was there before: those that weigh something for themselves, the others in one, then
    those of the definitions in it."""
    details: list[Detail] = []
    names: list[LazyString] = []
    nested: list[Change] = []
    for name in _order(scope.kind, scope.old, scope.new):
        old, new = scope.old.get(name), scope.new.get(name)
        part = part_of(scope.kind, name)
        if same(old, new):
            continue
        if part is not None and part.named and _is_part(part, old) and _is_part(part, new):
            nested.extend(_below(sides, scope, name, part, old, new))
            continue
        judged = evolve_fields.judge(sides, scope, name)
        own = tuple(_details(sides, scope, name))
        if judged is None:
            names.append(property_word(scope.kind, name, scope.definition))
            details.extend(own)
        else:
            path = f"{scope.path}.{name}"
            yield scope.change(sides, judged.kind, judged.what, judged.message, details=own, path=path, field=judged.field)
    if details:
        yield scope.change(sides, "safe", _what(scope, details, names), lazy("%(what)s changes: %(names)s.", what=sides.called(scope), names=Joined(names)), details=details)
    yield from evolve_fields.judge_whole(sides, scope)
    yield from nested


def _what(scope: Scope, details: list[Detail], names: list[LazyString]) -> LazyString:
    if len(details) == 1 and "active" in scope.new and scope.old.get("active") != scope.new["active"]:
        return lazy("is switched off")
    if len(details) == 1 and scope.old.get("active") is False and "active" not in scope.new:
        return lazy("is switched on")
    return lazy("changes in %(names)s", names=Joined(names))


def _order(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The properties of either side, as the schema orders them."""
    known = [n for n in property_schemas(kind) if n in old or n in new]
    return list(dict.fromkeys((*known, *new, *old)))


def _is_part(part: Part, value: Any) -> bool:
    """Whether a value has the form its part should have; missing is well-formed, too."""
    if value is None:
        return True
    return isinstance(value, list) if part.form in ("list", "steps") else isinstance(value, Mapping)


def _below(sides: Sides, outer: Scope, name: str, part: Part, old: Any, new: Any) -> Iterator[Change]:
    path = f"{outer.path}.{name}" if outer.path else name
    if part.form == "one":
        yield from _pair(sides, Scope(part.kind, path, "", old, new, None, noun(part.kind), outer))
        return
    before, after = (_by_key(name, part, value) for value in (old, new))
    for number, key in enumerate((*after, *(k for k in before if k not in after))):
        was, now = before.get(key), after.get(key)
        lookup, definition = (sides.new, now) if now is not None else (sides.old, was)
        plain = key.rpartition(":")[2] if name in ("views", "layouts") else key
        entity = entity_of(lookup, part.kind, definition, plain, outer.entity)
        label = definition_name(lookup, part.kind, definition, plain, entity, number)
        yield from _pair(sides, Scope(part.kind, f"{path}.{key}" if part.form == "map" else f"{path}[{key}]", plain, was, now, entity, label, outer))
    if part.form == "list" and moved(list(before), list(after)):
        yield _reordered(sides, outer, name, path, part, [k for k in before if k in after], [k for k in after if k in before], after)


def _by_key(section: str, part: Part, value: Any) -> dict[str, Any]:
    """Definitions by what they are called in paths; those without a key, and further ones with the same, by their place."""
    if part.form == "map":
        return {str(k): v for k, v in (value or {}).items()}
    found: dict[str, Any] = {}
    for number, item in enumerate(value or ()):
        key = key_of(section, item)
        if key is None and isinstance(item, Mapping) and "report" in item:
            key = f"({item.get('report')}:{item.get('widget')})"
        found[key if key is not None and key not in found else str(number)] = item
    return found


def _reordered(sides: Sides, outer: Scope, name: str, path: str, part: Part, before: list[str], after: list[str], definitions: Mapping[str, Any]) -> Change:
    def names(keys: list[str]) -> Text:
        entity = {k: entity_of(sides.new, part.kind, definitions[k], k, outer.entity) for k in keys}
        return Joined(definition_name(sides.new, part.kind, definitions[k], k.rpartition(":")[2], entity[k]) for k in keys)

    message = lazy("The order of the fields changes.") if part.kind == "field" else lazy("The order changes.")
    word = property_word(outer.kind, name)
    title = titled(place(*sides.names(outer), word), lazy("new order"))
    detail = _detail(lazy("Order"), names(before), names(after), before, after)
    return Change(path, "safe", message, outer.entity or "", noun=noun(part.kind), title=title, details=(detail,))


# ---- details ------------------------------------------------------------------------------------------------------------


def _detail(name: Text, before: Text, after: Text, raw: Any = None, new_raw: Any = None) -> Detail:
    return Detail(name, Apart(before, after, raw, new_raw), Apart(after, before, new_raw, raw))


def _details(sides: Sides, scope: Scope, name: str) -> Iterator[Detail]:
    """What happens to one property, in words."""
    old_raw, new_raw = scope.old or {}, scope.new or {}
    yield from _property(sides, scope.kind, name, old_raw, new_raw, scope.entity, whole=scope.old is None or scope.new is None)


def _property(sides: Sides, kind: str, name: str, old_raw: Any, new_raw: Any, entity: Any, *, whole: bool = False) -> Iterator[Detail]:
    old, new = old_raw.get(name), new_raw.get(name)
    word = property_word(kind, name, new_raw if name in new_raw else old_raw)
    part = part_of(kind, name)
    if sort_of(kind, name) == "label" and _are(Mapping, old, new):
        yield from _label(word, old or {}, new or {})
    elif part is not None and not part.named and _is_part(part, old) and _is_part(part, new):
        yield from _unnamed(sides, part, word, old, new, entity)
    elif part is not None and part.named and part.form in ("list", "map") and whole:
        shown = [value_words(side, kind, name, value, {}, entity) for side, value in ((sides.old, old), (sides.new, new))]
        yield Detail(word, *map(Short, shown))
    else:
        before = _shown(sides.old, kind, name, old_raw, entity, absent=whole and not old_raw)
        after = _shown(sides.new, kind, name, new_raw, entity, absent=whole and not new_raw)
        yield _detail(word, before, after, old, new)


def _shown(lookup: Lookup, kind: str, name: str, raw: Mapping[str, Any], entity: Any, *, absent: bool) -> Text:
    """A property's value, what it means when it is left out; nothing where there is no definition at all."""
    if absent:
        return ""
    value = raw.get(name)
    return value_words(lookup, kind, name, default_of(kind, name, raw) if value is None else value, raw, entity)


def _are(kind: type, *values: Any) -> bool:
    return all(v is None or isinstance(v, kind) for v in values)


def _label(word: LazyString, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Detail]:
    """One detail for each language that differs."""
    languages = [k for k in dict.fromkeys((*old, *new)) if not same(old.get(k), new.get(k))]
    for language in languages:
        name = lazy("%(name)s (%(language)s)", name=word, language=LOCALE_NAMES.get(language, language))
        yield _detail(name, str(old.get(language) or ""), str(new.get(language) or ""))


def _unnamed(sides: Sides, part: Part, word: LazyString, old: Any, new: Any, entity: Any) -> Iterator[Detail]:
    """Small definitions inside a definition: told as its details."""
    if part.form == "one" and _are(Mapping, old, new):
        here = entity_of(sides.new, part.kind, new or old, "", entity)
        for name in _order(part.kind, old or {}, new or {}):
            if not same((old or {}).get(name), (new or {}).get(name)):
                yield from _property(sides, part.kind, name, old or {}, new or {}, here, whole=not old or not new)
    elif part.form == "map":
        for key in dict.fromkeys((*(old or {}), *(new or {}))):
            before, after = (old or {}).get(key), (new or {}).get(key)
            if not same(before, after):
                name = sides.new.field_name(entity, key) if after is not None else sides.old.field_name(entity, key)
                shown = [access_words(side, v, entity) if v is not None else ACCESS["write"] for side, v in ((sides.old, before), (sides.new, after))]
                yield _detail(lazy("Right on “%(field)s”", field=name), *shown, before, after)
    elif part.form == "list":
        yield _detail(word, *(value_words(s, "example", "records", v or [], {}, entity) for s, v in ((sides.old, old), (sides.new, new))), old, new)
    else:
        yield from _steps(sides, part, word, old or [], new or [], entity)


def _steps(sides: Sides, part: Part, word: LazyString, old: list[Any], new: list[Any], entity: Any) -> Iterator[Detail]:
    """Entry by entry where as many stand there as before, else all of them."""
    before, after = (_step_texts(side, part, value, entity) for side, value in ((sides.old, old), (sides.new, new)))
    if len(old) != len(new):
        yield _detail(word, Joined(before, lazy("; ")), Joined(after, lazy("; ")), old, new)
        return
    for number, (was, now) in enumerate(zip(old, new, strict=True)):
        if not same(was, now):
            name = word if len(new) == 1 else lazy("%(name)s, number %(number)s", name=word, number=number + 1)
            yield _detail(name, before[number], after[number], was, now)


def _step_texts(lookup: Lookup, part: Part, value: list[Any], entity: Any) -> list[Text]:
    if part.kind == "action":
        return [action_words(lookup, a, entity, e) for a, e in zip(value, lookup.action_entities(entity, value), strict=True)]
    return [step_words(lookup, part.kind, v, entity_of(lookup, part.kind, v, "", entity)) for v in value]
