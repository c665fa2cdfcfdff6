"""The words for a value that does not fit its field: every JSON Schema keyword, in one sentence without the field's name."""

from __future__ import annotations

from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata import models as m
from saas.metadata.kinds import FieldType, field_types

PATTERNS: dict[str, LazyString] = {
    "letters": lazy("Use letters only."),
    "digits": lazy("Use digits only."),
    "letters_digits": lazy("Use letters and digits only."),
    "code": lazy("Use letters, digits and the signs . _ / - only."),
    "hex": lazy("Use the digits 0-9 and the letters A-F only."),
}
FORMATS: dict[str, LazyString] = {
    "date": lazy("Enter a date such as 2025-03-31."),
    "date-time": lazy("Enter a date and time such as 2025-03-31T08:30:00Z."),
    "time": lazy("Enter a time such as 08:30."),
    "email": lazy("Enter an e-mail address such as name@example.com."),
    "uri": lazy("Enter a web address such as https://example.com."),
    "uuid": lazy("Choose one of the entries offered."),
}
TYPES: dict[str, LazyString] = {
    "string": lazy("Enter a text."),
    "integer": lazy("Enter a whole number."),
    "number": lazy("Enter a number."),
    "boolean": lazy("Choose yes or no."),
    "array": lazy("Choose entries from the list."),
    "object": lazy("Fill in the parts of this field."),
}


def explain_value(error: Any, field: m.FieldDef, value: Any) -> tuple[str, LazyString]:
    """(code, message) for a jsonschema error below `value`, the field's value."""
    keyword, limit, found, schema = error.validator, error.validator_value, error.instance, error.schema
    if keyword == "type":
        return _wrong_type(limit, field, value)
    if keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        return _range(keyword, schema)
    if keyword in ("minLength", "maxLength"):
        return _length(keyword, limit, found)
    if keyword in ("enum", "const"):
        return "unknown_option", lazy("Choose one of the listed options.")
    if keyword == "pattern":
        return "bad_format", _pattern(field, schema)
    if keyword == "format":
        return "bad_format", FORMATS.get(limit) or _expects(field)
    if keyword == "multipleOf":
        return "bad_step", lazy("Enter a multiple of %(limit)s.", limit=_number(limit))
    if keyword in ("minItems", "maxItems", "contains", "minContains", "maxContains"):
        return _items(keyword, limit, found)
    if keyword == "uniqueItems":
        return "repeated", lazy("The same entry is chosen twice.")
    if keyword in ("additionalProperties", "unevaluatedProperties", "propertyNames"):
        return "unknown_part", lazy("This holds a part that does not belong here.")
    if keyword in ("required", "dependentRequired", "minProperties"):
        return "incomplete", lazy("A part of this is missing.")
    return "invalid", _expects(field)


def _expects(field: m.FieldDef) -> LazyString:
    return lazy("%(text)s.", text=field_types.get(field.type).expects)


def _wrong_type(wanted: Any, field: m.FieldDef, value: Any) -> tuple[str, LazyString]:
    if value is None:
        return "required", lazy("This field is required.")
    kinds = [k for k in (wanted if isinstance(wanted, list) else [wanted]) if k != "null"]
    if field_types.get(field.type).expects is not FieldType.expects:
        return "wrong_type", _expects(field)
    return "wrong_type", TYPES.get(kinds[0] if kinds else "", _expects(field))


def _range(keyword: str, schema: Any) -> tuple[str, LazyString]:
    code = "too_small" if keyword.endswith("inimum") else "too_large"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return code, lazy("Enter a number between %(low)s and %(high)s.", low=_number(low), high=_number(high))
    if keyword == "minimum":
        return code, lazy("Enter %(limit)s or more.", limit=_number(low))
    if keyword == "maximum":
        return code, lazy("Enter %(limit)s or less.", limit=_number(high))
    if keyword == "exclusiveMinimum":
        return code, lazy("Enter more than %(limit)s.", limit=_number(schema[keyword]))
    return code, lazy("Enter less than %(limit)s.", limit=_number(schema[keyword]))


def _length(keyword: str, limit: int, found: Any) -> tuple[str, LazyString]:
    count = len(found)
    if keyword == "maxLength":
        return "too_long", lazy("Use at most %(limit)s characters (you have %(count)s).", limit=limit, count=count)
    if count == 0:
        return "required", lazy("This field is required.")
    return "too_short", lazy("Use at least %(limit)s characters (you have %(count)s).", limit=limit, count=count)


def _items(keyword: str, limit: int, found: Any) -> tuple[str, LazyString]:
    if keyword == "maxItems":
        return "too_many", lazy("Choose at most %(limit)s entries (you have %(count)s).", limit=limit, count=len(found))
    return "too_few", lazy("Choose at least %(limit)s entries.", limit=limit if isinstance(limit, int) else 1)


def _pattern(field: m.FieldDef, schema: Any) -> LazyString:
    named = PATTERNS.get(str(field.options.get("pattern")))
    if named is not None:
        return named
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    if field.options.get("pattern"):
        return lazy("This is not written as it must be (%(pattern)s).", pattern=field.options["pattern"])
    return _expects(field)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
