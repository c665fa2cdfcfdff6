"""The sample data of every pack is there in every language, so that a company sees its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from saas.i18n import LOCALES
from saas.metadata.config import Config
from saas.metadata.packs import list_packs, load_pack, sample, sample_texts
from saas.metadata.parse import parse_bundle

CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
ENGLISH = re.compile(r"[a-z]{2}")  # capitals alone are codes
LETTERS = {"en": ENGLISH, "zh_CN": CHINESE}
WORDS = ("text", "longtext", "richtext", "address", "tags")  # types of fields that keep what people write
PAIRS = [(pack.key, locale) for pack in list_packs() for locale in LOCALES if locale != sample(pack.key)["locale"]]


@pytest.mark.parametrize(("key", "locale"), PAIRS)
def test_every_text_has_its_counterpart(key: str, locale: str):
    data = sample(key)
    own = LETTERS[data["locale"]]
    missing = {text for text in _words(key, data) if own.search(text)} - sample_texts(key, locale).keys()
    assert sorted(missing) == []


@pytest.mark.parametrize(("key", "locale"), PAIRS)
def test_counterparts_are_used_and_in_their_language(key: str, locale: str):
    data, texts = sample(key), sample_texts(key, locale)
    assert texts.keys() - set(_words(key, data)) == set()
    if locale == "en":
        assert [text for text in texts.values() if CHINESE.search(text)] == []
    else:
        assert [text for text in texts.values() if not CHINESE.search(text)] == []


@pytest.mark.parametrize(("key", "locale"), PAIRS)
def test_the_other_language_differs_in_words_only_and_is_as_valid(key: str, locale: str):
    config = Config(parse_bundle(load_pack(key)))
    said: dict[tuple[str, str], dict[str, str]] = {}
    for (entity, field, one), (_entity, _field, other) in zip(_values(sample(key)), _values(sample(key, locale)), strict=True):
        defn = config.entity(entity).fields.get(field)
        if (field,) in {rule.fields for rule in config.entity(entity).defn.unique}:
            assert said.setdefault((entity, field), {}).setdefault(other, one) == one, f"{entity}.{field} is unique: {other}"
        if one != other:
            assert defn is not None and defn.type in WORDS, f"{entity}.{field} keeps no words: {one}"
            assert len(other) <= defn.options.get("max_length", 200), f"{entity}.{field} is too short for: {other}"
    people = [user["name"] for user in sample(key, locale)["users"]]
    assert len(set(people)) == len(people)


@pytest.mark.parametrize("key", [pack.key for pack in list_packs()])
def test_sample_answers_of_other_systems_are_in_every_language(key: str):
    rows = [row for connector in load_pack(key).get("connectors", ()) for answer in connector.get("samples", ()) for row in answer.get("rows", ())]
    for value in (value for row in rows for value in row.values()):
        assert not (isinstance(value, str) and CHINESE.search(value)), value
        assert not isinstance(value, dict) or set(value) == set(LOCALES), value


def _words(key: str, data: dict[str, Any]) -> Iterator[str]:
    """What a reader reads: names and titles of people, and texts in the records."""
    config = Config(parse_bundle(load_pack(key)))
    for user in data["users"]:
        yield from (user[part] for part in ("name", "title") if user.get(part))
    for entity, field, text in _values(data):
        defn = config.entity(entity).fields.get(field)
        if CHINESE.search(text) or (defn is not None and defn.type in WORDS and not text.startswith("@")):
            yield text


def _values(data: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(entity, field, text) of every text in the values of the records, also within lists and addresses."""
    for record in data["records"]:
        for act in (record, *record.get("steps", ())):
            for field, value in {**act.get("values", {}), **act.get("update", {})}.items():
                parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
                yield from ((record["entity"], field, part) for part in parts if isinstance(part, str))
