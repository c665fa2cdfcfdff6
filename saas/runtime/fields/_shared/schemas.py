"""Building blocks of `options_schema`. Titles and descriptions are English source texts; the designer translates them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import noop as N_

KEY_PATTERN = "^[a-z][a-z0-9_]{0,47}$"
VISIBLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"  # as for every label (common.schema.json)
COLOR_NAMES = {
    "gray": N_("Gray"), "red": N_("Red"), "orange": N_("Orange"), "yellow": N_("Yellow"), "green": N_("Green"), "teal": N_("Teal"), "blue": N_("Blue"),
    "indigo": N_("Indigo"), "purple": N_("Purple"), "pink": N_("Pink"),
}  # fmt: skip
COLORS = tuple(COLOR_NAMES)


def options(properties: Mapping[str, Any] | None = None, *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The schema of a type's own properties."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties or {}), "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def prop(title: str, description: str, default: Any, **schema: Any) -> dict[str, Any]:
    """One property; the title, description and default are what the designer shows."""
    return {"title": title, "description": description, "default": default, **schema}


def label_map(title: str, description: str) -> dict[str, Any]:
    """A text in several languages."""
    return prop(
        title, description, {}, type="object",
        additionalProperties={"type": "string", "maxLength": 200, "pattern": VISIBLE, "x-kind": "label_text"}, maxProperties=20, **control("label"),
    )  # fmt: skip


def control(name: str, **more: Any) -> dict[str, Any]:
    """How the designer asks for the property where its type does not say: entity, field, fields, relation, child_field, target_fields, option_set, options,
    bands, roles, choices, pipeline, condition, expression (with the `result` it must have), pattern, auto_pattern, label, lines."""
    return {"x-control": name, **{f"x-{key}": value for key, value in more.items()}}


def choice(title: str, description: str, default: Any, labels: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """One of the keys of `labels`, which say what each means."""
    return prop(title, description, default, type="string", enum=list(labels), **{"x-labels": dict(labels)}, **control("choice"), **more)


COLOR = choice(N_("Colour"), N_("Colour of the badge"), "gray", COLOR_NAMES)


def bands(description: str, **limits: Any) -> dict[str, Any]:
    """Names and colours from certain values on."""
    band = {
        "type": "object",
        "properties": {
            "from": prop(N_("From"), N_("Lowest value of the band"), 0, type="integer", **limits),
            "label": label_map(N_("Label"), N_("What people see")),
            "color": COLOR,
        },
        "required": ["from"],
        "additionalProperties": False,
    }
    return prop(N_("Bands"), description, [], type="array", items=band, maxItems=20, **control("bands"))


OPTION = {
    "type": "object",
    "properties": {
        "key": prop(N_("Key"), N_("Machine name; stays when the label changes"), "", type="string", pattern=KEY_PATTERN, **{"x-kind": "key"}),
        "label": label_map(N_("Label"), N_("What people see")),
        "color": COLOR,
        "active": prop(N_("Active"), N_("Retired options stay on old records but cannot be chosen"), True, type="boolean"),
        "parent": prop(N_("Belongs to"), N_("Option of the field or set this one depends on"), None, type=["string", "null"]),
    },
    "required": ["key", "label"],
    "additionalProperties": False,
}


def choice_options(*, depends: bool) -> dict[str, Any]:
    """Options of the types that choose from a set or an inline list."""
    properties = {
        "set": prop(
            N_("Option set"), N_("Key of a set that several fields share"), None,
            type=["string", "null"], pattern=KEY_PATTERN, **control("option_set"),
        ),
        "options": prop(
            N_("Options"), N_("Choices of this field alone, instead of a set"), [],
            type="array", items=OPTION, maxItems=5000, **control("options"),
        ),
    }  # fmt: skip
    if depends:
        properties["depends_on"] = prop(
            N_("Depends on"), N_("Another option field; only options that belong to its value are offered"), None,
            type=["string", "null"], pattern=KEY_PATTERN, **control("field"),
        )  # fmt: skip
    return options(properties)
