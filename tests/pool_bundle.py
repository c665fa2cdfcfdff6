"""A company that shares its customers through pools: two of them, with limits, cooling, recycling and a stage that goes along."""

from __future__ import annotations

import copy
from typing import Any

from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import DEPARTMENTS, _all, _role, options

CLIENT = {
    "key": "client", "label": label("Client"), "plural": label("Clients"), "title": "name", "search": ["name"],
    "fields": [
        fld("name", "text", required=True, max_length=60), fld("region", "option", options=options("north", "south")), fld("key", "bool"),
        fld("library", "pipeline", pipeline="library"), fld("note", "text"),
    ],
    "countdown_label": label("Days to go"),
    "pools": [
        {"key": "south", "label": label("Southern pool"), "when": "region == 'south'", "see": "dept_tree", "claim_transition": "claim", "release_transition": "give_up",
         "assign_roles": ["boss"], "release_roles": ["boss", "seller"]},
        {"key": "open", "label": label("Open pool"), "claim_transition": "claim", "release_transition": "give_up", "see_roles": ["seller", "boss"], "assign_roles": ["boss"],
         "max_held": "most_held", "held_if": "library == 'potential'", "cooldown_days": 7, "claims_per_day": "per_day", "recycle_days": "keep_days", "warn_days": [3, 1],
         "touch": ["update"], "touch_lists": ["calls"], "recycle_unless": "key == true"},
    ],
}  # fmt: skip

CALL = {
    "key": "call", "label": label("Call"), "plural": label("Calls"), "title": "text",
    "fields": [fld("text", "text"), fld("client", "ref", to="client", inverse={"key": "calls", "label": label("Calls")}, on_delete="cascade")],
}  # fmt: skip

LIBRARY = {
    "key": "library", "entity": "client", "field": "library", "label": label("Library"),
    "stages": [{"key": "public", "label": label("Public")}, {"key": "potential", "label": label("Potential")}, {"key": "deal", "label": label("Deal"), "kind": "won"}],
    "transitions": [
        {"key": "claim", "label": label("Claim"), "from": ["public"], "to": "potential", "roles": ["admin"]},
        {"key": "give_up", "label": label("Give up"), "from": ["potential"], "to": "public", "roles": ["admin"], "ask": ["note"]},
        {"key": "win", "label": label("Win"), "from": ["potential"], "to": "deal"},
    ],
}  # fmt: skip

ROLES = [
    {"key": "admin", "label": label("Administrator"), "admin": True},
    _role("boss", {"client": _all("dept_tree", bulk=True), "call": _all("all")}),
    _role("seller", {"client": {"create": True, "read": "own", "update": "own", "bulk": True}, "call": _all("own")}),
    _role("watcher", {"client": {"read": "own"}}),
    _role("outsider", {"call": _all("own")}),
]  # fmt: skip


def pool_bundle() -> dict[str, Any]:
    return copy.deepcopy({
        "format": 1, "pack": {"key": "pools", "version": "1.0.0", "label": label("Pools"), "icon": "briefcase"},
        "settings": [{"key": "keep_days", "label": label("Days"), "type": "int", "default": 30}, {"key": "per_day", "label": label("A day"), "type": "int", "default": 90}, {"key": "most_held", "label": label("Most"), "type": "int", "default": 3}],
        "departments": DEPARTMENTS, "entities": [CLIENT, CALL], "pipelines": [LIBRARY], "roles": ROLES,
    })  # fmt: skip
