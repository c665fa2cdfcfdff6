"""The words for errors of form: one sentence that says what is wrong, one that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.problems import closest, listing

Said = tuple[str, str, LazyString, LazyString]  # suffix of the path, code, message, hint

# What belongs in a place, by the `x-kind` of its schema.
EXPECTED: dict[str, LazyString] = {
    "bundle": lazy("A bundle is one JSON object with “format”, “pack”, “entities” and “roles”."),
    "key": lazy("Use small English letters, digits and underscores, starting with a letter, at most 48: for example “order_line”."),
    "pack_key": lazy("Use small English letters, digits, underscores and hyphens, starting with a letter: for example “my-crm”."),
    "version": lazy("Write three numbers with dots, for example “1.0.0”."),
    "label": lazy("Write the text once per language, for example {\"en\": \"Customer\", \"zh_CN\": \"客户\"}."),
    "label_text": lazy("Write the text in quotes; it must not be empty."),
    "locale": lazy("Name languages like “en” or “zh_CN”."),
    "expression": lazy("Write an expression in quotes, for example \"amount > 1000\"."),
    "filter": lazy("Write a filter such as {\"field\": \"status\", \"op\": \"eq\", \"value\": \"open\"}, or an expression in quotes."),
    "color": lazy("Choose one of: gray, red, orange, yellow, green, teal, blue, indigo, purple, pink."),
    "icon": lazy("Choose one of the icon names listed in docs/packs.md, for example “user”, “building” or “phone”."),
    "keys": lazy("Write a list of keys in square brackets, for example [\"name\", \"phone\"]."),
    "keys_or_all": lazy("Write a list of keys in square brackets, or \"*\" for all."),
    "path": lazy("Write a field such as “grade”, or one step over a reference such as “customer.grade”."),
    "sort": lazy("Write a list of fields, with a minus for descending order: [\"-updated_at\", \"name\"]."),
    "sort_key": lazy("Write a field, with a minus in front for descending order: “-updated_at”."),
    "values": lazy("Write each field with the expression of its value, for example {\"status\": \"'open'\"}."),
    "list": lazy("Write a list in square brackets."),
    "scope": lazy("Choose one of: none, own, assigned, participant, team, dept, dept_tree, all."),
    "right": lazy("Write a scope such as \"own\", a scope with a condition such as {\"scope\": \"own\", \"if\": \"amount < 1000\"}, or a list."),
    "field_right": lazy("Write “hidden”, “masked”, “read” or “write”, or {\"access\": \"read\", \"if\": \"status != 'draft'\"}."),
    "create": lazy("Write true, false, or {\"if\": \"amount < 1000\"}."),
    "from": lazy("Write a list of stages in square brackets, or [\"*\"] for every stage."),
    "menu_item": lazy("Write an entity, or “entity:view”, “new:entity”, “report:key”, “statement:key”, “dashboard:key” or “board:entity”."),
    "widget_sort": lazy("Write “-value”, “value” or “label”, or a list of fields."),
    "cron": lazy("Write five parts (minute, hour, day, month, weekday), for example “0 2 * * *” for every night at two."),
    "format": lazy("Write \"format\": 1."),
    "type": lazy("Write the name of the type in quotes."),
    "text": lazy("Write a text in quotes."),
    "literals": lazy("Write each field with its value, for example {\"name\": \"Smith Ltd\", \"amount\": 500}."),
    "example_act": lazy("Write one of: {\"create\": {}}, {\"update\": {…}}, {\"transition\": \"…\"}, {\"delete\": true}, {\"read\": true}."),
    "amount": lazy("Write a whole number, or the key of a setting in quotes, for example \"pool_days\"."),
    "depth": lazy("Nothing here needs so many brackets inside each other: one may not be closed."),
    "storable": lazy("Write it anew: it holds an invisible character (NUL or half of a sign), or a number that is not finite."),
}
BY_TYPE: dict[str, LazyString] = {
    "object": lazy("Write an object in curly brackets: {\"name\": value}."),
    "array": lazy("Write a list in square brackets: [\"a\", \"b\"]."),
    "string": lazy("Write a text in quotes."),
    "boolean": lazy("Write true or false, without quotes."),
    "integer": lazy("Write a whole number, without quotes."),
    "number": lazy("Write a number, without quotes."),
    "null": lazy("Leave it out."),
}
FALLBACK = lazy("See docs/packs.md for what belongs here.")


def explain(keyword: str, value: Any, instance: Any, schema: Mapping[str, Any], path: tuple) -> Iterator[Said]:
    """The problems one failed schema keyword means."""
    hint = _expected(schema)
    if keyword == "additionalProperties" and value is False and isinstance(instance, Mapping):
        yield from _extra(instance, schema)
    elif keyword == "required" and isinstance(instance, Mapping):
        for name in (n for n in value if n not in instance):
            inner = schema.get("properties", {}).get(name, {})
            yield name, "missing", lazy("“%(name)s” is missing.", name=name), _expected(inner if isinstance(inner, Mapping) else {})
    else:
        message, code = _simple(keyword, value, instance, schema)
        if keyword == "pattern" and path and path[-1] == "pattern":
            message, code = lazy("“%(value)s” cannot be used as a pattern.", value=_shown(instance)), "bad_pattern"
        yield "", code, message, hint if keyword not in ("maximum", "minimum", "maxItems", "maxLength", "enum") else _limit(keyword, value, hint, schema)


def _extra(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Said]:
    known = [name for name in schema.get("properties", {}) if not name.startswith("$")]
    for name in (n for n in instance if n not in schema.get("properties", {})):
        guess = closest(name, known)
        shown = str(name)[:60]
        if guess:
            message = lazy("“%(key)s” is not a property here. Did you mean “%(guess)s”?", key=shown, guess=guess)
        else:
            message = lazy("“%(key)s” is not a property here.", key=shown)
        yield str(name)[:60], "unknown_property", message, lazy("Remove it, or write one of: %(known)s.", known=listing(known, 30))


def _simple(keyword: str, value: Any, instance: Any, schema: Mapping[str, Any]) -> tuple[LazyString, str]:
    shown = _shown(instance)
    kind = schema.get("x-kind")
    if keyword == "type":
        return _wrong_type(kind, value), "wrong_type"
    if keyword in ("enum", "const"):
        choices = [str(v) for v in value] if isinstance(value, list) else [str(value)]
        guess = closest(instance, choices)
        if guess:
            return lazy("“%(value)s” cannot be used here. Did you mean “%(guess)s”?", value=shown, guess=guess), "unknown_choice"
        return lazy("“%(value)s” cannot be used here.", value=shown), "unknown_choice"
    if keyword == "pattern":
        if kind == "key":
            return lazy("“%(value)s” cannot be a key.", value=shown), "bad_key"
        if kind == "label_text":
            return lazy("This text is blank, or holds signs that cannot be seen."), "bad_text"
        return lazy("“%(value)s” is not written as it must be.", value=shown), "bad_form"
    if keyword in _LIMITS:
        return lazy(_LIMITS[keyword][1].message, limit=value, count=_size(instance)), _LIMITS[keyword][0]
    if keyword == "uniqueItems":
        return lazy("The same entry stands here twice."), "repeated"
    if keyword == "depth":
        return lazy("This is nested too deeply."), "too_deep"
    if keyword == "unreadable":
        return lazy("Something in this configuration cannot be read."), "unreadable"
    if keyword == "stored":
        return lazy("A text or number here contains something that cannot be stored."), "not_storable"
    return lazy("“%(value)s” does not fit here.", value=shown), "does_not_fit"


_LIMITS: dict[str, tuple[str, LazyString]] = {
    "minLength": ("too_short", lazy("This text is too short: it has %(count)s characters, at least %(limit)s are needed.")),
    "maxLength": ("too_long", lazy("This text is too long: it has %(count)s characters, at most %(limit)s are allowed.")),
    "minItems": ("too_few", lazy("There are too few entries: %(count)s, at least %(limit)s are needed.")),
    "maxItems": ("too_many", lazy("There are too many entries: %(count)s, at most %(limit)s are allowed.")),
    "minProperties": ("empty", lazy("Something must be written here.")),
    "maxProperties": ("too_many", lazy("There are too many entries: %(count)s, at most %(limit)s are allowed.")),
    "minimum": ("too_small", lazy("This number is too small: the smallest allowed is %(limit)s.")),
    "exclusiveMinimum": ("too_small", lazy("This number is too small: it must be more than %(limit)s.")),
    "maximum": ("too_large", lazy("This number is too large: the largest allowed is %(limit)s.")),
    "exclusiveMaximum": ("too_large", lazy("This number is too large: it must be less than %(limit)s.")),
    "multipleOf": ("bad_step", lazy("This number must be a multiple of %(limit)s.")),
}

def _wrong_type(kind: str | None, value: Any) -> LazyString:
    if kind in ("label", "label_text"):
        return lazy("This text must be given per language.") if kind == "label" else lazy("A text is expected here.")
    kinds = value if isinstance(value, list) else [value]
    known = {
        "object": lazy("An object in curly brackets is expected here."),
        "array": lazy("A list in square brackets is expected here."),
        "string": lazy("A text in quotes is expected here."),
        "boolean": lazy("True or false is expected here."),
        "integer": lazy("A whole number is expected here."),
        "number": lazy("A number is expected here."),
    }
    if len(kinds) == 1 and kinds[0] in known:
        return known[kinds[0]]
    return lazy("Something else is expected here.")


def _limit(keyword: str, value: Any, hint: LazyString, schema: Mapping[str, Any]) -> LazyString:
    if keyword == "enum":
        return lazy("Write one of: %(known)s.", known=listing([str(v) for v in value], 40))
    if keyword == "maximum":
        return lazy("Write %(limit)s or less.", limit=value)
    if keyword == "minimum":
        return lazy("Write %(limit)s or more.", limit=value)
    if keyword == "maxItems":
        return lazy("Keep at most %(limit)s entries.", limit=value)
    return lazy("Shorten it to at most %(limit)s characters.", limit=value)


def _expected(schema: Mapping[str, Any]) -> LazyString:
    kind = schema.get("x-kind") or _kind_of_ref(schema.get("$ref", ""))
    if kind in EXPECTED:
        return EXPECTED[kind]
    if isinstance(schema.get("enum"), list):
        return lazy("Write one of: %(known)s.", known=listing([str(v) for v in schema["enum"]], 40))
    type_ = schema.get("type")
    if type_ not in ("boolean", "integer", "number") and isinstance(schema.get("description"), str):  # a type's own property says best what it wants
        return lazy("Expected: %(text)s.", text=lazy(schema["description"].rstrip(".")))
    return BY_TYPE.get(type_, FALLBACK) if isinstance(type_, str) else FALLBACK


def _kind_of_ref(ref: str) -> str:
    name = ref.rsplit("/", 1)[-1].removesuffix(".schema.json")
    return {"text": "label", "actions": "list", "pack": "object"}.get(name, name)


def _size(instance: Any) -> int:
    return len(instance) if isinstance(instance, (str, list, Mapping)) else 0


def _shown(instance: Any) -> str:
    text = instance if isinstance(instance, str) else str(instance)
    return text if len(text) <= 60 else f"{text[:57]}…"
