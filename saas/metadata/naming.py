"""What people call the things in a bundle: looked up in its JSON, so that drafts with problems have names, too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from saas.i18n import LazyString, lazy, listed, pick
from saas.metadata.anatomy import DESCRIBED_KINDS, ROOT, Part, key_of, part_of, type_of
from saas.metadata.edits import steps_of
from saas.metadata.models import TITLES
from saas.metadata.property_words import noun, property_word

Raw = Mapping[str, Any]
Text = LazyString | str
LONG = 200
NOTHING: Raw = {}

# ---- texts made when they are shown -------------------------------------------------------------------------------------


class Name(LazyString):
    """A label in the reader's language; the key where there is none."""

    __slots__ = ()

    def __init__(self, label: Any, key: str = "") -> None:
        texts = {k: v for k, v in label.items() if isinstance(v, str)} if isinstance(label, Mapping) else {}
        super().__init__(key, texts)

    def __str__(self) -> str:
        return pick(self.values) or self.message

    __repr__ = __str__


class Joined(LazyString):
    """Several texts in one: “a, b, c”, or with another sign between them."""

    __slots__ = ()

    def __init__(self, texts: Iterable[Text], sign: Text = "") -> None:
        super().__init__("", {"sign": sign, "texts": list(texts)})

    def __str__(self) -> str:
        sign = str(self.values["sign"])
        return sign.join(map(str, self.values["texts"])) if sign else listed(self.values["texts"])

    __repr__ = __str__


class Short(LazyString):
    """A text cut after so many characters."""

    __slots__ = ()

    def __init__(self, text: Text) -> None:
        super().__init__("", {"text": text})

    def __str__(self) -> str:
        text = str(self.values["text"])
        return text if len(text) <= LONG else f"{text[: LONG - 1]}…"

    __repr__ = __str__


class Apart(LazyString):
    """A text beside another it is compared with: where both are long, the part in which they differ; where both read the same
    (two fields of one name), with the JSON behind them."""

    __slots__ = ()

    def __init__(self, text: Text, other: Text, raw: Any = None, other_raw: Any = None) -> None:
        super().__init__("", {"text": text, "other": other, "raw": raw, "other_raw": other_raw})

    def __str__(self) -> str:
        text, other = str(self.values["text"]), str(self.values["other"])
        if text == other:
            text, other = (f"{text} ({json.dumps(self.values[name], ensure_ascii=False, default=str)})" for name in ("raw", "other_raw"))
        shared = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
        start = max(0, shared - LONG // 5) if len(text) > LONG or len(other) > LONG else 0
        return f"{'…' if start else ''}{text[start : start + LONG]}{'…' if len(text) > start + LONG else ''}"

    __repr__ = __str__


def place(*names: Text) -> Text:
    """Where something is, from the outside in: “Customer · Phone”."""
    found = [n for n in names if n is not None]
    return found[0] if len(found) == 1 else Joined(found, " · ")


def titled(where: Text, what: Text) -> LazyString:
    return lazy("%(title)s: %(text)s", title=where, text=what)


# ---- looking things up --------------------------------------------------------------------------------------------------


def items(raw: Any, name: str) -> list[Raw]:
    """The objects in a list of a definition; whatever else stands there is passed over."""
    found = raw.get(name) if isinstance(raw, Mapping) else None
    return [i for i in found if isinstance(i, Mapping)] if isinstance(found, list) else []


def texts(value: Any) -> list[str]:
    """The texts in a list; of a single text that."""
    found = value if isinstance(value, list) else [value]
    return [v for v in found if isinstance(v, str)]


class Relation(NamedTuple):
    """Children seen from their parent."""

    child: str
    field: str
    label: Any


class Lookup:
    """What a bundle's JSON says, by key. Never raises: what is missing or broken is None or empty."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self._sections: dict[str, dict[str, Raw]] = {}
        self._fields: dict[str, dict[str, Raw]] = {}

    def section(self, name: str) -> dict[str, Raw]:
        """The definitions of a section by their key in paths; of two with one key the first."""
        if name not in self._sections:
            found: dict[str, Raw] = {}
            for item in items(self.raw, name):
                if (key := key_of(name, item)) is not None:
                    found.setdefault(key, item)
            self._sections[name] = found
        return self._sections[name]

    def entity(self, key: Any) -> Raw | None:
        return self.section("entities").get(key) if isinstance(key, str) else None

    def fields(self, entity_key: Any) -> Mapping[str, Raw]:
        """Declared fields, then those every record has."""
        entity = self.entity(entity_key)
        if entity is None:
            return NOTHING
        if entity_key not in self._fields:
            declared = {f["key"]: f for f in reversed(items(entity, "fields")) if isinstance(f.get("key"), str)}
            self._fields[entity_key] = {**_system_fields(entity), **dict(reversed(declared.items()))}
        return self._fields[entity_key]

    def field(self, entity_key: Any, key: Any) -> Raw | None:
        return self.fields(entity_key).get(key) if isinstance(key, str) else None

    @cached_property
    def _relations(self) -> dict[str, dict[str, Relation]]:
        found: dict[str, dict[str, Relation]] = {}
        for child, entity in self.section("entities").items():
            for field in items(entity, "fields"):
                if field.get("type") in ("ref", "m2m") and isinstance(field.get("to"), str) and isinstance(field.get("key"), str):
                    inverse = field["inverse"] if isinstance(field.get("inverse"), Mapping) else NOTHING
                    key = inverse.get("key") or f"{child}_{field['key']}"
                    found.setdefault(field["to"], {}).setdefault(key, Relation(child, field["key"], inverse.get("label") or entity.get("plural")))
        return found

    def relations(self, entity_key: Any) -> Mapping[str, Relation]:
        """Lists of children by inverse key."""
        return self._relations.get(entity_key, {}) if isinstance(entity_key, str) else {}

    def relation(self, entity_key: Any, name: Any) -> Relation | None:
        """By inverse key, else by the child's entity key where only one relation has it."""
        known = self.relations(entity_key)
        same = [r for r in known.values() if r.child == name]
        return known.get(name) or (same[0] if len(same) == 1 else None)

    def pipeline(self, entity_key: Any) -> tuple[str, Raw] | tuple[None, None]:
        """The pipeline of an entity with its key."""
        return next(((k, p) for k, p in self.section("pipelines").items() if p.get("entity") == entity_key), (None, None))

    def options(self, field: Raw | None) -> tuple[str, list[Raw]]:
        """(path of the list that a field's values come from, its entries): a set, a pipeline's stages, or "" for the field's own."""
        if field is None:
            return "", []
        if isinstance(field.get("set"), str):
            return f"option_sets[{field['set']}].options", items(self.section("option_sets").get(field["set"]), "options")
        if field.get("type") == "pipeline":
            return f"pipelines[{field.get('pipeline')}].stages", items(self.section("pipelines").get(str(field.get("pipeline"))), "stages")
        return "", items(field, "options")

    def widget(self, report: Any, widget: Any) -> Raw | None:
        return next((w for w in items(self.section("reports").get(str(report)), "widgets") if w.get("key") == widget), None)

    def along(self, entity_key: Any, dotted: Any) -> tuple[Any, str]:
        """(entity, field) at the end of a path such as `customer.grade`; the entity is None where it cannot be followed."""
        *before, last = str(dotted).split(".")
        for step in before:
            field = self.field(entity_key, step)
            entity_key = field.get("to") if field is not None and field.get("type") in ("ref", "m2m") else None
        return entity_key, last

    def action_entities(self, entity_key: Any, actions: Any, known: Mapping[str, Any] = NOTHING) -> list[Any]:
        """The entity each action of a list works on, None where that cannot be said. `known`: those of records made further out, by
        alias."""
        found: list[Any] = []
        aliases: dict[str, Any] = dict(known)
        for action in actions if isinstance(actions, list) else ():
            target = self._action_entity(entity_key, action, aliases) if isinstance(action, Mapping) else None
            found.append(target)
            if isinstance(action, Mapping) and isinstance(action.get("as"), str):
                aliases[action["as"]] = target
        return found

    def inner_entity(self, entity_key: Any, action: Any) -> Any:
        """What the steps inside a step are about: the record itself, or the children of the relation that it goes through."""
        kind = type_of("action", action)
        name = kind.relation(action) if kind is not None else None
        if name is None:
            return entity_key
        relation = self.relation(entity_key, name)
        return relation.child if relation is not None else None

    def _action_entity(self, entity_key: Any, action: Raw, aliases: Mapping[str, Any]) -> Any:
        if isinstance(action.get("entity"), str):
            return action["entity"]
        if not isinstance(action.get("target"), str):
            return entity_key
        steps = action["target"].split(".")
        if steps[0] == "result":
            entity_key, steps = aliases.get(steps[1]) if len(steps) > 1 else None, steps[2:]
        return self.along(entity_key, ".".join((*steps, "")))[0]

    # ---- names ------------------------------------------------------------------------------------------------------

    def name(self, section: str, key: Any) -> Name:
        return Name(self.section(section).get(str(key), NOTHING).get("label"), str(key))

    def field_name(self, entity_key: Any, key: Any) -> Name:
        return Name((self.field(entity_key, key) or NOTHING).get("label"), str(key))

    def path_name(self, entity_key: Any, dotted: Any) -> Text:
        """“Customer · Grade” for `customer.grade`."""
        names: list[Text] = []
        for step in str(dotted).split("."):
            names.append(self.field_name(entity_key, step))
            entity_key = (self.field(entity_key, step) or NOTHING).get("to")
        return place(*names)

    def option_name(self, field: Raw | None, key: Any) -> Name:
        return Name(next((o.get("label") for o in self.options(field)[1] if o.get("key") == key), None), str(key))

    def relation_name(self, entity_key: Any, key: Any) -> Name:
        relation = self.relation(entity_key, key)
        return Name(relation.label if relation else None, str(key))

    def stage_name(self, pipeline: Raw | None, key: Any) -> Text:
        if key == "*":
            return lazy("every stage")
        return Name(next((s.get("label") for s in items(pipeline, "stages") if s.get("key") == key), None), str(key))

    def transition_name(self, pipeline: Raw | None, key: Any) -> Text:
        if key == "*":
            return lazy("all")
        return Name(next((t.get("label") for t in items(pipeline, "transitions") if t.get("key") == key), None), str(key))


def _system_fields(entity: Raw) -> dict[str, Raw]:
    found: dict[str, Raw] = {
        "created_at": {"type": "datetime"}, "created_by": {"type": "user"}, "updated_at": {"type": "datetime"}, "updated_by": {"type": "user"},
    }  # fmt: skip
    if entity.get("owned", True):
        found |= {"owner": {"type": "user", "label": entity.get("owner_label") or TITLES["owner"]}, "department": {"type": "dept"}}
    if any(pool.get("recycle_days") is not None for pool in items(entity, "pools")):
        found |= {"touched_at": {"type": "datetime"}, "days_left": {"type": "formula", "returns": "int", "label": entity.get("countdown_label") or TITLES["days_left"]}}
    return {key: {"key": key, "label": TITLES[key], **field} for key, field in found.items()}


# ---- definitions and their places ---------------------------------------------------------------------------------------


class Crumb(NamedTuple):
    """One definition on the way to a place. `entity` is the entity whose fields its keys name."""

    kind: str
    path: str
    definition: Any
    name: Text
    entity: Any
    named: bool


def entity_of(lookup: Lookup, kind: str, definition: Any, key: str, outer: Any) -> Any:
    """The entity whose fields a definition's keys name; `outer` is that of the definition around it."""
    if kind == "entity":
        return key
    if kind == "right":
        return key if key != "*" else None
    if not isinstance(definition, Mapping):
        return outer
    if kind == "widget" and "report" in definition:
        return (lookup.widget(definition.get("report"), definition.get("widget")) or NOTHING).get("entity")
    if kind == "report":  # what its parameters are about
        return next((w["entity"] for w in items(definition, "widgets") if isinstance(w.get("entity"), str)), None)
    if kind in DESCRIBED_KINDS:
        return definition.get("entity", outer)
    if kind in ("pipeline", "view", "layout", "widget", "automation", "schedule", "approval", "template", "webhook", "inbound_hook", "web_form", "portal", "notice", "example", "example_record", "source", "against"):
        return definition.get("entity")
    return outer


def definition_name(lookup: Lookup, kind: str, definition: Any, key: str, entity: Any, number: int = 0) -> Text:
    """What people call a definition: its label, or what it is about."""
    raw = definition if isinstance(definition, Mapping) else NOTHING
    if kind == "right":
        return lookup.name("entities", key) if key != "*" else lazy("all other entities")
    if kind == "field_right":
        return lookup.field_name(entity, key)
    if kind == "related":
        return lookup.relation_name(entity, raw.get("key"))
    if kind == "widget" and "report" in raw and not raw.get("label"):
        return Name((lookup.widget(raw.get("report"), raw.get("widget")) or NOTHING).get("label"), str(raw.get("widget")))
    if raw.get("label"):
        return Name(raw["label"], key)
    if kind == "layout":
        roles = texts(raw.get("roles"))
        return lazy("Layout for %(roles)s", roles=Joined(lookup.name("roles", r) for r in roles)) if roles else lazy("Standard layout")
    if kind == "section":
        return lazy("Section %(number)s", number=number + 1)
    if kind == "param":
        return lookup.path_name(entity, raw.get("field"))
    if kind in ("unique", "duplicate"):
        return Joined(lookup.field_name(entity, f) for f in texts(raw.get("fields") or raw.get("match")))
    if kind == "rule" and raw.get("message"):
        return Short(Name(raw["message"], key))
    return Name(None, key)


def crumbs(lookup: Lookup, path: str) -> tuple[list[Crumb], list[str]]:
    """The definitions on the way to a path, from the outside in, and the properties left behind the last one."""
    found: list[Crumb] = []
    here, kind, entity, done = lookup.raw, ROOT, None, ""
    part: Part | None = None
    section = ""
    rest: list[str] = []
    for step in steps_of(path):
        key = step[0] if isinstance(step, tuple) else step
        if rest or (isinstance(step, tuple) and part is None):
            rest.append(key)
            continue
        if part is not None and part.form != "one":  # a key in a list or map of definitions
            here, number = _entry(here, section, key)
            done += f".{key}" if part.form == "map" else f"[{key}]"
            kind, inner = part.kind, part
            part = None
            entity = entity_of(lookup, kind, here, key.rpartition(":")[2] if section in ("views", "layouts") else key, entity)
            name = definition_name(lookup, kind, here, key, entity, number)
            found.append(Crumb(kind, done, here, name, entity, inner.named))
            continue
        part = part_of(kind, key)
        if kind == "action" and part is not None and isinstance(here, Mapping):
            entity = lookup.inner_entity(entity, here)
        here, section = here.get(key) if isinstance(here, Mapping) else None, key
        if part is None:
            rest.append(key)
            continue
        done += f".{key}" if done else key
        if part.form == "one":
            kind, entity = part.kind, entity_of(lookup, part.kind, here, "", entity)
            found.append(Crumb(kind, done, here, property_word(found[-1].kind if found else ROOT, key), entity, part.named))
            part = None
    if part is not None:
        rest.append(section)
    return found, rest


def _entry(here: Any, section: str, key: str) -> tuple[Any, int]:
    if isinstance(here, Mapping):
        return here.get(key), 0
    if not isinstance(here, list):
        return None, 0
    for number, item in enumerate(here):
        if key_of(section, item) == key or (isinstance(item, Mapping) and key == f"({item.get('report')}:{item.get('widget')})"):
            return item, number
    return (here[int(key)], int(key)) if key.isdigit() and int(key) < len(here) else (None, 0)


def where(lookup: Lookup, path: str) -> Text:
    """Where a path leads, in words: “Customer · Phone · Help text”."""
    found, rest = crumbs(lookup, path)
    names = list(_names(lookup, found))
    if rest:
        last = found[-1] if found else None
        names.append(property_word(last.kind if last else ROOT, rest[0], last.definition if last and isinstance(last.definition, Mapping) else None))
    return place(*names) if names else noun(ROOT)


def _names(lookup: Lookup, found: Sequence[Crumb]) -> Iterator[Text]:
    for number, crumb in enumerate(found):
        if number == 0 and crumb.kind in ("view", "layout"):
            yield lookup.name("entities", crumb.entity)
        yield crumb.name


def called(lookup: Lookup, path: str) -> Text:
    """The definition at or around a path with its kind and name: “View “Mine””, “Field “Phone” of “Customer””."""
    found = [c for c in crumbs(lookup, path)[0] if c.named]
    if not found:
        return noun(ROOT)
    last = found[-1]
    if last.kind in ("view", "layout"):
        return lazy("%(noun)s “%(name)s” of “%(owner)s”", noun=noun(last.kind), name=last.name, owner=lookup.name("entities", last.entity))
    if len(found) > 1:
        return lazy("%(noun)s “%(name)s” of “%(owner)s”", noun=noun(last.kind), name=last.name, owner=place(*_names(lookup, found[:-1])))
    return lazy("%(noun)s “%(name)s”", noun=noun(last.kind), name=last.name)


def title_of(raw: Raw, path: str) -> Text:
    """Where a path of a bundle leads, with labels instead of keys; for problems, conflicts and links."""
    return where(Lookup(raw), path)

