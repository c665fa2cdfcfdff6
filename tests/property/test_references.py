"""What refers to a definition is known completely: whatever the checks miss after a removal was among its usages, and what
`remove_with_references` leaves behind is what it says it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bundles import good_bundle
from factories import rich_bundle

from saas.metadata import edits
from saas.metadata.mentions import mentions_of
from saas.metadata.packs import load_pack
from saas.metadata.parse import problems_of
from saas.metadata.removal import removal
from saas.metadata.usages import is_within

BASES: dict[str, tuple[Callable[[], dict[str, Any]], int]] = {
    "good": (good_bundle, 1), "rich": (rich_bundle, 3), "retail": (lambda: load_pack("jb-rm-crm"), 17), "baseline": (lambda: load_pack("baseline-crm"), 41),
}  # fmt: skip
# What a definition lacks itself when a part of it goes; nothing refers to it.
LACKING = ("missing", "too_few", "no_final_stage", "choices", "no_admin", "no_last_branch", "no_pipeline")


def definitions(raw: dict[str, Any], every: int) -> Iterator[str]:
    """The paths of some definitions that have a name."""
    found = [s.path for s in mentions_of(raw).spots.values() if s.path and s.owner == s.path and s.kind != "pack"]
    return iter(found[::every])


@pytest.mark.parametrize("name", BASES)
def test_everything_that_breaks_was_a_usage(name: str):
    make, every = BASES[name]
    raw = make()
    for path in definitions(raw, every):
        places = {m.path for m in mentions_of(raw).within(path)}
        for problem in problems_of(edits.remove(raw, path)):
            assert problem.code in LACKING or any(is_within(problem.path, place) for place in places), (path, problem.path, problem.code)


@pytest.mark.parametrize("name", BASES)
def test_what_is_left_is_told(name: str):
    make, every = BASES[name]
    raw = make()
    for path in definitions(raw, every):
        found = removal(raw, path)
        left = {u.owner for u in found.left}
        for problem in problems_of(found.bundle):
            assert problem.code in LACKING or any(is_within(problem.path, owner) for owner in left), (path, problem.path, problem.code)


@pytest.mark.parametrize("name", BASES)
def test_nothing_is_removed_that_nobody_mentioned(name: str):
    """Definitions that are still there are as they were, but for what was said to be taken out of them."""
    make, every = BASES[name]
    raw = make()
    for path in definitions(raw, every * 2):
        found = removal(raw, path)
        told = " ".join(map(str, found.cleaned))
        for section in ("views", "automations", "schedules", "reports", "dashboards", "layouts"):
            gone = len(raw.get(section, ())) - len(found.bundle.get(section, ()))
            assert gone <= told.count("goes, too") + path.startswith(section), (path, section)
