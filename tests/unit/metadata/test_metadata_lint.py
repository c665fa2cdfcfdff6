from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bundles import good_bundle, label

from saas.metadata.lint import lint


def test_good_bundle_has_no_warnings():
    assert lint(good_bundle()) == []


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        (lambda r: r["entities"][0]["label"].pop("zh_CN"), "entities[customer].label", "missing_language"),
        (lambda r: r["entities"][0]["messages"]["created"].pop("en"), "entities[customer].messages.created", "missing_language"),
        (lambda r: r["pipelines"][0]["transitions"][0]["effects"][2]["title"].pop("zh_CN"),
         "pipelines[deal].transitions[win].effects[2].title", "missing_language"),
        (lambda r: r["pipelines"][0]["stages"].append({"key": "lonely", "label": label("Lonely")}), "pipelines[deal].stages[lonely]", "unreachable_stage"),
        (lambda r: r["option_sets"].append({"key": "spare", "label": label("Spare"), "options": [{"key": "x", "label": label("X")}]}),
         "option_sets[spare]", "unused_option_set"),
        (lambda r: r["roles"][1].update(dashboards=[]), "roles[sales].menu[0].items[4]", "closed_menu_item"),
    ],
)  # fmt: skip
def test_warning(change: Callable[[dict[str, Any]], Any], path: str, code: str):
    raw = good_bundle()
    change(raw)
    found = lint(raw)
    assert [(w.path, w.code) for w in found] == [(path, code)]
    assert str(found[0].message) and str(found[0].hint)


def test_open_stage_without_exit_is_a_dead_end():
    raw = good_bundle()
    raw["pipelines"][0]["stages"].append({"key": "stuck", "label": label("Stuck")})
    raw["pipelines"][0]["transitions"][1] = {"key": "stick", "label": label("Stick"), "from": ["open"], "to": "stuck"}
    raw["pipelines"][0]["transitions"][2]["from"] = ["won"]
    assert "dead_end" in {w.code for w in lint(raw)}


def test_field_named_like_a_language_is_no_text():
    raw = good_bundle()
    raw["entities"][0]["fields"].append({"key": "en", "type": "text", "label": label("English")})
    raw["pipelines"][0]["transitions"][0]["effects"][0]["values"] = {"en": "'x'"}
    assert lint(raw) == []
