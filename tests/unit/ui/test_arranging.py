"""The order of things in a form, and the acts of those who cannot drag."""

from __future__ import annotations

import pytest

from saas.ui.builder.arranging import Arrangement

LEVELS = {"tab": 0, "section": 1, "lists": 1}
ITEMS = ["tab:a", "section:1", "field:x", "field:y", "section:2", "field:z", "lists:a", "tab:b", "section:3", "palette", "field:spare"]


@pytest.mark.parametrize(
    ("thing", "act", "expected"),
    [
        ("field:y", "earlier", "tab:a section:1 field:y field:x section:2 field:z lists:a tab:b section:3 palette field:spare"),
        ("field:x", "later", "tab:a section:1 field:y field:x section:2 field:z lists:a tab:b section:3 palette field:spare"),
        ("field:x", "earlier", " ".join(ITEMS)),
        ("field:y", "later", " ".join(ITEMS)),
        ("field:spare", "section:2", "tab:a section:1 field:x field:y section:2 field:z field:spare lists:a tab:b section:3 palette"),
        ("field:x", "section:3", "tab:a section:1 field:y section:2 field:z lists:a tab:b section:3 field:x palette field:spare"),
        ("field:z", "out", "tab:a section:1 field:x field:y section:2 lists:a tab:b section:3 palette field:spare field:z"),
        ("section:2", "earlier", "tab:a section:2 field:z section:1 field:x field:y lists:a tab:b section:3 palette field:spare"),
        ("section:1", "out", "tab:a section:2 field:z lists:a tab:b section:3 palette field:spare field:x field:y"),
        ("tab:b", "earlier", "tab:b section:3 tab:a section:1 field:x field:y section:2 field:z lists:a palette field:spare"),
        ("tab:b", "later", " ".join(ITEMS)),
        ("tab:a", "out", "tab:b section:3 palette field:spare field:x field:y field:z"),
        ("field:nothing", "earlier", " ".join(ITEMS)),
        ("field:x", "section:99", " ".join(ITEMS)),
    ],
)  # fmt: skip
def test_an_act_moves_one_thing(thing, act, expected):
    arrangement = Arrangement(LEVELS, ITEMS)
    arrangement.do(thing, act)
    assert arrangement.items == expected.split()


def test_what_stands_behind_the_palette_is_not_used():
    assert Arrangement(LEVELS, ITEMS).used[-1] == ("section", "3")
    assert Arrangement(LEVELS, ["field:x"]).used == [("field", "x")]
