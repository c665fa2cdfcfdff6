"""Building blocks of `options_schema`. Titles and descriptions are English source texts; the designer translates them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import noop as N_

KEY_PATTERN = "^[a-z][a-z0-9_]{0,47}$"
COLORS = ("gray", "red", "orange", "yellow", "green", "teal", "blue", "indigo", "purple", "pink")


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
        additionalProperties={"type": "string", "maxLength": 200}, maxProperties=20,
    )  # fmt: skip


OPTION = {
    "type": "object",
    "properties": {
        "key": prop(N_("Key"), N_("Machine name; stays when the label changes"), "", type="string", pattern=KEY_PATTERN),
        "label": label_map(N_("Label"), N_("What people see")),
        "color": prop(N_("Colour"), N_("Colour of the badge"), "gray", type="string", enum=list(COLORS)),
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
            type=["string", "null"], pattern=KEY_PATTERN,
        ),
        "options": prop(
            N_("Options"), N_("Choices of this field alone, instead of a set"), [],
            type="array", items=OPTION, maxItems=1000,
        ),
    }  # fmt: skip
    if depends:
        properties["depends_on"] = prop(
            N_("Depends on"), N_("Another option field; only options that belong to its value are offered"), None,
            type=["string", "null"], pattern=KEY_PATTERN,
        )  # fmt: skip
    return options(properties)
