"""Texts that were kept are the same texts, in every language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saas.i18n import LazyLabel, LazyString, lazy, lazy_plural, use_locale
from saas.runtime.words import from_json, to_json

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


def test_other_values_stay_what_they_are():
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": "d"}}
    assert from_json(to_json(value)) == value
