"""What a change means for the records: which changes weigh more than the rest, and how grave they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from saas.i18n import LazyString, lazy
from saas.metadata import models as m
from saas.metadata.anatomy import is_common
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.merge import same
from saas.metadata.naming import Joined, Lookup, Name, items, texts
from saas.metadata.property_words import choice_word, property_word
from saas.metadata.scopes import Change, Kind, Scope, Sides


class Judged(NamedTuple):
    """`what` in few words, `message` as a sentence; the rest says which records it touches."""

    kind: Kind
    what: LazyString
    message: LazyString
    entity: str | None = None
    field: str | None = None
    stage: str | None = None
    value: str | None = None


# ---- new definitions ----------------------------------------------------------------------------------------------------


def judge_new(sides: Sides, scope: Scope) -> tuple[Kind, LazyString, LazyString]:
    """(kind, what, message) of a definition that was not there before."""
    called, new = sides.called(scope), scope.definition
    if scope.kind == "field":
        computed = (kind := field_types.find(str(new.get("type")))) is not None and kind.computed
        if new.get("required") and new.get("default") is None and not computed:
            return "needs_backfill", lazy("is new and must be filled"), lazy("%(what)s is new and required; existing records have no value yet.", what=called)
        return ("needs_backfill" if new.get("type") in ("rollup", "pipeline") else "safe"), lazy("is new"), lazy("%(what)s is new.", what=called)
    if scope.kind == "pipeline":
        return "needs_backfill", lazy("is new"), lazy("%(what)s is new; existing records start in its first stage.", what=called)
    if scope.kind == "unique":
        message = lazy("Records must now be unique by %(fields)s; existing ones are checked.", fields=_unique_fields(sides.new, scope, new))
        return "needs_backfill", lazy("is new"), message
    return "safe", lazy("is new"), lazy("%(what)s is new.", what=called)


def _unique_fields(lookup: Lookup, scope: Scope, raw: Mapping[str, Any]) -> Joined:
    return Joined(lookup.field_name(scope.entity, f) for f in texts(raw.get("fields")))


# ---- definitions that go ------------------------------------------------------------------------------------------------


def judge_gone(sides: Sides, scope: Scope) -> Iterator[Judged]:
    """Usually one; an option's removal counts for each field that may hold it."""
    what, called, old = lazy("is removed"), sides.called(scope), scope.definition
    goes = lazy("%(what)s goes.", what=called)
    if scope.kind == "entity":
        yield Judged("destructive", what, lazy("%(what)s goes; its records are no longer shown.", what=called))
    elif scope.kind == "field":
        kind = field_types.find(str(old.get("type")))
        computed = kind is not None and kind.computed
        message = lazy("%(what)s goes; its values are kept for a return, but no longer shown.", what=called)
        yield Judged("safe" if computed else "destructive", what, goes if computed else message, field=scope.key)
    elif scope.kind == "unique":
        yield Judged("safe", what, lazy("Records need no longer be unique by %(fields)s.", fields=_unique_fields(sides.old, scope, old)))
    elif scope.kind == "pipeline":
        yield Judged("destructive", what, lazy("%(what)s goes; records lose their stage.", what=called))
    elif scope.kind == "stage":
        yield Judged("destructive", what, lazy("%(what)s goes; records in it have no stage until they are moved.", what=called), stage=scope.key)
    elif scope.kind == "role":
        yield Judged("safe", what, lazy("%(what)s goes; people who had only it lose their rights.", what=called))
    elif scope.kind == "option":
        yield from _option_gone(sides, scope) or [Judged("safe", what, goes)]
    else:
        yield Judged("safe", what, goes)


def _option_gone(sides: Sides, scope: Scope) -> list[Judged]:
    """For each field that may hold it, in both bundles, and does not offer it any more."""
    found = []
    for entity, field in _holders(sides.old, scope):
        after = sides.new.field(entity, field["key"])
        if after is None or any(o.get("key") == scope.key for o in sides.new.options(after)[1]):
            continue
        message = lazy(
            "“%(option)s” goes, but records may hold it in “%(field)s”. Switch it off instead to keep it for them.",
            option=scope.name, field=sides.old.field_name(entity, field["key"]),
        )  # fmt: skip
        value = scope.key if field.get("type") == "option" else None
        found.append(Judged("destructive", lazy("is removed"), message, entity, field["key"], value=value))
    return found


def _holders(lookup: Lookup, scope: Scope) -> Iterator[tuple[str, Mapping[str, Any]]]:
    outer = scope.outer
    if outer is not None and outer.kind == "field":
        yield str(scope.entity), {"key": outer.key, **outer.definition}
        return
    for entity, raw in lookup.section("entities").items():
        for field in items(raw, "fields"):
            if outer is not None and field.get("set") == outer.key and isinstance(field.get("key"), str):
                yield entity, field


# ---- properties ---------------------------------------------------------------------------------------------------------


def judge(sides: Sides, scope: Scope, name: str) -> Judged | None:
    """What a property's change weighs; None for what is safe and told with the rest."""
    if scope.kind == "field":
        return _field(sides, scope, name)
    return _OTHERS[scope.kind, name](sides, scope) if (scope.kind, name) in _OTHERS else None


def _search(sides: Sides, scope: Scope) -> Judged:
    return Judged("needs_backfill", lazy("other fields are searched"), lazy("Other fields are searched; the index is built again."))


def _owned(sides: Sides, scope: Scope) -> Judged:
    if scope.new.get("owned", True):
        return Judged("needs_backfill", lazy("records get an owner"), lazy("Records get an owner."))
    return Judged("destructive", lazy("records no longer have an owner"), lazy("Records no longer have an owner."))


def _unique_rule(sides: Sides, scope: Scope) -> Judged:
    message = lazy("Records must now be unique by %(fields)s; existing ones are checked.", fields=_unique_fields(sides.new, scope, scope.new))
    return Judged("needs_backfill", lazy("is checked again"), message)


def _pipeline_of(sides: Sides, scope: Scope) -> Judged:
    return Judged("destructive", lazy("belongs to other records"), lazy("%(what)s belongs to other records; those it had lose their stage.", what=sides.called(scope)))


_OTHERS: Mapping[tuple[str, str], Callable[[Sides, Scope], Judged]] = {
    ("entity", "search"): _search,
    ("entity", "owned"): _owned,
    ("unique", "fields"): _unique_rule,
    ("unique", "when"): _unique_rule,
    ("pipeline", "entity"): _pipeline_of,
}

# A stricter limit: how to compare, for values where "no limit" is None.
_TIGHTER = {"max_length": -1, "max": -1, "min_length": 1, "min": 1, "scale": -1, "max_mb": -1}
_RECOMPUTED = ("of", "fn", "field", "where")


def _field(sides: Sides, scope: Scope, name: str) -> Judged | None:
    called, old, new = sides.called(scope), scope.old, scope.new
    if name == "type":
        return _type(called, scope)
    if name == "required" and new.get("required"):
        text = lazy("%(what)s becomes required; records without a value stay as they are until they are edited.", what=called)
        return Judged("needs_backfill", lazy("becomes required"), text)
    if name == "unique" and new.get("unique"):
        text = lazy("Records must now be unique by %(fields)s; existing ones are checked.", fields=scope.name)
        return Judged("needs_backfill", lazy("no two records may share a value"), text)
    if old.get("type") != new.get("type") or is_common("field", name):
        return None
    if name in _TIGHTER or name == "pattern":
        return _limit(called, scope, name)
    if name in ("set", "options", "pipeline"):
        return _choices(sides, called, scope)
    if name == "to":
        text = lazy("%(what)s points to another kind of record; its values cannot be kept.", what=called)
        return Judged("destructive", lazy("points to another kind of record"), text, field=scope.key)
    if name in _RECOMPUTED and new.get("type") == "rollup":
        return Judged("needs_backfill", lazy("is computed differently"), lazy("%(what)s is computed differently; all records are computed again.", what=called))
    if name == "currency":
        return Judged("needs_backfill", lazy("changes its currency"), lazy("%(what)s changes its currency; amounts are not converted.", what=called), field=scope.key)
    return None


def _type(called: LazyString, scope: Scope) -> Judged:
    names = [choice_word("field", "type", side.get("type")) or Name(None, str(side.get("type"))) for side in (scope.old, scope.new)]
    what = lazy("changes its type from %(old)s to %(new)s", old=names[0], new=names[1])
    before, after = (field_types.find(str(side.get("type"))) for side in (scope.old, scope.new))
    if after is not None and after.computed and before is not None and not before.computed:
        text = lazy("%(what)s is computed from now on; the values typed in so far are kept for a return, but no longer shown.", what=called)
        return Judged("destructive", what, text, field=scope.key)
    text = lazy("%(what)s changes its type from %(old)s to %(new)s; existing values are converted in the background.", what=called, old=names[0], new=names[1])
    return Judged("needs_backfill", what, text, field=scope.key)


def _limit(called: LazyString, scope: Scope, name: str) -> Judged | None:
    a, b = scope.old.get(name), scope.new.get(name)
    word = property_word("field", name, scope.definition)
    if b is None or not _is_tighter(name, a, b):
        return Judged("safe", lazy("allows more: %(name)s", name=word), lazy("%(what)s allows more: %(name)s.", what=called, name=word))
    text = lazy(
        "%(what)s allows less: %(name)s is now %(value)s. Existing values stay until they are edited.", what=called, name=word, value=choice_word("field", name, b) or b
    )  # fmt: skip
    return Judged("needs_backfill", lazy("allows less: %(name)s", name=word), text, field=scope.key)


def _is_tighter(name: str, a: Any, b: Any) -> bool:
    if a is None or name == "pattern":
        return True
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return (b - a) * _TIGHTER[name] > 0
    if isinstance(a, str) and isinstance(b, str) and a[:1].isdigit() and b[:1].isdigit():
        return b < a if name == "max" else b > a
    return True  # a limit that is computed may turn out to be stricter


def _choices(sides: Sides, called: LazyString, scope: Scope) -> Judged | None:
    after = {o.get("key") for o in sides.new.options(scope.new)[1]}
    gone = [o for o in sides.old.options(scope.old)[1] if o.get("key") not in after]
    if not gone:
        return None
    names = Joined(Name(o.get("label"), str(o.get("key"))) for o in gone)
    return Judged("destructive", lazy("loses choices"), lazy("%(what)s loses choices that records may hold: %(names)s.", what=called, names=names), field=scope.key)


# ---- how a field is stored ----------------------------------------------------------------------------------------------


def judge_whole(sides: Sides, scope: Scope) -> Iterator[Change]:
    """A field of the same type that is stored in another way: its values move."""
    if scope.kind != "field" or scope.old.get("type") != scope.new.get("type") or not any(not is_common("field", n) for n in _changed(scope)):
        return
    outer = scope.outer.key if scope.outer is not None else ""
    storages = [_storage(config, outer, scope.key) for config in (sides.before, sides.after)]
    if None not in storages and storages[0] != storages[1]:
        text = lazy("%(what)s is stored differently; its values are moved in the background.", what=sides.called(scope))
        yield scope.change(sides, "needs_backfill", lazy("is stored differently"), text, field=scope.key)


def _changed(scope: Scope) -> list[str]:
    return [n for n in dict.fromkeys((*scope.old, *scope.new)) if not same(scope.old.get(n), scope.new.get(n))]


def _storage(config: Config | None, entity: str, key: str) -> str | None:
    fields: Mapping[str, m.FieldDef] = config.entities[entity].declared if config is not None and entity in config.entities else {}
    kind = field_types.find(fields[key].type) if key in fields else None
    try:
        return kind.storage_of(fields[key], config) if kind is not None and config is not None else None
    except (KeyError, TypeError, AttributeError, RecursionError):  # points to something that is missing
        return None
