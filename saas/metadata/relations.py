"""Links between entities as changes to a bundle's JSON: what there is, and a new one with the lists on both sides. Pure functions."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from saas.metadata.blueprints import TAKEN
from saas.metadata.edits import key_for

Raw = dict[str, Any]
OnDelete = Literal["restrict", "cascade", "set_null", "keep"]


@dataclass(frozen=True, slots=True)
class Link:
    """One reference: `child.field` points to `parent`; `inverse` is what the list is called there."""

    child: str
    field: str
    parent: str
    label: Mapping[str, str]
    inverse: Mapping[str, str]
    on_delete: str
    detail: bool
    many: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A new link. `label`: what the other record is called in the child; `inverse`: what the list is called in the parent."""

    child: str
    parent: str
    label: Mapping[str, str]
    inverse: Mapping[str, str] = field(default_factory=dict)
    many: bool = False
    on_delete: OnDelete = "restrict"
    detail: bool = False
    required: bool = False
    shown: bool = True  # put on the layouts of both sides


def links(raw: Mapping[str, Any]) -> Iterator[Link]:
    """All links of a bundle, by child and field."""
    for entity in raw.get("entities", ()):
        for found in entity.get("fields", ()):
            if found.get("type") in ("ref", "m2m") and found.get("to"):
                yield Link(
                    str(entity.get("key")), str(found.get("key")), found["to"], found.get("label") or {}, (found.get("inverse") or {}).get("label") or entity.get("plural") or {},
                    found.get("on_delete", "restrict"), bool(found.get("detail")), found["type"] == "m2m", bool(found.get("required")),
                )  # fmt: skip


def add_link(raw: Mapping[str, Any], wanted: Wanted) -> tuple[Raw, str]:
    """The bundle with the link, and its field's key. KeyError for an entity that does not exist."""
    result: Raw = copy.deepcopy(dict(raw))
    by_key = {e.get("key"): e for e in result.get("entities", ())}
    child, parent = by_key[wanted.child], by_key[wanted.parent]
    label = dict(wanted.label or parent["label"])
    key = key_for(label, {*TAKEN, *(f.get("key") for f in child["fields"])}, "link")
    inverse = {"key": _inverse_key(result, wanted, child, parent), "label": dict(wanted.inverse or child["plural"])}
    made: Raw = {"key": key, "type": "m2m" if wanted.many else "ref", "label": label, "to": wanted.parent, "inverse": inverse}
    if not wanted.many:
        made["on_delete"] = wanted.on_delete
        made.update({name: True for name, on in (("detail", wanted.detail), ("required", wanted.required or wanted.detail)) if on})
    child["fields"].append(made)
    if wanted.shown:
        _show(result, wanted, key, inverse)
    return result, key


def _inverse_key(raw: Mapping[str, Any], wanted: Wanted, child: Mapping[str, Any], parent: Mapping[str, Any]) -> str:
    """A name for the list that is free among the parent's fields and lists."""
    used = {f.get("key") for f in parent["fields"]}
    for entity in raw.get("entities", ()):
        for found in entity.get("fields", ()):
            if found.get("to") == wanted.parent:
                used.add((found.get("inverse") or {}).get("key") or f"{entity['key']}_{found.get('key')}")
    return key_for(wanted.inverse or child["plural"], {*TAKEN, *used}, f"{wanted.child}_list"[:40])


def _show(raw: Raw, wanted: Wanted, key: str, inverse: Mapping[str, Any]) -> None:
    """The field on the child's layouts, the list on a tab of its own (of a detail: on the first tab) of the parent's."""
    for layout in raw.get("layouts", ()):
        tabs = layout.get("tabs") or []
        if layout.get("entity") == wanted.child and tabs:
            tab = next((t for t in tabs if t.get("sections")), tabs[0])
            tab.setdefault("sections", [{"key": "main", "fields": []}])[0]["fields"].append(key)
        if layout.get("entity") == wanted.parent and tabs:
            if wanted.detail:
                tabs[0].setdefault("related", []).append({"key": inverse["key"]})
            else:
                name = key_for(inverse["label"], {t.get("key") for t in tabs}, "list")
                tabs.append({"key": name, "label": dict(inverse["label"]), "related": [{"key": inverse["key"]}]})
