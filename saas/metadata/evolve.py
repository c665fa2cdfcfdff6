"""The difference of two bundles in plain words, each change judged: safe, needs_backfill or destructive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from saas.i18n import LazyString, lazy
from saas.metadata import models as m
from saas.metadata.config import Config
from saas.metadata.kinds import field_types

Kind = Literal["safe", "needs_backfill", "destructive"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `records` is how many records it touches, None where that was not counted (10,000 = at least that many);
    `field`, `stage` and `value` say which of the entity's records those are."""

    path: str
    kind: Kind
    message: LazyString
    entity: str = ""
    field: str | None = None
    stage: str | None = None
    value: str | None = None
    records: int | None = None

    def with_records(self, count: int) -> Change:
        return replace(self, records=count)


def diff(old: m.Bundle, new: m.Bundle) -> list[Change]:
    """All changes from `old` to `new`, in the order of the bundle's sections."""
    before, after = Config(old), Config(new)
    changes: list[Change] = []
    for section in (f.name for f in fields(m.Bundle)):
        if section in _SPECIAL:
            changes.extend(_SPECIAL[section](before, after))
        elif section != "pack":
            changes.extend(_plain_section(section, getattr(old, section), getattr(new, section)))
        elif old.pack != new.pack:
            changes.append(Change("pack", "safe", lazy("The name or version of the pack changes.")))
    return changes


NOUNS: Mapping[str, tuple[LazyString, LazyString, LazyString]] = {
    "settings": (lazy("Setting “%(key)s” is new."), lazy("Setting “%(key)s” changes."), lazy("Setting “%(key)s” goes.")),
    "departments": (lazy("Department “%(key)s” is new."), lazy("Department “%(key)s” changes."), lazy("Department “%(key)s” goes.")),
    "roles": (lazy("Role “%(key)s” is new."), lazy("Role “%(key)s” changes."), lazy("Role “%(key)s” goes; people who had only it lose their rights.")),
    "views": (lazy("View “%(key)s” is new."), lazy("View “%(key)s” changes."), lazy("View “%(key)s” goes.")),
    "layouts": (lazy("Layout “%(key)s” is new."), lazy("Layout “%(key)s” changes."), lazy("Layout “%(key)s” goes.")),
    "reports": (lazy("Report “%(key)s” is new."), lazy("Report “%(key)s” changes."), lazy("Report “%(key)s” goes.")),
    "dashboards": (lazy("Dashboard “%(key)s” is new."), lazy("Dashboard “%(key)s” changes."), lazy("Dashboard “%(key)s” goes.")),
    "automations": (lazy("Automation “%(key)s” is new."), lazy("Automation “%(key)s” changes."), lazy("Automation “%(key)s” goes.")),
    "schedules": (lazy("Schedule “%(key)s” is new."), lazy("Schedule “%(key)s” changes."), lazy("Schedule “%(key)s” goes.")),
    "examples": (lazy("Example “%(key)s” is new."), lazy("Example “%(key)s” changes."), lazy("Example “%(key)s” goes.")),
}


def _pairs(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[str, Any, Any]]:
    """(key, before or None, after or None), in the new order, what went at the end."""
    before, after = {_key(d): d for d in old}, {_key(d): d for d in new}
    for key in (*after, *(k for k in before if k not in after)):
        yield key, before.get(key), after.get(key)


def _key(definition: Any) -> str:
    return f"{definition.entity}:{definition.key}" if isinstance(definition, (m.ViewDef, m.LayoutDef)) else definition.key


def _plain_section(section: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    added, changed, removed = NOUNS[section]
    for key, before, after in _pairs(old, new):
        text = added if before is None else removed if after is None else changed
        if before != after:
            yield Change(f"{section}[{key}]", "safe", lazy(text.message, key=key))
    kept = [_key(d) for d in new if _key(d) in {_key(o) for o in old}]
    if kept != [_key(d) for d in old if _key(d) in set(kept)]:
        yield Change(section, "safe", lazy("The order changes."))


# ---- entities and fields ------------------------------------------------------------------------------------------------


def _entities(before: Config, after: Config) -> Iterator[Change]:
    for key, old, new in _pairs(before.bundle.entities, after.bundle.entities):
        path = f"entities[{key}]"
        if old is None:
            yield Change(path, "safe", lazy("Entity “%(key)s” is new.", key=key), key)
        elif new is None:
            yield Change(path, "destructive", lazy("Entity “%(key)s” goes; its records are no longer shown.", key=key), key)
        else:
            yield from _entity(path, old, new, before, after)


def _entity(path: str, old: m.EntityDef, new: m.EntityDef, before: Config, after: Config) -> Iterator[Change]:
    for key, was, now in _pairs(old.fields, new.fields):
        yield from _field(f"{path}.fields[{key}]", new.key, was, now, before, after)
    for key, was, now in _pairs(old.unique, new.unique):
        if now is not None and was != now and (was is None or (was.fields, was.when) != (now.fields, now.when)):
            text = lazy("Records must now be unique by %(fields)s; existing ones are checked.", fields=", ".join(now.fields))
            yield Change(f"{path}.unique[{key}]", "needs_backfill", text, new.key)
        elif now is None:
            yield Change(f"{path}.unique[{key}]", "safe", lazy("Records need no longer be unique by %(fields)s.", fields=", ".join(was.fields)), new.key)
    if old.search != new.search:
        yield Change(f"{path}.search", "needs_backfill", lazy("Other fields are searched; the index is built again."), new.key)
    if old.owned != new.owned:
        text = lazy("Records get an owner.") if new.owned else lazy("Records no longer have an owner.")
        yield Change(f"{path}.owned", "needs_backfill" if new.owned else "destructive", text, new.key)
    handled = {"fields", "unique", "search", "owned"}
    names = [f.name for f in fields(m.EntityDef) if f.name not in handled and getattr(old, f.name) != getattr(new, f.name)]
    if names:
        yield Change(path, "safe", lazy("“%(key)s” changes: %(names)s.", key=new.key, names=", ".join(names)), new.key)
    kept = [f.key for f in new.fields if f.key in {o.key for o in old.fields}]
    if kept != [f.key for f in old.fields if f.key in set(kept)]:
        yield Change(f"{path}.fields", "safe", lazy("The order of the fields changes."), new.key)


def _field(path: str, entity: str, old: m.FieldDef | None, new: m.FieldDef | None, before: Config, after: Config) -> Iterator[Change]:
    if old == new:
        return
    if old is None and new is not None:
        required = new.required and new.default is None and not field_types.get(new.type).computed
        kind: Kind = "needs_backfill" if required or new.type in ("rollup", "pipeline") else "safe"
        text = lazy("Field “%(key)s” is new and required; existing records have no value yet.", key=new.key) if required else lazy("Field “%(key)s” is new.", key=new.key)
        yield Change(path, kind, text, entity)
    elif new is None and old is not None:
        computed = field_types.get(old.type).computed
        text = lazy("Field “%(key)s” goes; its values are kept for a return, but no longer shown.", key=old.key)
        yield Change(path, "safe" if computed else "destructive", text, entity, old.key)
    elif old is not None and new is not None:
        yield from _field_change(path, entity, old, new, before, after)


def _field_change(path: str, entity: str, old: m.FieldDef, new: m.FieldDef, before: Config, after: Config) -> Iterator[Change]:
    key = new.key
    if old.type != new.type:
        same = _storage(old, before) == _storage(new, after)
        text = lazy("Field “%(key)s” changes its type from %(old)s to %(new)s.", key=key, old=old.type, new=new.type)
        if not same:
            text = lazy("Field “%(key)s” changes its type from %(old)s to %(new)s; its values cannot be kept.", key=key, old=old.type, new=new.type)
        yield Change(f"{path}.type", "needs_backfill" if same else "destructive", text, entity, key)
        return
    if new.required and not old.required:
        yield Change(f"{path}.required", "needs_backfill", lazy("Field “%(key)s” becomes required; records without a value stay as they are until they are edited.", key=key), entity)
    if _storage(old, before) != _storage(new, after):
        yield Change(path, "destructive", lazy("Field “%(key)s” is stored differently; its values cannot be kept.", key=key), entity, key)
    for name in _names(old.options, new.options):
        yield _option_change(path, entity, name, old, new, before, after)
    names = [f.name for f in fields(m.FieldDef) if f.name not in ("options", "required") and getattr(old, f.name) != getattr(new, f.name)]
    if names or (old.required and not new.required):
        names += ["required"] if old.required and not new.required else []
        yield Change(path, "safe", lazy("Field “%(key)s” changes: %(names)s.", key=key, names=", ".join(names)), entity)


def _names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [n for n in dict.fromkeys((*old, *new)) if old.get(n) != new.get(n)]


# A stricter limit: (how to compare, for values where "no limit" is None)
_TIGHTER = {"max_length": -1, "max": -1, "min_length": 1, "min": 1, "scale": -1, "max_mb": -1}
_RECOMPUTED = ("expr", "of", "fn", "field", "where")


def _option_change(path: str, entity: str, name: str, old: m.FieldDef, new: m.FieldDef, before: Config, after: Config) -> Change:
    path, a, b = f"{path}.{name}", old.options.get(name), new.options.get(name)
    if name in _TIGHTER:
        tighter = a is None or (isinstance(a, (int, float)) and isinstance(b, (int, float)) and (b - a) * _TIGHTER[name] > 0)
        if b is None or not tighter:
            return Change(path, "safe", lazy("Field “%(key)s” allows more: %(name)s.", key=new.key, name=name), entity)
        return Change(path, "needs_backfill", lazy("Field “%(key)s” allows less: %(name)s is now %(value)s. Existing values stay until they are edited.", key=new.key, name=name, value=b), entity, new.key)
    if name in ("set", "options"):
        gone = {o.key for o in before.field_options(old)} - {o.key for o in after.field_options(new)}
        if gone:
            return Change(path, "destructive", lazy("Field “%(key)s” loses choices that records may hold: %(names)s.", key=new.key, names=", ".join(sorted(gone))), entity, new.key)
        return Change(path, "safe", lazy("Field “%(key)s” changes its choices.", key=new.key), entity)
    if name == "to":
        return Change(path, "destructive", lazy("Field “%(key)s” points to another kind of record; its values cannot be kept.", key=new.key), entity, new.key)
    if name in _RECOMPUTED and new.type == "rollup":
        return Change(path, "needs_backfill", lazy("Field “%(key)s” is computed differently; all records are computed again.", key=new.key), entity)
    if name == "currency":
        return Change(path, "needs_backfill", lazy("Field “%(key)s” changes its currency; amounts are not converted.", key=new.key), entity, new.key)
    return Change(path, "safe", lazy("Field “%(key)s” changes: %(names)s.", key=new.key, names=name), entity)


def _storage(field: m.FieldDef, config: Config) -> str:
    return field_types.get(field.type).storage_of(field, config)


# ---- option sets and pipelines ------------------------------------------------------------------------------------------


def _option_sets(before: Config, after: Config) -> Iterator[Change]:
    for key, old, new in _pairs(before.bundle.option_sets, after.bundle.option_sets):
        path = f"option_sets[{key}]"
        if old is None:
            yield Change(path, "safe", lazy("Option set “%(key)s” is new.", key=key))
        elif new is None:
            yield Change(path, "safe", lazy("Option set “%(key)s” goes.", key=key))
        elif old != new:
            gone = [o.key for o in old.options if o.key not in {n.key for n in new.options}]
            for option in gone:
                yield from _lost_option(before, after, key, option)
            yield Change(path, "safe", lazy("Option set “%(key)s” changes.", key=key))


def _lost_option(before: Config, after: Config, set_key: str, option: str) -> Iterator[Change]:
    for entity in before.bundle.entities:
        for field in entity.fields:
            if field.options.get("set") == set_key and entity.key in after.entities and field.key in after.entities[entity.key].declared:
                text = lazy("“%(option)s” goes, but records may hold it in “%(field)s”. Set \"active\": false to keep it for them.", option=option, field=field.key)
                path = f"option_sets[{set_key}].options[{option}]"
                yield Change(path, "destructive", text, entity.key, field.key, value=option if field.type == "option" else None)


def _pipelines(before: Config, after: Config) -> Iterator[Change]:
    for key, old, new in _pairs(before.bundle.pipelines, after.bundle.pipelines):
        path = f"pipelines[{key}]"
        if old is None:
            yield Change(path, "needs_backfill", lazy("Pipeline “%(key)s” is new; existing records start in its first stage.", key=key), new.entity)
        elif new is None:
            yield Change(path, "destructive", lazy("Pipeline “%(key)s” goes; records lose their stage.", key=key), old.entity)
        elif old != new:
            for stage in (s.key for s in old.stages if new.stage(s.key) is None):
                text = lazy("Stage “%(key)s” goes; records in it have no stage until they are moved.", key=stage)
                yield Change(f"{path}.stages[{stage}]", "destructive", text, old.entity, stage=stage)
            yield Change(path, "safe", lazy("Pipeline “%(key)s” changes.", key=key), new.entity)


_SPECIAL = {"entities": _entities, "option_sets": _option_sets, "pipelines": _pipelines}
