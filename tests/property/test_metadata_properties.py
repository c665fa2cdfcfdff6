"""Generated bundles compile, keep their columns and differ from themselves by nothing; both JSON Schema validators agree."""

from __future__ import annotations

import json
from typing import Any

from bundles import field, good_bundle, label
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.metadata.compile import fast_validator, record_schema, reference_validator, validate
from saas.metadata.config import Config
from saas.metadata.evolve import diff
from saas.metadata.kinds import field_types
from saas.metadata.parse import parse_bundle, problems_of
from saas.metadata.slots import SLOTS, Allocation, Assignment, allocate
from saas.metadata.store import canonical, content_hash

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = st.from_regex(r"[a-z]{3}[a-z0-9_]{0,6}_f", fullmatch=True)


def _field(key: str, draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["text", "longtext", "int", "number", "bool", "date", "datetime", "option", "multi", "money", "ref", "user", "phone", "rating", "tags"]))
    more: dict[str, Any] = {"required": draw(st.booleans())} if draw(st.booleans()) else {}
    if kind in ("int", "number", "money"):
        low = draw(st.integers(-1000, 1000))
        more |= {"min": low, "max": low + draw(st.integers(0, 1000))}
    elif kind == "text":
        more |= {"max_length": draw(st.integers(1, 255)), "unique": draw(st.booleans())}
    elif kind in ("option", "multi"):
        more |= {"options": [{"key": f"o{n}", "label": label(f"O{n}")} for n in range(draw(st.integers(1, 5)))]}
    elif kind == "ref":
        more |= {"to": draw(st.sampled_from(["customer", "deal", "thing"])), "inverse": {"key": f"{key}_back"}}
    return field(key, kind, **more)


@st.composite
def entities(draw: Any) -> dict[str, Any]:
    keys = draw(st.lists(KEYS, max_size=15, unique=True))
    return {
        "key": "thing", "label": label("Thing"), "plural": label("Things"), "title": "name", "owned": draw(st.booleans()),
        "fields": [field("name", "text"), *(_field(key, draw) for key in keys)],
    }  # fmt: skip


def bundle_with(entity: dict[str, Any]) -> dict[str, Any]:
    raw = good_bundle()
    raw["entities"].append(entity)
    return raw


@QUICK
@given(entities())
def test_generated_bundle_compiles(entity: dict[str, Any]):
    raw = bundle_with(entity)
    bundle = parse_bundle(raw)
    config = Config(bundle)
    schema = record_schema(config, "thing")
    fast_validator(schema)
    reference_validator(schema).check_schema(schema)
    assert set(config.entity("thing").declared) == {f["key"] for f in entity["fields"]}
    assert diff(bundle, parse_bundle(raw)) == []


@QUICK
@given(st.lists(entities(), min_size=2, max_size=4))
def test_columns_never_move_and_are_never_shared(versions: list[dict[str, Any]]):
    rows: list[Assignment] = []
    owners: dict[str, tuple[str, str]] = {}  # column -> field and storage
    for entity in versions:
        config = Config(parse_bundle(bundle_with(entity)))
        change = allocate(config, "thing", rows)
        rows = _after(rows, change)
        storages = {r.field_key: r.storage for r in rows}
        assert len(set(change.columns.values())) == len(change.columns)
        for key, column in change.columns.items():
            assert owners.setdefault(column, (key, storages[key])) == (key, storages[key])
            if storages[key] in SLOTS:
                assert column[0] == SLOTS[storages[key]][0]
            else:  # written in another way than before: a place of its own in the document or the links
                assert column.partition(":")[2].startswith(f"{key}~")
        assert len({r.column for r in rows}) == len(rows)
        assert allocate(config, "thing", rows) == Allocation(columns=change.columns)


def _after(rows: list[Assignment], change: Allocation) -> list[Assignment]:
    names = dict(change.renamed)
    kept = []
    for row in rows:
        key = names.get(row.field_key, row.field_key)
        retired = (row.retired or key in change.retired or "~" in key) and key not in change.restored
        kept.append(Assignment(key, row.column, row.storage, retired, row.shape))
    return kept + change.added


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=60),
    st.sampled_from(["2025-02-30", "2025-03-03", "2025-03-03T08:00:00Z", "08:30", "a@b.cn", "x\n", "a", "b", "north", "+8613800138000", "12.50",
                     "018f0000-0000-7000-8000-000000000000", "018F0000-0000-7000-8000-00000000000G", "https://a.cn", "110101199003070011"]),
    st.dates().map(str), st.datetimes().map(lambda d: d.isoformat() + "Z"), st.uuids().map(str),
    st.fixed_dictionaries({"amount": st.sampled_from(["1.00", "x", 5]), "currency": st.sampled_from(["CNY", "cny", None])}),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=4), st.dictionaries(st.sampled_from(["amount", "city", "currency", "x"]), SCALARS, max_size=3))
CHECKED = Config(
    parse_bundle(
        bundle_with(
            {
                "key": "thing", "label": label("Thing"), "plural": label("Things"), "title": "name",
                "fields": [
                    field("name", "text", required=True), field("code", "text", pattern="[a-z]{1,3}[0-9]*"), field("hexa", "text", pattern="hex"),
                    *(field(f"a_{t.key}", t.key, **t.EXAMPLE_OPTIONS) for t in field_types
                      if t.key not in ("pipeline", "formula", "rollup", "ref", "m2m", "option", "multi")),
                    field("many", "m2m", to="deal"), field("one", "ref", to="deal", inverse={"key": "one_back"}),
                    field("choice", "option", set="grade"), field("choices", "multi", set="grade"),
                ],
            }
        )
    )
)  # fmt: skip
FAST, REFERENCE = fast_validator(record_schema(CHECKED, "thing")), reference_validator(record_schema(CHECKED, "thing"))
FIELDS = [*CHECKED.entity("thing").declared, "unknown"]


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_both_validators_agree(values: dict[str, Any]):
    values = {"name": "x", **values}
    assert FAST.is_valid(values) == REFERENCE.is_valid(values)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_every_refusal_has_words(values: dict[str, Any]):
    problems = validate(CHECKED, "thing", values, partial=False)
    assert bool(problems) == (not FAST.is_valid(values))
    for problem in problems:
        assert problem.field in FIELDS
        assert len(str(problem.message)) > 5
        assert "%(" not in str(problem.message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(["key", "type", "label", "fields", "to", "if", "en"]), below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_mutation_of_a_bundle_can_crash_the_parser(data: Any):
    """Any part replaced by anything: the answer is a bundle or a list of problems in words, never an exception."""
    raw = good_bundle()
    here: Any = raw
    for _ in range(data.draw(st.integers(1, 6))):
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(here[key], (dict, list)) or data.draw(st.integers(0, 3)) == 0:
            here[key] = data.draw(JSON)
            break
        here = here[key]
    for problem in problems_of(raw):
        assert len(str(problem.message)) > 5
        assert len(str(problem.hint)) > 5


@given(JSON)
def test_canonical_form_is_json_and_survives_a_round_trip(value: Any):
    if "inf" in repr(value).lower():
        return
    assert content_hash(json.loads(canonical(value))) == content_hash(value)
