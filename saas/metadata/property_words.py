"""What definitions, their properties and the choices of these are called by people. One table for forms, comparisons and lists of
usages; a test holds it complete for every JSON Schema in `schemas/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.anatomy import TYPES, is_common, sort_of, type_property

# ---- kinds of definitions -----------------------------------------------------------------------------------------------

NOUNS: Mapping[str, LazyString] = {
    "bundle": lazy("Configuration"),
    "pack": lazy("Pack"),
    "setting": lazy("Setting"),
    "option_set": lazy("Option list"),
    "option": lazy("Option"),
    "department": lazy("Department"),
    "entity": lazy("Entity"),
    "field": lazy("Field"),
    "band": lazy("Band"),
    "inverse": lazy("Other side of the relation"),
    "rule": lazy("Rule"),
    "unique": lazy("Unique rule"),
    "duplicate": lazy("Duplicate rule"),
    "tree": lazy("Tree"),
    "timeline": lazy("Timeline"),
    "source": lazy("Source of the timeline"),
    "messages": lazy("Messages"),
    "pipeline": lazy("Pipeline"),
    "stage": lazy("Stage"),
    "transition": lazy("Transition"),
    "branch": lazy("Branch"),
    "action": lazy("Action"),
    "role": lazy("Role"),
    "right": lazy("Rights"),
    "field_right": lazy("Right on a field"),
    "menu": lazy("Menu group"),
    "view": lazy("View"),
    "board": lazy("Board"),
    "layout": lazy("Layout"),
    "tab": lazy("Tab"),
    "section": lazy("Section"),
    "related": lazy("Related list"),
    "report": lazy("Report"),
    "param": lazy("Parameter"),
    "dashboard": lazy("Dashboard"),
    "widget": lazy("Widget"),
    "measure": lazy("Measure"),
    "dimension": lazy("Dimension"),
    "automation": lazy("Automation"),
    "trigger": lazy("Trigger"),
    "schedule": lazy("Schedule"),
    "every": lazy("Time"),
    "example": lazy("Example"),
    "example_record": lazy("Record of an example"),
    "example_act": lazy("What is done"),
}

# ---- properties ---------------------------------------------------------------------------------------------------------

# Properties that are called the same wherever they stand.
COMMON: Mapping[str, LazyString] = {
    "key": lazy("Key"),
    "label": lazy("Name"),
    "help": lazy("Help text"),
    "description": lazy("Description"),
    "icon": lazy("Icon"),
    "color": lazy("Colour"),
    "entity": lazy("Entity"),
    "roles": lazy("Roles"),
    "filter": lazy("Filter"),
    "type": lazy("Type"),
    "message": lazy("Message"),
    "sort": lazy("Sort order"),
    "columns": lazy("Columns"),
    "fields": lazy("Fields"),
    "if": lazy("Condition"),
    "widgets": lazy("Widgets"),
    "options": lazy("Options"),
}

PROPERTIES: Mapping[str, Mapping[str, LazyString]] = {
    "bundle": {
        "$schema": lazy("JSON Schema"), "format": lazy("Format"), "pack": lazy("Pack"), "settings": lazy("Settings"), "option_sets": lazy("Option lists"),
        "departments": lazy("Departments"), "entities": lazy("Entities"), "pipelines": lazy("Pipelines"), "roles": lazy("Roles"), "views": lazy("Views"),
        "layouts": lazy("Layouts"), "reports": lazy("Reports"), "dashboards": lazy("Dashboards"), "automations": lazy("Automations"),
        "schedules": lazy("Schedules"), "examples": lazy("Examples"),
    },
    "pack": {"version": lazy("Version")},
    "setting": {"default": lazy("Standard value"), "min": lazy("Smallest value"), "max": lazy("Largest value")},
    "option_set": {"tree": lazy("Options form a tree")},
    "option": {"active": lazy("Offered for new values"), "parent": lazy("Belongs to")},
    "department": {"parent": lazy("Part of")},
    "entity": {
        "plural": lazy("Name of several"), "title": lazy("Field that names a record"), "subtitle": lazy("Field below the name"),
        "owned": lazy("Records have an owner"), "owner_label": lazy("What the owner is called"), "owner_roles": lazy("Roles that may be owner"),
        "search": lazy("Searched fields"), "rules": lazy("Rules"), "unique": lazy("Unique rules"), "duplicates": lazy("Duplicate rules"),
        "read_only": lazy("Fed from outside"), "append_only": lazy("Never changed or deleted"), "editable_if": lazy("Can be edited if"),
        "deletable_if": lazy("Can be deleted if"), "assignees": lazy("Fields that assign people"), "tree": lazy("Tree"),
        "timeline": lazy("Timeline"), "messages": lazy("Messages"),
    },
    "field": {
        "required": lazy("Must be filled"), "required_if": lazy("Must be filled if"), "visible_if": lazy("Shown if"), "read_only": lazy("Nobody edits it"),
        "read_only_if": lazy("Nobody edits it if"), "set_once": lazy("Cannot change after creation"), "default": lazy("Default value"),
        "unique": lazy("No two records share a value"), "message": lazy("Text when the value is refused"), "sensitive": lazy("Masked in exports"),
        "hidden": lazy("Only on layouts that name it"), "indexed": lazy("Sorting and filtering stay fast in long lists"),
    },
    "band": {"from": lazy("From")},
    "inverse": {},
    "rule": {"expr": lazy("What must hold"), "field": lazy("Shown at the field")},
    "unique": {"when": lazy("Only for records where")},
    "duplicate": {"match": lazy("Compared fields"), "action": lazy("What to do")},
    "tree": {"parent": lazy("Field of the record above"), "max_depth": lazy("Levels of the tree")},
    "timeline": {"sources": lazy("Sources of the timeline")},
    "source": {"via": lazy("Field that leads here"), "at": lazy("Time shown"), "kind": lazy("Kind of entry")},
    "messages": {
        "created": lazy("Text after creating"), "updated": lazy("Text after changing"), "deleted": lazy("Text after deleting"),
        "confirm_delete": lazy("Question before deleting"),
    },
    "pipeline": {"field": lazy("Field of the stage"), "stages": lazy("Stages"), "transitions": lazy("Transitions")},
    "stage": {"kind": lazy("Meaning"), "probability": lazy("Chance of success in percent"), "age_alert_days": lazy("Days after which a record is late")},
    "transition": {
        "from": lazy("From stages"), "to": lazy("To stage"), "branches": lazy("Branches"), "roles": lazy("Roles that may do it"),
        "allow_if": lazy("Offered if"), "guard": lazy("Allowed only if"), "guard_message": lazy("Text when it is refused"),
        "require": lazy("Fields that must be filled"), "ask": lazy("Fields that are asked for"), "set": lazy("Values it sets"),
        "confirm": lazy("Question before"), "done": lazy("Text afterwards"), "style": lazy("Look of the button"), "effects": lazy("What follows"),
    },
    "branch": {"to": lazy("To stage")},
    "action": {"action": lazy("Action"), "as": lazy("Name for later actions")},
    "role": {
        "admin": lazy("Every right on everything"), "external": lazy("For people outside the company"), "entities": lazy("Rights per entity"),
        "transitions": lazy("Transitions it may do"), "reports": lazy("Reports"), "dashboards": lazy("Dashboards"), "settings": lazy("Settings pages"),
        "home": lazy("Start page"), "menu": lazy("Menu"),
    },
    "right": {
        "create": lazy("Create"), "read": lazy("See"), "update": lazy("Edit"), "delete": lazy("Delete"), "export": lazy("Export"), "import": lazy("Import"),
        "bulk": lazy("Bulk changes"), "fields": lazy("Rights on fields"),
    },
    "field_right": {"access": lazy("Access"), "mask": lazy("Mask")},
    "menu": {"items": lazy("Entries")},
    "view": {
        "kind": lazy("Kind"), "page_size": lazy("Rows a page"), "group": lazy("Grouped by"), "default": lazy("Shown first"),
        "roles": lazy("Shown to the roles"), "board": lazy("Board"),
    },
    "board": {"by": lazy("Field of the board's columns"), "sum": lazy("Sum above each column"), "card": lazy("Fields on the cards")},
    "layout": {
        "roles": lazy("For the roles"), "header": lazy("Fields in the head"), "timeline": lazy("Timeline beside the tabs"), "tabs": lazy("Tabs"),
    },
    "tab": {"sections": lazy("Sections"), "related": lazy("Related lists"), "timeline": lazy("Shows the timeline")},
    "section": {"columns": lazy("Number of columns")},
    "related": {"key": lazy("Related list")},
    "report": {"params": lazy("Parameters")},
    "param": {"field": lazy("Field"), "kind": lazy("Kind")},
    "widget": {
        "measures": lazy("Measures"), "dimensions": lazy("Grouped by"), "limit": lazy("Rows"), "width": lazy("Width in twelfths"),
        "report": lazy("Report"), "widget": lazy("Widget"),
    },
    "measure": {"fn": lazy("Function"), "field": lazy("Field")},
    "dimension": {"field": lazy("Field"), "bucket": lazy("Period")},
    "dashboard": {},
    "automation": {"on": lazy("When"), "active": lazy("Switched on"), "do": lazy("What happens")},
    "trigger": {"trigger": lazy("When")},
    "schedule": {
        "every": lazy("Time"), "where": lazy("For records where"), "once_per": lazy("At most once per"), "active": lazy("Switched on"),
        "do": lazy("What happens"),
    },
    "every": {"cron": lazy("Time")},
    "example": {
        "as": lazy("Who does it"), "given": lazy("The record before"), "records": lazy("Other records before"), "state": lazy("Stage before"),
        "when": lazy("What is done"), "expect": lazy("What must happen"), "message": lazy("Text the refusal must contain"),
        "then": lazy("What must hold afterwards"),
    },
    "example_record": {"values": lazy("Values")},
    "example_act": {
        "create": lazy("Create the record"), "update": lazy("Change these fields"), "transition": lazy("Do the transition"),
        "values": lazy("Values given with it"), "delete": lazy("Delete the record"), "read": lazy("Open the record"),
    },
}  # fmt: skip


def noun(kind: str) -> LazyString:
    """“Field”, “Transition”, …"""
    return NOUNS.get(kind) or lazy("Part")


def property_word(kind: str, name: str, definition: Mapping[str, Any] | None = None) -> LazyString:
    """What a property is called. `definition` tells the type, whose own properties have their names in its schema."""
    own = PROPERTIES.get(kind, {}).get(name)
    if own is None and (kind not in TYPES or is_common(kind, name)):
        own = COMMON.get(name)
    if own is None and (title := type_property(kind, name, definition).get("title")):
        own = lazy(title)
    return own or COMMON.get(name) or lazy(name.replace("_", " ").capitalize())


# ---- choices ------------------------------------------------------------------------------------------------------------

YES, NO = lazy("yes"), lazy("no")

COLORS: Mapping[str, LazyString] = {
    "gray": lazy("Gray"), "red": lazy("Red"), "orange": lazy("Orange"), "yellow": lazy("Yellow"), "green": lazy("Green"), "teal": lazy("Teal"),
    "blue": lazy("Blue"), "indigo": lazy("Indigo"), "purple": lazy("Purple"), "pink": lazy("Pink"),
}  # fmt: skip
ICONS: Mapping[str, LazyString] = {
    "user": lazy("Person"), "users": lazy("People"), "building": lazy("Building"), "briefcase": lazy("Briefcase"), "target": lazy("Target"),
    "phone": lazy("Telephone"), "mail": lazy("Letter"), "calendar": lazy("Calendar"), "check-square": lazy("Check mark"), "file-text": lazy("Document"),
    "package": lazy("Parcel"), "truck": lazy("Lorry"), "star": lazy("Star"), "heart": lazy("Heart"), "flag": lazy("Flag"), "tag": lazy("Tag"),
    "ticket": lazy("Ticket"), "megaphone": lazy("Megaphone"), "chart-bar": lazy("Bar chart"), "coins": lazy("Coins"), "credit-card": lazy("Bank card"),
    "book": lazy("Book"), "message": lazy("Speech bubble"), "alert": lazy("Warning sign"), "clock": lazy("Clock"), "folder": lazy("Folder"),
    "gift": lazy("Gift"), "shield": lazy("Shield"), "home": lazy("House"), "list": lazy("List"), "box": lazy("Box"),
}  # fmt: skip
SCOPES: Mapping[str, LazyString] = {
    "none": lazy("none"), "own": lazy("own records"), "assigned": lazy("records assigned to them"), "participant": lazy("records they take part in"),
    "team": lazy("records of their team"), "dept": lazy("records of their department"), "dept_tree": lazy("records of their department and those below"),
    "all": lazy("all records"),
}  # fmt: skip
ACCESS: Mapping[str, LazyString] = {"hidden": lazy("hidden"), "masked": lazy("masked"), "read": lazy("read only"), "write": lazy("editable")}
_PERIODS = {"day": lazy("day"), "week": lazy("week"), "month": lazy("month"), "quarter": lazy("quarter"), "year": lazy("year")}
_FUNCTIONS = {
    "count": lazy("number of records"), "count_distinct": lazy("number of different values"), "sum": lazy("sum"), "avg": lazy("average"),
    "min": lazy("smallest"), "max": lazy("largest"),
}  # fmt: skip

CHOICES: Mapping[str, Mapping[str, Mapping[str, LazyString]]] = {
    "setting": {
        "type": {"int": lazy("whole number"), "number": lazy("number"), "bool": lazy("yes or no"), "text": lazy("text"), "date": lazy("date")},
    },
    "duplicate": {"action": {"warn": lazy("ask whether to go on"), "block": lazy("refuse")}},
    "stage": {"kind": {"open": lazy("in progress"), "won": lazy("won"), "lost": lazy("lost"), "done": lazy("done")}},
    "transition": {"style": {"default": lazy("plain"), "primary": lazy("important"), "danger": lazy("dangerous")}},
    "view": {"kind": {"list": lazy("list"), "board": lazy("board")}},
    "role": {
        "settings": {
            "config": lazy("Configuration"), "users": lazy("People"), "audit": lazy("Audit log"), "jobs": lazy("Jobs"), "brand": lazy("Name and colour"),
            "import": lazy("Import"), "export": lazy("Export"), "api": lazy("API"), "*": lazy("all"),
        },
    },
    "param": {"kind": {"year": lazy("year"), "period": lazy("period"), "option": lazy("choice"), "user": lazy("person")}},
    "measure": {"fn": _FUNCTIONS},
    "dimension": {"bucket": _PERIODS},
    "schedule": {
        "once_per": {
            "run": lazy("run"), "day": lazy("day"), "week": lazy("week"), "month": lazy("month"), "year": lazy("year"), "ever": lazy("record, ever"),
        },
    },
    "example": {"expect": {"allowed": lazy("it is allowed"), "refused": lazy("it is refused")}},
    "field": {
        "pattern": {
            "letters": lazy("letters"), "digits": lazy("digits"), "letters_digits": lazy("letters and digits"), "code": lazy("letters, digits and . _ / -"),
            "hex": lazy("digits 0-9 and letters A-F"),
        },
    },
}  # fmt: skip
_BY_SORT: Mapping[str, Mapping[str, LazyString]] = {"color": COLORS, "icon": ICONS}


def choice_word(kind: str, name: str, value: Any, definition: Mapping[str, Any] | None = None) -> LazyString | None:
    """What one of a property's fixed values is called; None where the value is not one of these."""
    if isinstance(value, bool):
        return YES if value else NO
    if not isinstance(value, str):
        return None
    if kind in TYPES and name == TYPES[kind][0]:
        found = TYPES[kind][1].find(value)
        return found.label if found is not None else None
    if kind == "field_right" and name == "access":
        return ACCESS.get(value)
    labels = type_property(kind, name, definition).get("x-labels") or {}
    if value in labels:
        return lazy(labels[value])
    return CHOICES.get(kind, {}).get(name, {}).get(value) or _BY_SORT.get(sort_of(kind, name), {}).get(value)
