"""What people choose for a field becomes an expression that gives just that, for every field type; and rhythms become cron and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.metadata import expressions as ex
from saas.metadata import models as m
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.runtime.kinds import load_package
from saas.ui.builder.assignments import Assignment, assignment_of, can_be_set, expression_of, literal, ways_of
from saas.ui.builder.controls import Control
from saas.ui.builder.times import Rhythm, cron_of, rhythm_of

load_package("saas.runtime.fields")


class Desk:
    """As much of the desk as words and look-ups need."""

    def __init__(self, field: m.FieldDef) -> None:
        entity = m.EntityDef("thing", {"en": "Thing"}, {"en": "Things"}, "name", (m.FieldDef("name", "text", {"en": "Name"}), field))
        self.config = Config(m.Bundle(m.PackInfo("p", "1.0.0", {}), (entity,), ()))

    @property
    def entity(self) -> Entity:
        return self.config.entities["thing"]

    def words(self, label: Any, fallback: str = "") -> str:
        return (label or {}).get("en") or fallback


def field_of(key: str) -> m.FieldDef:
    kind = field_types.get(key)
    defaults = {k: p["default"] for k, p in kind.options_schema.get("properties", {}).items() if "default" in p}
    return m.FieldDef("it", key, {"en": "It"}, options={**defaults, **kind.EXAMPLE_OPTIONS})


@pytest.mark.parametrize("key", field_types.keys())
def test_a_value_becomes_an_expression_that_is_shown_as_the_value_again(key):
    field = field_of(key)
    desk: Any = Desk(field)
    control = Control("set", "values", "Set", entity="thing")
    if not can_be_set(field) or "value" not in {w.key for w in ways_of(desk, field)}:
        return
    kind = field_types.get(key)
    wanted = kind.expr_type_of(field, desk.config)
    shown = 0
    for example in kind.EXAMPLES:
        value = kind.normalise(field, example, desk.config)
        text = literal(desk, field, value)
        if len(text) > 2000:  # longer than an expression may be: refused by the check
            continue
        ex.check(ex.parse(text), desk.config, "thing", expect=wanted)
        row = assignment_of(desk, desk.entity, desk.entity, control, "it", text)
        assert expression_of(desk, desk.entity, row) == text, "what is shown means what was written"
        shown += row.how == "value"
    assert shown, "no value of this type can be chosen"


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("null", Assignment("it", "empty", was="null")), ("today()", Assignment("it", "today", was="today()")), ("created_at", Assignment("it", "formula", text="created_at", was="created_at")),
        ("add_days(today(), 1)", Assignment("it", "formula", text="add_days(today(), 1)", was="add_days(today(), 1)")), ("date('2026-01-31')", Assignment("it", "value", "2026-01-31", was="date('2026-01-31')")),
        ("not closed", Assignment("it", "formula", text="not closed", was="not closed")), ("'broken", Assignment("it", "formula", text="'broken", was="'broken")),
    ],
)  # fmt: skip
def test_expressions_are_shown_as_simply_as_they_are(text, row):
    desk: Any = Desk(m.FieldDef("it", "date", {"en": "It"}))
    assert assignment_of(desk, desk.entity, desk.entity, Control("set", "values", "Set", entity="thing"), "it", text) == row
    assert expression_of(desk, desk.entity, row) == text


def test_what_is_not_understood_goes_to_the_check_as_typed():
    desk: Any = Desk(m.FieldDef("it", "number", {"en": "It"}))
    assert expression_of(desk, desk.entity, Assignment("it", "value", "twelve")) == "'twelve'"
    assert expression_of(desk, desk.entity, Assignment("it", "value", None)) == ""
    assert expression_of(desk, desk.entity, Assignment("it", "formula", text="1 +")) == "1 +"


# ---- rhythms ------------------------------------------------------------------------------------------------------------

minutes, hours = st.integers(0, 59), st.integers(0, 23)
rhythms = st.one_of(
    st.builds(lambda a: Rhythm("hourly", a), minutes), st.builds(lambda a, b: Rhythm("daily", a, b), minutes, hours), st.builds(lambda a, b: Rhythm("workdays", a, b), minutes, hours),
    st.builds(lambda a, b, c: Rhythm("weekly", a, b, tuple(d for d in ("1", "2", "3", "4", "5", "6", "0") if d in c)), minutes, hours, st.sets(st.sampled_from("0123456"), min_size=1)),
    st.builds(lambda a, b, c: Rhythm("monthly", a, b, day=c), minutes, hours, st.sampled_from(["1", "15", "28", "L"])),
)  # fmt: skip


@given(rhythms)
def test_a_rhythm_is_found_again_in_its_cron(rhythm):
    found = rhythm_of(cron_of(rhythm))
    if rhythm.kind == "weekly" and rhythm.days == ("1", "2", "3", "4", "5"):
        assert found.kind in ("weekly", "workdays")
    else:
        assert (found.kind, found.minute, found.days, found.day) == (rhythm.kind, rhythm.minute, rhythm.days, rhythm.day)
        assert found.kind == "hourly" or found.hour == rhythm.hour


@given(st.text(max_size=40) | st.from_regex(r"[0-9*/,L-]{1,6}( [0-9*/,L-]{1,6}){4}", fullmatch=True))
def test_what_has_no_name_is_kept_as_it_is_written(text):
    found = rhythm_of(text)
    if found.kind == "custom":
        assert cron_of(found) == " ".join(text.split())
    else:
        assert rhythm_of(cron_of(found)) == rhythm_of(" ".join(text.split())) or found.kind == "weekly"
