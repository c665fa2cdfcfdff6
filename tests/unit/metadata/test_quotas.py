"""How many fields may have an index: what is there stays, what goes beyond is named."""

from __future__ import annotations

from typing import Any

import pytest

from saas.metadata.parse import parse_bundle
from saas.metadata.quotas import IndexQuota, beyond, indexed_fields, quota_problems, within
from tests.bundles import field as fld
from tests.factories import rich_bundle


@pytest.mark.parametrize(
    ("limit", "held", "wanted", "refused"),
    [
        (2, "", "ab", ""),
        (2, "", "abc", "c"),
        (0, "", "ab", "ab"),
        (2, "bc", "abc", "a"),  # what is there goes before what is new, wherever it stands
        (1, "abc", "abc", ""),  # a plan that shrank takes nothing away
        (1, "abc", "abcd", "d"),
        (1, "abc", "bd", "d"),
        (2, "abc", "cd", ""),  # room was made
    ],
)
def test_what_is_there_stays(limit, held, wanted, refused):
    quota = IndexQuota(limit, frozenset(("e", k) for k in held))
    assert beyond([("e", k) for k in wanted], quota) == [("e", k) for k in refused]


def bundle(count: int) -> dict[str, Any]:
    raw = rich_bundle()
    raw["entities"][0]["fields"] += [fld(f"x{n}", "int", indexed=True) for n in range(count)]
    return raw


def test_the_problem_names_the_field():
    entity = bundle(0)["entities"][0]["key"]
    [problem] = quota_problems(parse_bundle(bundle(4)), IndexQuota(3))
    assert (problem.path, problem.code) == (f"entities[{entity}].fields[x3].indexed", "too_many_indexes")
    assert "allows 3 fields" in str(problem.message) and "“X3”" in str(problem.message)
    assert quota_problems(None, IndexQuota(0)) == []


def test_a_pack_comes_with_what_the_plan_allows():
    raw = bundle(4)
    smaller, left_out = within(raw, parse_bundle(raw), IndexQuota(3))
    entity = raw["entities"][0]["key"]
    assert left_out == ((entity, "x3"),) and (entity, "x3") in indexed_fields(parse_bundle(raw))
    assert indexed_fields(parse_bundle(smaller)) == [(entity, f"x{n}") for n in range(3)]
    assert within(raw, parse_bundle(raw), IndexQuota(4)) == (raw, ())
