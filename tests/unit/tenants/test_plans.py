"""Plans are data: each file says what it is, in both languages, with limits that there are."""

from __future__ import annotations

import pytest

from saas.i18n import LOCALES
from saas.tenants.plans import USUAL, Limits, catalogue, limits_of, plan_of


def test_every_plan_is_whole():
    assert USUAL in catalogue()
    for plan in catalogue().values():
        assert set(plan.label) == set(LOCALES) and all(plan.label.values())


def test_a_plan_that_is_gone_counts_as_the_usual_one():
    assert limits_of("of yesteryear") == limits_of(USUAL)
    assert limits_of(USUAL).indexed_fields == 20


@pytest.mark.parametrize("limits", [{"indexed_felds": 3}, {"indexed_fields": "3"}, {"indexed_fields": -1}, {"indexed_fields": True}])
def test_a_mistake_in_a_file_is_found(limits):
    with pytest.raises(ValueError, match="plan bad"):
        plan_of({"key": "bad", "label": {}, "limits": limits}, "bad")


def test_what_a_plan_leaves_out_is_usual():
    assert plan_of({"key": "x", "label": {}}).limits == Limits()
