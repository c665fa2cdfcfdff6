"""Fixes that belong to one kind of problem: what its message asks for, done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LOCALES, LazyString, lazy, use_locale
from saas.metadata.anatomy import property_schemas, type_property
from saas.metadata.edits import key_for
from saas.metadata.fix_places import Offers, Place
from saas.metadata.mentions import mentions_of
from saas.metadata.naming import Name, items
from saas.metadata.property_words import property_word
from saas.metadata.removal import take_out
from saas.metadata.semantics import TITLE_TYPES

# Problems that are solved without giving the definition up.
HARMLESS = frozenset(("missing_language", "min_above_max", "bad_default", "computed_input", "never_filled", "set_null_required", "external_admin", "no_admin", "duplicate_key", "circle", "no_final_stage", "not_storable"))


def offers(place: Place, problem: DefinitionProblem) -> Offers:
    make = _RULES.get(problem.code)
    if make is not None:
        yield from make(place)


def _change(key: str, label: LazyString, place: Place, change: Callable[[dict[str, Any]], Any]) -> tuple[str, LazyString, Callable[[], dict[str, Any]]]:
    return key, label, lambda: place.changed(change)


def _drop(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(definition: dict[str, Any]) -> None:
        for name in names:
            definition.pop(name, None)

    return change


# ---- fields -------------------------------------------------------------------------------------------------------------


def _never_filled(place: Place) -> Offers:
    yield _change("optional", lazy("It need not be filled"), place, _drop("required"))
    yield _change("editable", lazy("Let people edit it"), place, _drop("read_only"))


def _computed_input(place: Place) -> Offers:
    yield _change("computed", lazy("Leave it to the computation: neither required nor a default"), place, _drop("required", "required_if", "default"))


def _set_null_required(place: Place) -> Offers:
    yield _change("restrict", lazy("Do not let the other record be deleted"), place, lambda d: d.update(on_delete="restrict"))
    yield _change("optional", lazy("It need not be filled"), place, _drop("required"))


def _bad_default(place: Place) -> Offers:
    if place.kind == "setting":
        yield _change("empty", lazy("Remove the default value"), place, lambda d: d.update(default=None))
    else:
        yield _change("empty", lazy("Remove the default value"), place, _drop("default"))


def _min_above_max(place: Place) -> Offers:
    low = place.name or "min"
    high = low.replace("min", "max")

    def swap(definition: dict[str, Any]) -> None:
        if low in definition and high in definition:
            definition[low], definition[high] = definition[high], definition[low]
        else:  # one of them is what the type assumes
            definition.pop(low, None)
            definition.pop(high, None)

    yield _change("swap", lazy("Swap the two"), place, swap)


def _choices(place: Place) -> Offers:
    if place.definition.get("set") and place.definition.get("options"):
        yield _change("set", lazy("Keep those of the option list"), place, _drop("options"))
        yield _change("options", lazy("Keep the field's own"), place, _drop("set"))


def _inverse_taken(place: Place) -> Offers:
    field = next((s for s in place.spots if s.kind == "field"), None)
    entity = next((s for s in place.spots if s.kind == "entity"), None)
    if field is not None and entity is not None:
        fresh = f"{entity.raw.get('key')}_{field.raw.get('key')}"[:48]
        if (field.raw.get("inverse") or {}).get("key") != fresh:
            label = lazy("Give the list on the other side a key of its own")
            yield "key", label, lambda: place.changed(lambda d: d.update(inverse={**(d.get("inverse") or {}), "key": fresh}), len(field.at))


def _missing(place: Place) -> Offers:
    """Something that must be said is not: what people would most likely say."""
    name = place.missing[-1] if place.missing else ""
    if place.kind == "transition" and name == "guard_message":
        yield _change("text", lazy("Tell people: “This is not possible yet.”"), place, lambda d: d.update(guard_message=_in_all(_NOT_YET)))
    elif name in ("field",) and place.kind in ("field", "measure"):
        yield _change("count", lazy("Count the records instead"), place, lambda d: d.update(fn="count"))
    elif name == "dimensions":
        yield _change("month", lazy("Group by the month of creation"), place, lambda d: d.update(dimensions=[{"field": "created_at", "bucket": "month"}]))
    elif name == "board":
        yield _change("list", lazy("Show it as a list"), place, _drop("kind", "board"))
    elif name == "format" and place.kind == "bundle":
        yield from _format(place)
    elif name == "roles" and place.kind == "bundle":
        role = {"key": "admin", "label": {"en": "Administrator", "zh_CN": "管理员"}, "admin": True}
        yield _change("admin", lazy("Add a role that has every right"), place, lambda d: d.update(roles=[role]))
    elif name == "pack" and place.kind == "bundle":
        pack = {"key": "custom", "version": "1.0.0", "label": {"en": "Custom", "zh_CN": "自定义"}}
        yield _change("pack", lazy("Name it anew"), place, lambda d: d.update(pack=pack))
    elif name in ("label", "plural", "message") and place.is_known_label(name):
        text = str(place.definition.get("key") or "?")
        yield _change("text", lazy("Use the key as its name"), place, lambda d: d.update({name: dict.fromkeys(LOCALES, text)}))


def _format(place: Place) -> Offers:
    if place.kind == "bundle" and place.name == "format":
        yield _change("format", lazy("Write it in the format of today"), place, lambda d: d.update(format=1))


def _label(place: Place) -> Offers:
    """A text that is not given per language."""
    name = place.name
    if name is not None and place.is_known_label(name) and len(place.rest) == 1:
        text = place.value if isinstance(place.value, str) and place.value else str(place.definition.get("key") or "?")
        yield _change("text", lazy("Use “%(name)s” in every language", name=text), place, lambda d: d.update({name: dict.fromkeys(LOCALES, text[:200])}))


def _not_storable(place: Place) -> Offers:
    if isinstance(place.value, str):
        text = re.sub("[\x00\ud800-\udfff]", "", place.value) or "?"
        yield "clean", lazy("Remove the invisible character"), lambda: place.written(text)


def _key(place: Place) -> Offers:
    """Another key for a definition that cannot be called as it is."""
    if place.name != "key" or not place.is_exact:
        return
    holder = place.at(place.spot.at[:-1])
    taken = [str(i.get("key")) for i in holder if isinstance(i, Mapping)] if isinstance(holder, list) else []
    fresh = key_for({"en": f"{place.value} value" if str(place.value).isidentifier() else str(place.value)}, taken, "item")
    yield "key", lazy("Use the key “%(name)s”", name=fresh), lambda: place.written(fresh)


def _not_a_number(place: Place) -> Offers:
    if place.kind in ("field", "measure") and place.name == "field":
        yield "count", lazy("Count the records instead"), lambda: place.changed(lambda d: d.update(fn="count") or d.pop("field", None))


_NOT_YET = lazy("This is not possible yet.")


def _in_all(text: LazyString) -> dict[str, str]:
    found = {}
    for locale in LOCALES:
        with use_locale(locale):
            found[locale] = str(text)
    return found


# ---- keys ---------------------------------------------------------------------------------------------------------------


def _duplicate_key(place: Place) -> Offers:
    """The path names the first of several."""
    holder, key = place.pointer[:-1], place.missing
    if not place.is_exact or not isinstance(place.pointer[-1], int) or key:
        return
    list_ = place.at(holder)
    first = list_[place.pointer[-1]]
    same = [n for n, i in enumerate(list_) if isinstance(i, Mapping) and (i.get("key"), i.get("entity")) == (first.get("key"), first.get("entity"))]
    yield "first", lazy("Keep the first, remove the others"), lambda: _without(place, holder, same[1:])
    yield "last", lazy("Keep the last, remove the others"), lambda: _without(place, holder, same[:-1])


def _without(place: Place, holder: tuple[str | int, ...], numbers: list[int]) -> dict[str, Any]:
    """Entries of a list taken out, with nothing else: what refers to the key means the one that stays."""

    def change(items_: Any) -> None:
        for number in sorted(numbers, reverse=True):
            del items_[number]

    return place.changed(change, len(holder))


def _circle(place: Place) -> Offers:
    yield _change("top", lazy("Put it at the top"), place, _drop("parent"))


# ---- pipelines ----------------------------------------------------------------------------------------------------------


def _no_final_stage(place: Place) -> Offers:
    stages = items(place.definition, "stages")
    if stages:
        name = Name(stages[-1].get("label"), str(stages[-1].get("key")))
        yield _change("final", lazy("Let “%(name)s” end it", name=name), place, lambda d: d["stages"][-1].update(kind="done"))


def _no_target(place: Place) -> Offers:
    if place.definition.get("branches") and place.definition.get("to"):
        yield _change("to", lazy("Always to the one stage"), place, _drop("branches"))
        yield _change("branches", lazy("By the conditions"), place, _drop("to"))


def _last_branch(place: Place) -> Offers:
    branches = items(place.definition, "branches")
    if branches:
        yield _change("else", lazy("Let the last branch always lead on"), place, lambda d: d["branches"][-1].pop("if", None))


def _branch_never_reached(place: Place) -> Offers:
    def sort(definition: dict[str, Any]) -> None:
        conditional = [b for b in definition["branches"] if b.get("if")]
        definition["branches"] = [*conditional, *[b for b in definition["branches"] if not b.get("if")][:1]]

    yield _change("end", lazy("Move the branch without a condition to the end"), place, sort)


def _field_disagrees(place: Place) -> Offers:
    pipeline, key = place.definition, place.definition.get("field")
    entities = [n for n, e in enumerate(place.raw.get("entities", ())) if isinstance(e, Mapping) and e.get("key") == pipeline.get("entity")]
    fields = items(place.raw["entities"][entities[0]], "fields") if entities else []
    if any(f.get("key") == key for f in fields):
        yield "type", lazy("Make the field its stage"), lambda: _as_stage(place, entities[0], str(key), str(pipeline.get("key")))


def _as_stage(place: Place, entity: int, field: str, pipeline: str) -> dict[str, Any]:
    def change(raw: dict[str, Any]) -> None:
        fields = raw["entities"][entity]["fields"]
        at = next(n for n, f in enumerate(fields) if f.get("key") == field)
        fields[at] = {"key": field, "type": "pipeline", "label": fields[at].get("label") or {"en": field}, "pipeline": pipeline}

    return place.changed(change, 0)


# ---- roles, automations, views ------------------------------------------------------------------------------------------


def _no_admin(place: Place) -> Offers:
    for number, role in enumerate(place.raw.get("roles") or ()):
        if isinstance(role, Mapping) and not role.get("external"):
            label = lazy("Give every right to “%(name)s”", name=Name(role.get("label"), str(role.get("key"))))
            yield f"admin:{role.get('key')}", label, lambda number=number: place.changed(lambda raw: raw["roles"][number].update(admin=True), 0)


def _external_admin(place: Place) -> Offers:
    yield _change("inside", lazy("It is for people of the company"), place, _drop("external"))
    yield _change("limited", lazy("It does not have every right"), place, _drop("admin"))


def _no_pipeline(place: Place) -> Offers:
    owner = next((s for s in place.spots if s.kind == "automation"), None)
    if owner is not None:
        yield "update", lazy("Run it after every change"), lambda: place.changed(lambda d: d.update(on={"trigger": "update"}), len(owner.at))


def _not_before_save(place: Place) -> Offers:
    owner = next((s for s in place.spots if s.kind == "automation"), None)
    if owner is not None:
        on = {k: v for k, v in (owner.raw.get("on") or {}).items() if k == "fields"}
        yield "update", lazy("Run it after saving"), lambda: place.changed(lambda d: d.update(on={"trigger": "update", **on}), len(owner.at))


def _bad_cron(place: Place) -> Offers:
    yield _change("nightly", lazy("Run it every night at two"), place, lambda d: d.update(cron="0 2 * * *"))


_NAME = {"en": "Name", "zh_CN": "名称"}


def _name_field(place: Place) -> Offers:
    """An entity without a field that could name its records."""
    fields = items(place.definition, "fields")
    key = key_for(_NAME, [str(f.get("key")) for f in fields], "name")
    if place.kind == "entity" and not any(f.get("type") in TITLE_TYPES for f in fields):
        new = {"key": key, "type": "text", "label": _NAME}
        label = lazy("Add a text field “%(name)s”", name=Name(_NAME))
        yield _change("add_name", label, place, lambda d: d.update(title=key, fields=[new, *(f for f in d.get("fields") or ())]))


def _unknown_field(place: Place) -> Offers:
    """Of a title: a new field. Of a text: the placeholder goes. Of a board's columns: another way to show it."""
    if place.name == "title":
        yield from _name_field(place)
    if place.kind == "board" and place.name == "by":
        view = place.spots[-2]
        if place.lookup.pipeline(view.entity)[0] is not None:
            yield "stages", lazy("Use the stages as columns"), lambda: place.changed(_drop("board"), len(view.at))
        yield "list", lazy("Show it as a list"), lambda: place.changed(_drop("board", "kind"), len(view.at))
    if place.kind == "action" and isinstance(place.value, str) and "{{" in place.value:
        yield "text", lazy("Take what is not there out of the text"), lambda: place.written(_plain(place))


def _plain(place: Place) -> str:
    """The text without the names that are not there."""
    text = str(place.value)
    spot = place.action
    assert spot is not None
    aliases = mentions_of(place.raw).spots[spot.at].names

    def kept(match: re.Match[str]) -> str:
        parts = match[1].split(".")
        entity = spot.entity
        if parts[0] == "result":
            entity, parts = aliases.get(".".join(parts[:2])), parts[2:]
            known = entity is not None and (not parts or (len(parts) == 1 and place.lookup.field(entity, parts[0]) is not None))
        else:
            known = len(parts) == 1 and (parts[0] in ("me", "today") or place.lookup.field(entity, parts[0]) is not None)
        return match[0] if known else ""

    found = re.sub(r"\s{2,}", " ", re.sub(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_.]*)[^}]*\}\}", kept, text)).strip()
    return found or "…"


def _wrong_pipeline(place: Place) -> Offers:
    key = place.definition.get("pipeline")
    pipeline = place.lookup.section("pipelines").get(str(key))
    if place.kind == "widget" and place.name == "pipeline" and pipeline is not None:
        name = place.lookup.name("entities", pipeline.get("entity"))
        yield _change("entity", lazy("Count records of “%(name)s”", name=name), place, lambda d: d.update(entity=pipeline.get("entity")))


# ---- form ---------------------------------------------------------------------------------------------------------------


def _too_long(place: Place) -> Offers:
    limit = _schema(place).get("maxLength")
    if isinstance(place.value, str) and (limit or place.rest[1:]):
        size = limit or 200
        yield "shorten", lazy("Cut it after %(count)s characters", count=size), lambda: place.written(str(place.value)[:size])


def _limit(bound: str, label: LazyString) -> Callable[[Place], Offers]:
    def make(place: Place) -> Offers:
        limit = _schema(place).get(bound)
        if limit is not None and isinstance(place.value, (int, float)):
            yield "limit", lazy(label.message, limit=limit), lambda: place.written(limit)

    return make


def _schema(place: Place) -> Mapping[str, Any]:
    name = place.name
    if name is None or place.is_entry:
        return {}
    return property_schemas(place.kind).get(name) or type_property(place.kind, name, place.definition)


def _repeated(place: Place) -> Offers:
    if isinstance(place.value, list):
        fresh: list[Any] = []
        for item in place.value:
            if item not in fresh:
                fresh.append(item)
        yield "once", lazy("Keep each once"), lambda: place.written(fresh)


def _unknown_property(place: Place) -> Offers:
    if place.is_exact and isinstance(place.pointer[-1], str):
        word = property_word(place.kind, str(place.pointer[-1]))
        yield "remove", lazy("Remove “%(property)s”", property=word), lambda: take_out(place.raw, [place.pointer])


def _drops(key: str, label: LazyString, *names: str) -> Callable[[Place], Offers]:
    def make(place: Place) -> Offers:
        example = next((s for s in place.spots if s.kind == "example"), place.spot)
        yield key, label, lambda: place.changed(_drop(*names), len(example.at))

    return make


_RULES: Mapping[str, Callable[[Place], Iterator[Any]]] = {
    "never_filled": _never_filled, "computed_input": _computed_input, "set_null_required": _set_null_required, "bad_default": _bad_default,
    "min_above_max": _min_above_max, "choices": _choices, "inverse_taken": _inverse_taken, "missing": _missing, "duplicate_key": _duplicate_key,
    "circle": _circle, "no_final_stage": _no_final_stage, "no_target": _no_target, "no_last_branch": _last_branch,
    "branch_never_reached": _branch_never_reached, "field_disagrees": _field_disagrees, "no_admin": _no_admin, "external_admin": _external_admin,
    "no_pipeline": _no_pipeline, "not_before_save": _not_before_save, "bad_cron": _bad_cron, "unknown_field": _unknown_field, "not_groupable": _unknown_field,
    "unknown_result": _unknown_field, "no_step": _unknown_field, "wrong_target": _wrong_pipeline, "too_long": _too_long, "repeated": _repeated,
    "too_small": _limit("minimum", lazy("Use the smallest allowed: %(limit)s")), "too_large": _limit("maximum", lazy("Use the largest allowed: %(limit)s")),
    "wrong_type": _label, "empty": _label, "not_storable": _not_storable, "bad_key": _key, "reserved_key": _key, "not_a_number": _not_a_number,
    "unknown_choice": _format, "bad_title": _name_field, "too_few": _name_field, "unknown_property": _unknown_property, "no_refusal": _drops("message", lazy("Leave the text out"), "message"),
    "no_record": _drops("plain", lazy("Leave out what cannot be there"), "then", "state"),
}  # fmt: skip
