"""New entities from a name and ticked features: everything people need to work with one at once, as changes to a bundle's JSON.

Pure functions; what comes out is ordinary configuration that can be changed like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saas.i18n import LOCALES
from saas.metadata.check import OWNED, RESERVED
from saas.metadata.edits import MAX_KEY, key_for
from saas.metadata.semantics import MENU_WORDS

Raw = dict[str, Any]
Label = Mapping[str, str]

FEATURES = ("owner", "pipeline", "calendar", "tags", "lines", "timeline", "attachments")
RIGHTS = {"create": True, "read": "all", "update": "all", "delete": "own", "export": "all"}
TAKEN = frozenset((*RESERVED, *OWNED, *MENU_WORDS, "form"))  # words no new entity or field is called by

NAME: Label = {"en": "Name", "zh_CN": "名称"}
STAGE: Label = {"en": "Stage", "zh_CN": "阶段"}
START: Label = {"en": "Start", "zh_CN": "开始日期"}
END: Label = {"en": "End", "zh_CN": "结束日期"}
BEFORE_START: Label = {"en": "The end must not lie before the start", "zh_CN": "结束日期不能早于开始日期"}
UPCOMING: Label = {"en": "Upcoming", "zh_CN": "即将开始"}
TAGS: Label = {"en": "Tags", "zh_CN": "标签"}
FILES: Label = {"en": "Attachments", "zh_CN": "附件"}
LINES: Label = {"en": "Lines", "zh_CN": "明细"}
DESCRIPTION: Label = {"en": "Description", "zh_CN": "说明"}
QUANTITY: Label = {"en": "Quantity", "zh_CN": "数量"}
PRICE: Label = {"en": "Unit price", "zh_CN": "单价"}
AMOUNT: Label = {"en": "Amount", "zh_CN": "金额"}
TOTAL: Label = {"en": "Total", "zh_CN": "总额"}
OVERVIEW: Label = {"en": "Overview", "zh_CN": "概览"}
TIMELINE: Label = {"en": "Timeline", "zh_CN": "时间线"}

STAGES: tuple[tuple[str, Label, str, str], ...] = (
    ("new", {"en": "New", "zh_CN": "新建"}, "gray", "open"),
    ("in_progress", {"en": "In progress", "zh_CN": "进行中"}, "blue", "open"),
    ("done", {"en": "Done", "zh_CN": "已完成"}, "green", "done"),
)
MOVES: tuple[tuple[str, Label, str, str, str], ...] = (
    ("start", {"en": "Start", "zh_CN": "开始"}, "new", "in_progress", "primary"),
    ("finish", {"en": "Finish", "zh_CN": "完成"}, "in_progress", "done", "primary"),
    ("reopen", {"en": "Reopen", "zh_CN": "重新打开"}, "done", "in_progress", "default"),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for: names, the features ticked, the roles whose people shall use it."""

    label: Label
    plural: Label = field(default_factory=dict)
    icon: str = "box"
    description: Label = field(default_factory=dict)
    features: Collection[str] = ("owner",)
    roles: Collection[str] = ()


def entity_key(raw: Mapping[str, Any], label: Label) -> str:
    """A machine name for a new entity, from what people call it."""
    return key_for(label, {*TAKEN, *(e.get("key") for e in raw.get("entities", ()))}, "entity")


def uses_new_entities(role: Mapping[str, Any]) -> bool:
    """Whether a role sees what is added without being told about it: an administrator's, or one with rights on everything."""
    return bool(role.get("admin")) or _grants(role.get("entities", {}).get("*"))


def add_entity(raw: Mapping[str, Any], wish: Wish) -> tuple[Raw, str]:
    """The bundle with the entity, and its key: fields, pipeline, lines, views, layout, rights and menu entries included."""
    result: Raw = copy.deepcopy(dict(raw))
    key = entity_key(raw, wish.label)
    made = [key]
    entity = _entity(key, wish)
    result.setdefault("entities", []).append(entity)
    for feature in FEATURES:
        if feature in wish.features and feature in _PARTS:
            _PARTS[feature](result, entity, made)
    result.setdefault("views", []).extend(_views(entity, wish))
    result.setdefault("layouts", []).append(_layout(entity, wish))
    for role in result.get("roles", ()):
        _give(role, made, wish.roles, pipeline=next((f["pipeline"] for f in entity["fields"] if f["type"] == "pipeline"), None))
    return result, key


def _entity(key: str, wish: Wish) -> Raw:
    entity: Raw = {
        "key": key, "label": dict(wish.label), "plural": {**wish.label, **wish.plural}, "icon": wish.icon, "title": "name", "search": ["name"],
        "fields": [{"key": "name", "type": "text", "label": dict(NAME), "required": True}],
    }  # fmt: skip
    if "owner" not in wish.features:
        entity["owned"] = False
    if wish.description:
        entity["description"] = dict(wish.description)
    return entity


# ---- features -----------------------------------------------------------------------------------------------------------


def _pipeline(raw: Raw, entity: Raw, _made: list[str]) -> None:
    key = _free(raw, "pipelines", entity["key"])
    entity["fields"].append({"key": "stage", "type": "pipeline", "label": dict(STAGE), "pipeline": key})
    raw.setdefault("pipelines", []).append(new_pipeline(key, entity["key"], "stage", entity["label"]))


def new_pipeline(key: str, entity: str, field_key: str, label: Label) -> Raw:
    """A pipeline of three stages with the moves between them."""
    stages = [{"key": k, "label": dict(text), "color": color, **({"kind": kind} if kind != "open" else {})} for k, text, color, kind in STAGES]
    moves = [
        {"key": k, "label": dict(text), "from": [source], "to": to, **({"style": style} if style != "default" else {})}
        for k, text, source, to, style in MOVES
    ]  # fmt: skip
    return {"key": key, "entity": entity, "field": field_key, "label": dict(label), "stages": stages, "transitions": moves}


def _calendar(_raw: Raw, entity: Raw, _made: list[str]) -> None:
    entity["fields"] += [{"key": "start", "type": "date", "label": dict(START)}, {"key": "end", "type": "date", "label": dict(END)}]
    entity["rules"] = [{"key": "end_after_start", "expr": "start == null or end == null or end >= start", "message": dict(BEFORE_START), "field": "end"}]


def _tags(_raw: Raw, entity: Raw, _made: list[str]) -> None:
    entity["fields"].append({"key": "tags", "type": "tags", "label": dict(TAGS)})


def _attachments(_raw: Raw, entity: Raw, _made: list[str]) -> None:
    entity["fields"].append({"key": "attachments", "type": "file", "label": dict(FILES), "multiple": True})


def _lines(raw: Raw, entity: Raw, made: list[str]) -> None:
    """A detail entity shown inside each record, and its total."""
    key = _free(raw, "entities", f"{entity['key'][: MAX_KEY - 8]}_line")
    name = {locale: _line_name(locale, text) for locale, text in entity["label"].items()}
    parent = {
        "key": "parent", "type": "ref", "label": dict(entity["label"]), "to": entity["key"], "required": True, "on_delete": "cascade", "detail": True,
        "set_once": True, "inverse": {"key": "lines", "label": dict(LINES)},
    }  # fmt: skip
    raw["entities"].append(
        {
            "key": key, "label": name, "plural": dict(name), "icon": "list", "title": "name", "owned": False,
            "fields": [
                parent,
                {"key": "name", "type": "text", "label": dict(DESCRIPTION), "required": True},
                {"key": "quantity", "type": "number", "label": dict(QUANTITY), "required": True, "min": 0, "default": 1},
                {"key": "unit_price", "type": "money", "label": dict(PRICE), "min": 0},
                {"key": "amount", "type": "formula", "label": dict(AMOUNT), "returns": "money", "expr": "round(quantity * unit_price, 2)"},
            ],
        }
    )  # fmt: skip
    entity["fields"].append({"key": "total", "type": "rollup", "label": dict(TOTAL), "of": "lines", "fn": "sum", "field": "amount"})
    made.append(key)


def _line_name(locale: str, text: str) -> str:
    return f"{text}{LINES['zh_CN']}" if locale == "zh_CN" else f"{text} line"


_PARTS: Mapping[str, Callable[[Raw, Raw, list[str]], None]] = {"pipeline": _pipeline, "calendar": _calendar, "tags": _tags, "lines": _lines, "attachments": _attachments}


# ---- what people see ----------------------------------------------------------------------------------------------------


def _keys(entity: Raw) -> list[str]:
    keys = [f["key"] for f in entity["fields"]]
    return [*keys, "owner"] if entity.get("owned", True) else keys


def _views(entity: Raw, wish: Wish) -> Iterable[Raw]:
    shown = [k for k in ("name", "stage", "start", "end", "total", "tags", "owner") if k in _keys(entity)]
    columns = [*shown, "updated_at"]
    every = {"en": f"All {_small(entity['plural'].get('en', ''))}".strip(), "zh_CN": f"全部{entity['plural'].get('zh_CN', '')}"}
    yield {"key": "all", "entity": entity["key"], "label": every, "default": True, "columns": columns, "sort": ["-updated_at"]}
    if "calendar" in wish.features:
        yield {"key": "upcoming", "entity": entity["key"], "label": dict(UPCOMING), "columns": columns, "filter": {"expr": "start >= today()"}, "sort": ["start"]}


def _small(text: str) -> str:
    """“Loans” inside a sentence; abbreviations stay."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _layout(entity: Raw, wish: Wish) -> Raw:
    keys = _keys(entity)
    first: Raw = {"key": "overview", "label": dict(OVERVIEW), "sections": [{"key": "main", "fields": [k for k in keys if k != "attachments"]}]}
    if "attachments" in keys:
        first["sections"].append({"key": "files", "label": dict(FILES), "fields": ["attachments"], "columns": 1})
    if "lines" in wish.features:
        first["related"] = [{"key": "lines", "columns": ["name", "quantity", "unit_price", "amount"]}]
    tabs = [first]
    if "timeline" in wish.features:
        tabs.append({"key": "history", "label": dict(TIMELINE), "timeline": True})
    header = [k for k in ("stage", "start", "end", "total", "owner") if k in keys]
    return {"key": "default", "entity": entity["key"], **({"header": header} if header else {}), "tabs": tabs}


# ---- who may use it -----------------------------------------------------------------------------------------------------


def _give(role: Raw, entities: list[str], chosen: Collection[str], *, pipeline: str | None) -> None:
    """Rights, moves and a menu entry for a chosen role; others that would see it because they see everything are told not to."""
    if role.get("key") not in chosen:
        if not role.get("admin") and uses_new_entities(role):
            role.setdefault("entities", {}).update({key: {"read": "none"} for key in entities})
        return
    if not role.get("admin"):
        role.setdefault("entities", {}).update({key: dict(RIGHTS) for key in entities})
        if pipeline and "transitions" in role:
            role["transitions"][pipeline] = "*"
    if role.get("menu"):
        _menu_group(role["menu"])["items"].append(entities[0])


def _menu_group(menu: list[Raw]) -> Raw:
    """The group that lists most kinds of records."""
    return max(menu, key=lambda g: sum(item.partition(":")[0] not in ("report", "dashboard") for item in g["items"]))


def _grants(rights: Any) -> bool:
    if not isinstance(rights, Mapping):
        return False
    return any(rights.get(name) not in (None, False, "none", []) for name in ("create", "read", "update", "delete"))


def _free(raw: Mapping[str, Any], section: str, key: str) -> str:
    """The key, or with a number behind it when it is taken."""
    return key_for({LOCALES[0]: key.replace("_", " ")}, {*TAKEN, *(d.get("key") for d in raw.get(section, ()))}, key)
