"""Texts that were kept are the same texts, in every language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import LazyLabel, LazyString, lazy, lazy_plural, use_locale
from saas.runtime.words import from_json, kept, reason_of, to_json, told

LABEL = {"en": "Name", "zh_CN": "名称"}


class Shouted(LazyString):
    __slots__ = ()

    def __str__(self) -> str:
        return super().__str__().upper()


@pytest.mark.parametrize(
    "text",
    [
        "plain", lazy("Field “%(key)s” is new.", key="a"), lazy("%(first)s and %(second)s", first=LazyLabel(LABEL), second=lazy("Owner")),
        lazy_plural("%(count)s value of “%(field)s” is no longer shown.", "%(count)s values of “%(field)s” are no longer shown.", 3, field=LazyLabel(LABEL)),
        LazyLabel(LABEL), Shouted("Owner"), LazyLabel("just a text"),
    ],
)  # fmt: skip
def test_a_text_survives(text: Any):
    again = from_json(json.loads(json.dumps(to_json(text), ensure_ascii=False)))
    for locale in ("en", "zh_CN"):
        with use_locale(locale):
            assert str(again) == str(text)
    assert type(again) is type(text)


def test_what_is_kept_in_a_column_is_told_in_the_readers_language():
    refused = reason_of(InvalidInput([FieldProblem("a", "required", lazy("This field is required.")), FieldProblem("b", "x", lazy("Field “%(key)s” is new.", key="k\x00"))]))
    for text in (refused, lazy("This field is required."), lazy("%(title)s: %(text)s", title="a", text=lazy("This field is required."))):
        column = kept(text)
        assert len(column) <= 500 and "\x00" not in column
        said = []
        for locale in ("en", "zh_CN"):
            with use_locale(locale):
                said.append(told(column))
                assert said[-1] == str(text).replace("\x00", "") or "\x00" in str(text)
        assert said[0] != said[1]
    assert len(kept(lazy("Field “%(key)s” is new.", key="long" * 300))) == 500 and told("") == "" and told('{"$text": broken') == '{"$text": broken'


def test_other_values_stay_what_they_are():
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": "d"}}
    assert from_json(to_json(value)) == value
