"""Admins editing for a long time: whatever they add, rename, retype and remove, their configuration is valid afterwards, each
difference can be told, and two of them can be put together."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from bundles import label
from factories import rich_bundle

from saas.i18n import use_locale
from saas.metadata import edits
from saas.metadata.evolve import compare
from saas.metadata.fixes import apply_fix, fixes_of, remove_with_references
from saas.metadata.merge import merge, resolve, same
from saas.metadata.normal import normal
from saas.metadata.packs import load_pack
from saas.metadata.parse import parse_bundle, problems_of

Raw = dict[str, Any]
STEPS = 50
ROUNDS = 8  # of one-click fixes after a step
TYPES = ("text", "longtext", "int", "number", "percent", "bool", "date", "datetime", "phone", "email", "url", "money", "tags", "rating", "user")
BASES: dict[str, Callable[[], Raw]] = {"rich": rich_bundle, "retail": lambda: load_pack("jb-rm-crm"), "baseline": lambda: load_pack("baseline-crm")}


class Admin:
    """Somebody who edits `raw`, one realistic step at a time. `stuck`: steps that could not be repaired and were taken back."""

    def __init__(self, raw: Raw, seed: int) -> None:
        self.raw, self.dice, self.number = raw, random.Random(seed), seed * 1000
        self.log: list[str] = []
        self.stuck: list[str] = []

    def step(self) -> None:
        before = self.raw
        act = self.dice.choice(ACTS)
        after = act(self, before)
        fixed = None if after is None else self.repaired(after)
        if fixed is None:
            if after is not None:
                self.stuck.append(act.__name__)
            return
        self.raw = fixed
        self.log.append(act.__name__)

    def repaired(self, raw: Raw) -> Raw | None:
        """The bundle after one-click fixes, the first that is offered for each problem; None when they do not lead anywhere."""
        for _ in range(ROUNDS):
            problems = problems_of(raw)
            if not problems:
                return raw
            for problem in reversed(problems):
                if fixes := fixes_of(raw, problem):
                    raw = apply_fix(raw, problem, fixes[0].key)
        return None

    # ---- choosing ---------------------------------------------------------------------------------------------------

    def key(self, stem: str) -> str:
        self.number += 1
        return f"{stem}{self.number}"

    def one(self, found: list[Any]) -> Any:
        return self.dice.choice(found) if found else None

    def entity(self) -> Raw:
        return self.one(self.raw["entities"])

    def field(self, entity: Raw, *types: str) -> Raw | None:
        return self.one([f for f in entity["fields"] if not types or f["type"] in types])

    def some(self, found: list[Any], most: int) -> list[Any]:
        return self.dice.sample(found, min(len(found), self.dice.randint(1, most)))


def new_field(admin: Admin, **more: Any) -> Raw:
    key = admin.key("f")
    kind = admin.dice.choice((*TYPES, "option"))
    options = {"options": [{"key": k, "label": label(k.upper())} for k in ("a", "b", "c")]} if kind == "option" else {}
    return {"key": key, "type": kind, "label": label(key.title()), **options, **more}


def shown(entity: Raw) -> list[str]:
    return [f["key"] for f in entity["fields"] if f["type"] not in ("richtext", "address", "file", "image")]


# ---- what admins do -----------------------------------------------------------------------------------------------------


def add_field(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    field = new_field(admin, **({"required": True} if admin.dice.random() < 0.2 else {}))
    raw = edits.add(raw, f"entities[{entity['key']}].fields", field, after=admin.one(shown(entity)))
    view = admin.one([v for v in raw["views"] if v["entity"] == entity["key"] and v.get("columns")])
    return edits.put(raw, f"views[{entity['key']}:{view['key']}].columns", [*view["columns"], field["key"]]) if view else raw


def rename(admin: Admin, raw: Raw) -> Raw | None:
    places = [f"entities[{e['key']}]" for e in raw["entities"]] + [f"entities[{e['key']}].fields[{f['key']}]" for e in raw["entities"] for f in e["fields"]]
    places += [f"pipelines[{p['key']}].stages[{s['key']}]" for p in raw["pipelines"] for s in p["stages"]] + [f"roles[{r['key']}]" for r in raw["roles"]]
    places += [f"views[{v['entity']}:{v['key']}]" for v in raw["views"]]
    return edits.put(raw, f"{admin.one(places)}.label.{admin.dice.choice(['en', 'zh_CN'])}", admin.key("Name "))


def retype(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    field = admin.field(entity, *TYPES)
    if field is None:
        return None
    kept = {k: v for k, v in field.items() if k in ("key", "label", "help", "required", "visible_if", "hidden")}
    return edits.put(raw, f"entities[{entity['key']}].fields[{field['key']}]", {**kept, "type": admin.dice.choice([t for t in TYPES if t != field["type"]])})


def make_required(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    field = admin.field(entity, *TYPES, "option", "ref")
    return edits.put(raw, f"entities[{entity['key']}].fields[{field['key']}].required", not field.get("required")) if field else None


def limit_field(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    field = admin.field(entity, "int", "number", "text")
    if field is None:
        return None
    name = "max_length" if field["type"] == "text" else admin.dice.choice(["min", "max"])
    return edits.put(raw, f"entities[{entity['key']}].fields[{field['key']}].{name}", admin.dice.randint(10, 400))


def remove_field(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    field = admin.field(entity)
    return remove_with_references(raw, f"entities[{entity['key']}].fields[{field['key']}]") if field and len(entity["fields"]) > 2 else None


def add_entity(admin: Admin, raw: Raw) -> Raw | None:
    key, other = admin.key("e"), admin.entity()["key"]
    link = {"key": "belongs", "type": "ref", "to": other, "label": label("Belongs"), "inverse": {"key": f"{key}_list", "label": label(key.title())}, "on_delete": "set_null"}
    entity = {"key": key, "label": label(key.title()), "plural": label(f"{key.title()}s"), "title": "name",
              "fields": [{"key": "name", "type": "text", "label": label("Name")}, link, new_field(admin)]}  # fmt: skip
    raw = edits.add(raw, "entities", entity)
    raw = edits.add(raw, "views", {"key": "all", "entity": key, "label": label("All"), "columns": ["name", "belongs"], "sort": ["name"]})
    role = admin.one([r for r in raw["roles"] if not r.get("admin")])
    rights = {"create": True, "read": "all", "update": admin.dice.choice(["own", "dept", "all"])}
    return edits.put(raw, f"roles[{role['key']}].entities.{key}", rights) if role else raw


def remove_entity(admin: Admin, raw: Raw) -> Raw | None:
    made = [e["key"] for e in raw["entities"] if e["key"][1:].isdigit()]
    chosen = admin.one(made) or (admin.entity()["key"] if len(raw["entities"]) > 3 and admin.dice.random() < 0.3 else None)
    return remove_with_references(raw, f"entities[{chosen}]") if chosen else None


def _option_list(admin: Admin, raw: Raw) -> tuple[str, list[Raw]]:
    lists = [(f"option_sets[{s['key']}].options", s["options"]) for s in raw.get("option_sets", ())]
    lists += [(f"entities[{e['key']}].fields[{f['key']}].options", f["options"]) for e in raw["entities"] for f in e["fields"] if f.get("options")]
    return admin.one(lists) or ("", [])


def add_option(admin: Admin, raw: Raw) -> Raw | None:
    path, options = _option_list(admin, raw)
    key = admin.key("o")
    return edits.add(raw, path, {"key": key, "label": label(key.title())}, after=admin.one(options)["key"]) if path else None


def switch_option(admin: Admin, raw: Raw) -> Raw | None:
    path, options = _option_list(admin, raw)
    option = admin.one(options)
    return edits.put(raw, f"{path}[{option['key']}].active", not option.get("active", True)) if path else None


def remove_option(admin: Admin, raw: Raw) -> Raw | None:
    path, options = _option_list(admin, raw)
    return remove_with_references(raw, f"{path}[{admin.one(options)['key']}]") if len(options) > 1 else None


def add_stage(admin: Admin, raw: Raw) -> Raw | None:
    pipeline, key = admin.one(raw["pipelines"]), admin.key("s")
    if pipeline is None:
        return None
    before = admin.one(pipeline["stages"])["key"]
    raw = edits.add(raw, f"pipelines[{pipeline['key']}].stages", {"key": key, "label": label(key.title())}, after=before)
    move = {"key": admin.key("t"), "label": label("Go"), "from": [before], "to": key, "require": admin.some(_fillable(raw, pipeline), 2) if admin.dice.random() < 0.4 else []}
    return edits.add(raw, f"pipelines[{pipeline['key']}].transitions", move)


def _fillable(raw: Raw, pipeline: Raw) -> list[str]:
    return [f["key"] for f in edits.find(raw, f"entities[{pipeline['entity']}].fields") if f["type"] in TYPES]


def remove_stage(admin: Admin, raw: Raw) -> Raw | None:
    pipeline = admin.one(raw["pipelines"])
    if pipeline is None or len(pipeline["stages"]) < 3:
        return None
    return remove_with_references(raw, f"pipelines[{pipeline['key']}].stages[{admin.one(pipeline['stages'])['key']}]")


def change_transition(admin: Admin, raw: Raw) -> Raw | None:
    pipeline = admin.one([p for p in raw["pipelines"] if p.get("transitions")])
    if pipeline is None:
        return None
    path = f"pipelines[{pipeline['key']}].transitions[{admin.one(pipeline['transitions'])['key']}]"
    kind = admin.dice.randrange(4)
    if kind == 0:
        return remove_with_references(raw, path)
    if kind == 1:
        return edits.put(edits.put(raw, f"{path}.guard", "owner != null" if "owner" in str(raw) else "id != null"), f"{path}.guard_message", label("Give it an owner"))
    if kind == 2:
        return edits.put(raw, f"{path}.roles", admin.some([r["key"] for r in raw["roles"]], 3))
    return edits.put(raw, f"{path}.style", admin.dice.choice(["default", "primary", "danger"]))


def add_view(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    number = admin.field(entity, "int", "number", "money")
    view = {"key": admin.key("v"), "entity": entity["key"], "label": label("View"), "columns": admin.some(shown(entity), 6), "sort": ["-updated_at"],
            **({"filter": {"and": [{"field": number["key"], "op": "gt", "value": 3}, {"field": "created_at", "op": "relative", "value": "this_year"}]}} if number else {})}  # fmt: skip
    return edits.add(raw, "views", view)


def change_view(admin: Admin, raw: Raw) -> Raw | None:
    view = admin.one(raw["views"])
    entity = edits.find(raw, f"entities[{view['entity']}]") if view else None
    if entity is None:
        return None
    path = f"views[{view['entity']}:{view['key']}]"
    kind = admin.dice.randrange(4)
    if kind == 0:
        return remove_with_references(raw, path)
    if kind == 1:
        option = admin.field(entity, "option")
        return edits.put(raw, f"{path}.filter", f"{option['key']} != null and created_at != null") if option else None
    if kind == 2:
        return edits.put(raw, f"{path}.page_size", admin.dice.choice([10, 30, 60]))
    return edits.put(raw, f"{path}.columns", admin.some(shown(entity), 7))


def change_layout(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    tabs = [{"key": "main", "label": label("Main"), "sections": [{"key": "a", "fields": admin.some(shown(entity), 8)}, {"key": "b", "label": label("More"), "fields": admin.some(shown(entity), 3)}]},
            {"key": "rest", "label": label("Rest"), "timeline": True}]  # fmt: skip
    layout = admin.one(raw.get("layouts", []))
    if layout is None or admin.dice.random() < 0.4:
        return edits.add(raw, "layouts", {"key": admin.key("l"), "entity": entity["key"], "tabs": tabs})
    path = f"layouts[{layout['entity']}:{layout['key']}]"
    return remove_with_references(raw, path) if admin.dice.random() < 0.3 else edits.move(raw, f"{path}.tabs[{layout['tabs'][-1]['key']}]", 0)


def change_role(admin: Admin, raw: Raw) -> Raw | None:
    role, entity = admin.one([r for r in raw["roles"] if not r.get("admin")]), admin.entity()
    if role is None or admin.dice.random() < 0.2:
        key = admin.key("r")
        return edits.add(raw, "roles", {"key": key, "label": label(key.title()), "entities": {"*": {"read": "own"}, entity["key"]: {"read": "all", "create": True}}})
    path = f"roles[{role['key']}]"
    if admin.dice.random() < 0.25 and len(raw["roles"]) > 3:
        return remove_with_references(raw, path)
    if admin.dice.random() < 0.5:
        return edits.put(raw, f"{path}.entities.{entity['key']}.fields.{admin.one(shown(entity))}", admin.dice.choice(["read", "hidden", "masked"]))
    return edits.put(raw, f"{path}.entities.{entity['key']}", {"read": admin.dice.choice(["own", "team", "all"]), "update": {"scope": "own", "if": "created_at != null"}})


def change_figures(admin: Admin, raw: Raw) -> Raw | None:
    entity, report = admin.entity(), admin.one(raw.get("reports", []))
    if report is None:
        widget = {"key": "count", "label": label("Count"), "type": "number", "entity": entity["key"], "measures": [{"fn": "count"}]}
        raw = edits.add(raw, "reports", {"key": admin.key("p"), "label": label("Report"), "widgets": [widget]})
        return edits.add(raw, "dashboards", {"key": admin.key("d"), "label": label("Board"), "widgets": [{"report": raw["reports"][-1]["key"], "widget": "count", "width": 4}]})
    kind = admin.dice.randrange(4)
    widget = admin.one(report["widgets"])
    if kind == 0 and widget:
        return remove_with_references(raw, f"reports[{report['key']}].widgets[{widget['key']}]")
    if kind == 1:
        return remove_with_references(raw, f"reports[{report['key']}]")
    by = admin.field(entity, "option", "user")
    new = {"key": admin.key("w"), "label": label("Widget"), "type": "bar", "entity": entity["key"], "measures": [{"fn": "count"}],
           "dimensions": [{"field": by["key"]} if by else {"field": "created_at", "bucket": "month"}]}  # fmt: skip
    return edits.add(raw, f"reports[{report['key']}].widgets", new)


def change_automation(admin: Admin, raw: Raw) -> Raw | None:
    rules, entity = raw.get("automations", []), admin.entity()
    rule = admin.one(rules)
    if rule is None or admin.dice.random() < 0.4:
        field = admin.field(entity, "text", "longtext")
        if field is None or field.get("read_only"):
            return None
        new = {"key": admin.key("a"), "label": label("Rule"), "entity": entity["key"], "on": {"trigger": "update", "fields": [field["key"]]}, "if": f"{field['key']} != null",
               "do": [{"action": "notify", "to": ["created_by"], "title": {"en": f"{{{{ {field['key']} }}}}", "zh_CN": "有变化"}}]}  # fmt: skip
        return edits.add(raw, "automations", new)
    if admin.dice.random() < 0.5:
        return edits.put(raw, f"automations[{rule['key']}].active", not rule.get("active", True))
    return remove_with_references(raw, f"automations[{rule['key']}]")


def change_rules(admin: Admin, raw: Raw) -> Raw | None:
    entity = admin.entity()
    path, field = f"entities[{entity['key']}]", admin.field(entity, "text", "phone", "email")
    if field is None:
        return None
    kind = admin.dice.randrange(5)
    if kind == 0:
        return edits.add(raw, f"{path}.unique", {"key": admin.key("u"), "fields": [field["key"]]})
    if kind == 1:
        return edits.add(raw, f"{path}.duplicates", {"key": admin.key("d"), "match": [field["key"]], "action": "warn"})
    if kind == 2:
        return edits.add(raw, f"{path}.rules", {"key": admin.key("c"), "expr": f"{field['key']} != 'x'", "message": label("Not x"), "field": field["key"]})
    if kind == 3:
        formula = {"key": admin.key("x"), "type": "formula", "returns": "text", "label": label("Both"), "expr": f"concat({field['key']}, '!')"}
        return edits.add(raw, f"{path}.fields", formula)
    rule = admin.one(entity.get("rules", []))
    return remove_with_references(raw, f"{path}.rules[{rule['key']}]") if rule else None


def change_setting(admin: Admin, raw: Raw) -> Raw | None:
    setting = admin.one(raw.get("settings", []))
    if setting is None or admin.dice.random() < 0.5:
        return edits.add(raw, "settings", {"key": admin.key("set"), "label": label("Setting"), "type": "int", "default": 5})
    return remove_with_references(raw, f"settings[{setting['key']}]")


def reorder(admin: Admin, raw: Raw) -> Raw | None:
    entity, pipeline = admin.entity(), admin.one(raw["pipelines"])
    places = [f"entities[{entity['key']}].fields[{admin.field(entity)['key']}]", f"roles[{admin.one(raw['roles'])['key']}]"]  # type: ignore[index]
    places += [f"pipelines[{pipeline['key']}].stages[{admin.one(pipeline['stages'])['key']}]"] if pipeline else []
    return edits.move(raw, admin.one(places), admin.dice.randint(0, 4))


ACTS = (
    *(add_field, add_field, rename, rename, retype, make_required, limit_field, remove_field, remove_field, add_entity, remove_entity, add_option, switch_option, remove_option),
    *(add_stage, remove_stage, change_transition, add_view, change_view, change_layout, change_role, change_role, change_figures, change_automation, change_rules),
    *(change_setting, reorder),
)  # fmt: skip


# ---- what must hold -----------------------------------------------------------------------------------------------------


def check_difference(old: Raw, new: Raw, why: str) -> None:
    """It can be told in both languages, completely, and there is none where nothing changed."""
    changes = compare(old, new)
    assert bool(changes) == (not same(normal(old), normal(new))), why
    if not changes:
        assert parse_bundle(old) == parse_bundle(new), why
    for locale in ("en", "zh_CN"):
        with use_locale(locale):
            for change in changes:
                texts = [str(change.noun), str(change.title), str(change.message), *(str(d.name) for d in change.details)]
                assert all(texts), (why, change.path)
                assert "%(" not in "".join(texts)
                assert all(str(d.before) != str(d.after) for d in change.details), (why, change.path, [(str(d.before), str(d.after)) for d in change.details])
    assert len({(c.path, c.entity, c.field) for c in changes}) == len(changes), why


@pytest.mark.parametrize(("name", "seed"), [*(("rich", n) for n in range(1, 6)), *(("retail", n) for n in range(6, 9)), ("baseline", 9), ("baseline", 10)])
def test_fifty_steps_leave_a_valid_configuration(name: str, seed: int):
    base = BASES[name]()
    admin, untouched = Admin(base, seed), copy.deepcopy(base)
    told = 1 if name == "rich" else 5
    for number in range(STEPS):
        before = admin.raw
        text = json.dumps(before)
        admin.step()
        assert json.dumps(before) == text  # every edit made a new bundle
        if number % told == 0:
            check_difference(before, admin.raw, f"{seed}/{number} {admin.log[-1:]}")
    assert problems_of(admin.raw) == []
    assert len(admin.log) > STEPS // 2, admin.log
    assert admin.stuck == []
    check_difference(base, admin.raw, "all")
    check_difference(admin.raw, base, "back")
    assert base == untouched


@pytest.mark.parametrize(("name", "seed"), [("rich", 21), ("rich", 22), ("rich", 23), ("retail", 24), ("baseline", 25)])
def test_two_who_edited_at_once_are_put_together_or_told_apart(name: str, seed: int):
    base = BASES[name]()
    mine, theirs = Admin(base, seed), Admin(base, seed + 100)
    for _ in range(12):
        mine.step()
        theirs.step()
    found = merge(base, mine.raw, theirs.raw)
    for choice in ("mine", "theirs"):
        bundle = resolve(found, {c.path: choice for c in found.conflicts})
        for problem in problems_of(bundle):
            assert str(problem.message)
            assert fixes_of(bundle, problem), (problem.path, problem.code)
        assert Admin(bundle, 0).repaired(bundle) is not None
    changed = {c.path for c in compare(base, found.bundle)}
    assert changed or found.conflicts
    assert all(not same(c.mine, c.theirs) for c in found.conflicts)
