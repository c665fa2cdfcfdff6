"""Every definition, property and choice has a name in both languages: none is left to its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from saas.i18n import LazyString, use_locale
from saas.metadata.anatomy import PARTS, ROOT, TYPES, is_common, property_schemas
from saas.metadata.kinds import action_types, field_types, trigger_types, widget_types
from saas.metadata.property_words import (
    CHOICES,
    COLORS,
    COMMON,
    ICONS,
    NOUNS,
    PROPERTIES,
    SCOPES,
    choice_word,
    noun,
    property_word,
)
from saas.metadata.shape import schemas

KINDS = [ROOT, *dict.fromkeys(part.kind for parts in PARTS.values() for part in parts.values())]
SAME = {"API", "JSON Schema", "PATCH", "POST", "PUT"}  # names that are the same in every language


def objects(schema: Any) -> Iterator[frozenset[str]]:
    """The sets of properties of every object described anywhere in a schema."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("properties"), Mapping) and schema["properties"]:
            yield frozenset(schema["properties"])
        for below in schema.values():
            yield from objects(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from objects(below)


def test_every_object_of_every_schema_is_a_kind_known_here():
    known = [frozenset(property_schemas(kind)) for kind in KINDS]
    # Told as a whole: values of rights, and what a stub answers.
    whole = (frozenset(("scope", "if")), frozenset(("if",)), frozenset(("path", "rows", "number", "pattern", "adds")))
    for name, schema in schemas().items():
        for found in objects(schema):
            assert any(found <= each for each in known) or found in whole, (name, sorted(found))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_property_has_a_name(kind: str):
    assert kind in NOUNS
    for name in property_schemas(kind):
        assert name in PROPERTIES.get(kind, {}) or name in COMMON, name
        assert str(property_word(kind, name))


def test_no_word_is_left_over():
    own = {"band", "inverse"}  # described by the field types that have them
    for kind, words in PROPERTIES.items():
        assert set(words) <= set(property_schemas(kind)) or kind in own, set(words) - set(property_schemas(kind))


@pytest.mark.parametrize(("kind", "registry"), [("field", field_types), ("widget", widget_types), ("trigger", trigger_types), ("action", action_types)])
def test_properties_and_choices_of_types_have_names(kind: str, registry: Any):
    for entry in registry:
        definition = {TYPES[kind][0]: entry.key}
        for name, schema in entry.options_schema.get("properties", {}).items():
            assert is_common(kind, name) or schema.get("title"), f"{kind} {entry.key}.{name}"
            for value in schema.get("enum", ()):
                assert value is None or choice_word(kind, name, value, definition), f"{kind} {entry.key}.{name}: {value}"
        assert str(choice_word(kind, TYPES[kind][0], entry.key)) == str(entry.label)


@pytest.mark.parametrize("kind", KINDS)
def test_choices_have_names(kind: str):
    for name, schema in property_schemas(kind).items():
        for part in (schema, schema.get("then", {}), schema.get("else", {}).get("items", {})):
            for value in part.get("enum", ()):
                assert value is None or choice_word(kind, name, value), f"{kind}.{name}: {value}"
    common = schemas()["common"]["$defs"]
    assert set(common["color"]["enum"]) == set(COLORS)
    assert set(common["icon"]["enum"]) == set(ICONS)
    assert set(common["scope"]["enum"]) == set(SCOPES)


def texts(table: Any) -> Iterator[LazyString]:
    if isinstance(table, LazyString):
        yield table
    else:
        for below in table.values():
            yield from texts(below)


def test_every_word_is_in_both_languages():
    for word in texts({"n": NOUNS, "c": COMMON, "p": PROPERTIES, "x": CHOICES, "s": SCOPES, "co": COLORS, "i": ICONS}):
        with use_locale("zh_CN"):
            assert str(word) != word.message or word.message in SAME, word.message


def test_what_is_unknown_is_named_as_well_as_can_be():
    assert str(noun("nonsense")) == "Part"
    assert str(property_word("field", "some_new_thing", {"type": "nonsense"})) == "Some new thing"
    assert choice_word("stage", "kind", "nonsense") is None
