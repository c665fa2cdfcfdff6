"""A bundle with drawings: a plan against what happened, an organisation chart, people who know each other."""

from __future__ import annotations

import copy
from typing import Any

from tests.bundles import field, label

PROJECT = {
    "key": "project", "label": label("Project"), "plural": label("Projects"), "title": "name", "search": ["name"],
    "fields": [field("name", "text", required=True), field("due", "date"), field("finished", "date"), field("photo", "image"), field("papers", "file", multiple=True), field("budget", "money"), field("state", "pipeline", pipeline="project", widget="tristate")],
}  # fmt: skip
STEP = {
    "key": "step", "label": label("Step"), "plural": label("Steps"), "title": "name",
    "fields": [
        field("name", "text", required=True), field("project", "ref", to="project", required=True, on_delete="cascade", detail=True, inverse={"key": "steps", "label": label("Steps")}),
        field("plan_from", "date"), field("plan_to", "date"), field("began", "datetime"), field("ended", "date"), field("who", "text"), field("cost", "money"),
        field("phase", "option", options=[{"key": "early", "label": label("Early"), "color": "teal"}, {"key": "deep", "label": label("Deep"), "color": "purple"}]),
    ],
}  # fmt: skip
CONTACT = {
    "key": "contact", "label": label("Contact"), "plural": label("Contacts"), "title": "name", "search": ["name"],
    "fields": [
        field("name", "text", required=True), field("project", "ref", to="project", on_delete="cascade", inverse={"key": "contacts", "label": label("Contacts")}),
        field("superior", "ref", to="contact", on_delete="set_null", inverse={"key": "staff", "label": label("Staff")}), field("post", "text"),
    ],
}  # fmt: skip
LINK = {
    "key": "link", "label": label("Link"), "plural": label("Links"), "title": "note",
    "fields": [
        field("one", "ref", to="contact", required=True, on_delete="cascade", inverse={"key": "links_from", "label": label("Links from")}),
        field("other", "ref", to="contact", required=True, on_delete="cascade", inverse={"key": "links_to", "label": label("Links to")}),
        field("kind", "option", options=[{"key": "spouse", "label": label("Spouse"), "color": "pink"}, {"key": "mentor", "label": label("Mentor"), "color": "blue"}]), field("note", "text"),
    ],
}  # fmt: skip
CHARTS = [
    {"key": "plan", "label": label("Plan"), "entity": "project", "kind": "gantt", "list": "steps", "planned_start": "plan_from", "planned_end": "plan_to", "actual_start": "began", "actual_end": "ended", "color_by": "phase", "shows": ["who"]},
    {"key": "projects", "label": label("Time line"), "entity": "project", "kind": "gantt", "planned_end": "due", "actual_end": "finished", "color_by": "state"},
    {"key": "people", "label": label("Organisation"), "entity": "project", "kind": "tree", "list": "contacts", "parent": "superior", "shows": ["post"]},
    {"key": "org", "label": label("Place"), "entity": "contact", "kind": "tree", "parent": "superior"},
    {"key": "circle", "label": label("Circle"), "entity": "contact", "kind": "graph", "links": "link", "link_from": "one", "link_to": "other", "link_kind": "kind", "symmetric": ["spouse"], "link_shows": ["note"]},
    {"key": "web", "label": label("Web"), "entity": "project", "kind": "graph", "list": "contacts", "links": "link", "link_from": "one", "link_to": "other", "link_kind": "kind", "symmetric": ["spouse"]},
]  # fmt: skip
PIPELINE = {
    "key": "project", "entity": "project", "field": "state", "label": label("Project"),
    "stages": [{"key": "open", "label": label("Open"), "color": "gray"}, {"key": "good", "label": label("Success"), "kind": "won", "color": "green"}, {"key": "bad", "label": label("Failure"), "kind": "lost", "color": "red"}],
    "transitions": [
        {"key": "succeed", "label": label("Succeeded"), "from": ["open"], "to": "good", "guard": "finished != null", "guard_message": label("Say when it was finished")},
        {"key": "fail", "label": label("Failed"), "from": ["open"], "to": "bad"}, {"key": "reopen", "label": label("Reopen"), "from": ["good", "bad"], "to": "open"},
    ],
}  # fmt: skip
DOCUMENTS = [
    {"key": "order", "label": label("Order"), "entity": "project", "heading": label("Order: {{ name }}"), "signatures": label("{{ company }}\nThe client"), "file_field": "papers", "parts": [
        {"key": "head", "fields": ["name", "due", "budget", "state"]},
        {"key": "steps", "list": "steps", "label": label("What is done"), "fields": ["name", "plan_from", "plan_to", "who", "cost"], "totals": ["cost"]},
        {"key": "terms", "label": label("Terms"), "text": label("Payable by {{ due }}.\n\n#import \"secret\" is no program.")},
        {"key": "photos", "image": "photo"}]},
    {"key": "receipt", "label": label("Receipt"), "entity": "project", "paper": "a5", "where": "finished != null", "roles": ["worker"], "parts": [{"key": "head", "fields": ["name", "finished"]}]},
    {"key": "card", "label": label("Card"), "entity": "contact", "parts": [{"key": "own", "fields": ["name", "post"]}, {"key": "work", "ref": "project", "label": label("Works for"), "fields": ["name"]}]},
]  # fmt: skip
AUTOMATIONS = [{"key": "paper", "label": label("Paper"), "entity": "project", "on": {"trigger": "transition", "to": "good"}, "do": [{"action": "generate_document", "document": "order"}]}]
_ALL = {key: {"create": True, "read": "all", "update": "all", "delete": "all"} for key in ("project", "step", "contact", "link")}
ROLES = [
    {"key": "admin", "label": label("Administrator"), "admin": True},
    {"key": "worker", "label": label("Worker"), "entities": _ALL},
    {"key": "guide", "label": label("Guide"), "entities": {"project": {"read": "all", "export": "own"}}},
    {"key": "reader", "label": label("Reader"), "entities": {"project": {"read": "all"}, "step": {"read": "all", "fields": {"plan_to": "hidden"}}, "contact": {"read": "all"}, "link": {"read": "none"}}},
]  # fmt: skip


def drawing_bundle() -> dict[str, Any]:
    return copy.deepcopy({
        "format": 1, "pack": {"key": "drawings", "version": "1.0.0", "label": label("Drawings")},
        "entities": [PROJECT, STEP, CONTACT, LINK], "pipelines": [PIPELINE], "roles": ROLES, "charts": CHARTS, "documents": DOCUMENTS, "automations": AUTOMATIONS,
    })  # fmt: skip
