"""Forms that people make at run time: from a name, some fields and who decides to ordinary definitions of a bundle. Pure functions.

A data form is an entity that people fill in. A process form also has stages and an approval: a draft is kept until it is sent, then the people
of its steps decide, and nobody changes it any more."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saas.metadata.blueprints import TAKEN, Label, Raw
from saas.metadata.edits import key_for

DATA, PROCESS = "data", "process"
# What a field of a form may be: type, and the options that come with it.
FIELD_TYPES: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "text", "max_length": 200}, "longtext": {"type": "longtext"}, "number": {"type": "number"}, "money": {"type": "money"}, "date": {"type": "date"},
    "bool": {"type": "bool"}, "option": {"type": "option"}, "user": {"type": "user"}, "file": {"type": "file"},
}  # fmt: skip
STAGES = (
    ("draft", {"en": "Draft", "zh_CN": "草稿"}, "gray", "open"), ("asked", {"en": "In approval", "zh_CN": "审批中"}, "blue", "open"),
    ("approved", {"en": "Approved", "zh_CN": "已批准"}, "green", "done"), ("rejected", {"en": "Rejected", "zh_CN": "已驳回"}, "red", "lost"),
)  # fmt: skip
NUMBER: Label = {"en": "Number", "zh_CN": "编号"}
STAGE: Label = {"en": "Status", "zh_CN": "状态"}
APPROVAL: Label = {"en": "Approval", "zh_CN": "审批"}


@dataclass(frozen=True, slots=True)
class FieldWish:
    label: Label
    type: str = "text"
    required: bool = False
    options: Sequence[Label] = ()


@dataclass(frozen=True, slots=True)
class FormWish:
    """What somebody asks for. `fillers` are the roles whose people fill it in and see their own, `readers` those who see all of
    them; `steps` are those of its approval, as a bundle has them, without keys."""

    label: Label
    kind: str = DATA
    icon: str = "file-text"
    description: Label = field(default_factory=dict)
    fields: Sequence[FieldWish] = ()
    fillers: Collection[str] = ()
    readers: Collection[str] = ()
    steps: Sequence[Mapping[str, Any]] = ()


def add_form(raw: Mapping[str, Any], wish: FormWish) -> tuple[Raw, str]:
    """The bundle with the form, and the key of its entity."""
    result: Raw = copy.deepcopy(dict(raw))
    key = key_for(wish.label, {*TAKEN, *(e.get("key") for e in raw.get("entities", ())), *(p.get("key") for p in raw.get("pipelines", ()))}, "form")
    fields = _fields(wish)
    entity: Raw = {
        "key": key, "label": dict(wish.label), "plural": dict(wish.label), "icon": wish.icon, "title": "number", "form": wish.kind, "fields": [
            {"key": "number", "type": "auto", "label": dict(NUMBER), "pattern": "{yyyy}-{seq:4}", "reset": "year"}, *fields,
        ],
        **({"description": dict(wish.description)} if wish.description else {}),
    }  # fmt: skip
    if text := next((f["key"] for f in fields if f["type"] in ("text", "date")), None):
        entity["subtitle"] = text
    result.setdefault("entities", []).append(entity)
    if wish.kind == PROCESS:
        entity["fields"].insert(1, {"key": "stage", "type": "pipeline", "label": dict(STAGE), "pipeline": key})
        entity["editable_if"] = entity["deletable_if"] = "stage == 'draft'"
        result.setdefault("pipelines", []).append(_pipeline(key, wish, result))
        result.setdefault("approvals", []).append(_approval(result, key, wish, [f["key"] for f in fields]))
    for role in result.get("roles", ()):
        _give(role, key, wish)
    return result, key


def _fields(wish: FormWish) -> list[Raw]:
    found: list[Raw] = []
    for asked in wish.fields:
        key = key_for(asked.label, {*TAKEN, "number", "stage", *(f["key"] for f in found)}, "field")
        made: Raw = {"key": key, "label": dict(asked.label), **FIELD_TYPES[asked.type]}
        if asked.required:
            made["required"] = True
        if asked.type == "option":
            taken: set[str] = set()
            options = []
            for label in asked.options:
                option = key_for(label, taken, "option")
                taken.add(option)
                options.append({"key": option, "label": dict(label)})
            made["options"] = options
        found.append(made)
    return found


def _pipeline(key: str, wish: FormWish, raw: Mapping[str, Any]) -> Raw:
    """Only the applicant sends it; the rest is done by the approval. Administrators' roles stand where nobody may by hand."""
    admins = [r["key"] for r in raw.get("roles", ()) if r.get("admin")][:1]
    moves = (
        ("submit", {"en": "Submit", "zh_CN": "提交"}, "draft", "asked", "primary"), ("approve", {"en": "Approve", "zh_CN": "批准"}, "asked", "approved", "default"),
        ("reject", {"en": "Reject", "zh_CN": "驳回"}, "asked", "rejected", "default"), ("back", {"en": "Back to draft", "zh_CN": "退回草稿"}, "asked", "draft", "default"),
    )  # fmt: skip
    return {
        "key": key, "entity": key, "field": "stage", "label": dict(wish.label),
        "stages": [{"key": k, "label": dict(label), "color": color, "kind": kind} for k, label, color, kind in STAGES],
        "transitions": [
            {"key": k, "label": dict(label), "from": [source], "to": to, "style": style, **({"allow_if": "owner == me()"} if k == "submit" else {"roles": admins} if admins else {})}
            for k, label, source, to, style in moves
        ],
    }  # fmt: skip


def _approval(raw: Mapping[str, Any], key: str, wish: FormWish, shown: list[str]) -> Raw:
    taken: set[str] = set()
    steps = []
    for step in wish.steps:
        own = key_for(step["label"], taken, "step")
        taken.add(own)
        steps.append({**step, "key": own})
    name = key_for(wish.label, {a.get("key") for a in raw.get("approvals", ())}, "approval")
    return {
        "key": name, "entity": key, "label": {k: f"{wish.label.get(k) or next(iter(wish.label.values()))} · {text}" for k, text in APPROVAL.items()},
        "start": {"button": False, "transitions": ["submit"], "guards": ["approve"]}, "steps": steps, "shown": shown,
        "outcome": {"approved": "approve", "rejected": "reject", "withdrawn": "back", "returned": "back"},
    }  # fmt: skip


def _give(role: Raw, key: str, wish: FormWish) -> None:
    """Who was not named gets nothing, also where a role would see all that is new."""
    if role.get("admin"):
        return
    name, rights = role.get("key"), {}
    if name in wish.fillers:
        rights = {"create": True, "read": "own", "update": "own", "delete": "own"}
    if name in wish.readers:
        rights["read"], rights["export"] = "all", "all"
    if rights or "*" in role.get("entities", {}):
        role.setdefault("entities", {})[key] = rights or {"read": "none"}
    if wish.kind == PROCESS and name in wish.fillers and isinstance(role.get("transitions"), dict):
        role["transitions"][key] = ["submit"]
