"""Every text of a configuration is found with its place, and can be put back there."""

from __future__ import annotations

import copy

import pytest

from saas.metadata.edits import find
from saas.metadata.labels import texts, with_texts
from saas.metadata.packs import load_pack


@pytest.fixture(scope="module", params=["baseline-crm", "jb-rm-crm"])
def raw(request):
    return load_pack(request.param)


def every_label(value):
    """All maps that look like labels, found the plain way."""
    if isinstance(value, dict):
        if value and set(value) <= {"en", "zh_CN"} and all(isinstance(v, str) for v in value.values()):
            yield value
        else:
            for below in value.values():
                yield from every_label(below)
    elif isinstance(value, list):
        for below in value:
            yield from every_label(below)


def test_no_text_is_missed(raw):
    assert len(list(texts(raw))) == len(list(every_label(raw)))


def test_each_stands_where_its_path_says(raw):
    for text in texts(raw):
        assert find(raw, text.path) == text.label, text.path


def test_what_is_put_back_unchanged_changes_nothing(raw):
    before = copy.deepcopy(raw)
    assert with_texts(raw, {t.path: t.label for t in texts(raw)}) == before == raw


def test_one_text_changes_and_no_other(raw):
    chosen = list(texts(raw))[7]
    new = with_texts(raw, {chosen.path: {"en": "Fresh"}, "entities[nothing].label": {"en": "Gone"}})
    changed = [t.path for t, u in zip(texts(raw), texts(new), strict=True) if t.label != u.label]
    assert changed == [chosen.path] and find(new, chosen.path) == {"en": "Fresh"}


def test_missing_languages_are_known():
    raw = {"settings": [{"key": "a", "label": {"en": "A"}, "help": {"zh_CN": "乙"}}, {"key": "b", "label": {"en": "B", "zh_CN": "丙"}}]}
    assert [(t.path, t.missing, t.owners) for t in texts(raw)] == [
        ("settings[a].label", ("zh_CN",), ({"en": "A"},)), ("settings[a].help", ("en",), ({"en": "A"},)), ("settings[b].label", (), ({"en": "B", "zh_CN": "丙"},)),
    ]  # fmt: skip
