"""Merging two people's changes: what the laws of a three-way merge promise, over random edits of a whole bundle."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from bundles import good_bundle, label
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.metadata.merge import MISSING, Merge, merge, resolve, same

SEEDS = st.integers(0, 2**32)
MANY = settings(max_examples=150, deadline=None)
WHOLE = {"filter", "where", "default", "read", "update", "delete", "export", "create", "sort", "branches", "effects", "do", "measures", "dimensions", "sources"}


# ---- random edits -------------------------------------------------------------------------------------------------------


def edited(base: dict[str, Any], seed: int, count: int = 4) -> dict[str, Any]:
    """`base` after some random edits anywhere in it."""
    dice, raw = random.Random(seed), copy.deepcopy(base)
    for _ in range(dice.randint(0, count)):
        places = list(_places(raw))
        change, here, key = dice.choice(places)
        change(here, key, dice)
    return raw


def _places(here: Any) -> Iterator[tuple[Callable[[Any, Any, random.Random], None], Any, Any]]:
    if isinstance(here, dict):
        for key, value in here.items():
            if key in ("key", "entity", "report", "format"):
                continue
            if isinstance(value, (str, int, bool)) or key in WHOLE:
                yield _replace, here, key
            if isinstance(value, list) and value:
                yield (_new_item if isinstance(value[0], dict) else _new_text), value, key
                yield _drop_item, value, key
                yield _shuffle, value, key
            if key not in ("label", "plural", "type"):
                yield _drop, here, key
            yield from _places(value)
    elif isinstance(here, list):
        for item in here:
            yield from _places(item)


def _replace(here: Any, key: Any, dice: random.Random) -> None:
    here[key] = dice.choice(["new", "newer", 1, 2, True, {"expr": "a == 1"}, {"expr": "b == 2"}])


def _drop(here: Any, key: Any, dice: random.Random) -> None:
    del here[key]


def _new_text(items: list[Any], key: Any, dice: random.Random) -> None:
    items.insert(dice.randint(0, len(items)), f"extra_{dice.randint(0, 5)}_{len(items)}")


def _new_item(items: list[Any], key: Any, dice: random.Random) -> None:
    items.insert(dice.randint(0, len(items)), {**copy.deepcopy(dice.choice(items)), "key": f"extra_{dice.randint(0, 3)}_{len(items)}"})


def _drop_item(items: list[Any], key: Any, dice: random.Random) -> None:
    items.pop(dice.randrange(len(items)))


def _shuffle(items: list[Any], key: Any, dice: random.Random) -> None:
    items.insert(0, items.pop(dice.randrange(len(items))))


# ---- an independent view of a bundle: every leaf by its path, without order ---------------------------------------------


def leaves(here: Any, path: str = "", name: str = "") -> dict[str, Any]:
    if name in WHOLE:
        return {path: json.dumps(here, sort_keys=True)}
    if isinstance(here, dict):
        found = {f"{path}.": True}
        for key, value in here.items():
            found |= leaves(value, f"{path}.{key}" if path else key, key)
        return found
    if not isinstance(here, list):
        return {path: json.dumps(here)}
    if name == "menu":
        return {f"{path}[{item}]": True for group in here for item in group.get("items", ())}
    if all(isinstance(i, (str, int)) for i in here):
        return {f"{path}[{i}]": True for i in here}
    found = {}
    for item in here:
        found |= leaves(item, f"{path}[{item.get('entity')}:{item.get('key')}]" if name in ("views", "layouts") else f"{path}[{item.get('key') or '?'}]")
    return found


def lost(result: Merge, base: Any, side: Any, other: Any) -> list[str]:
    """Leaves that `side` changed and the result does not have, though no conflict says so."""
    before, wanted, others, got = leaves(base), leaves(side), leaves(other), leaves(result.bundle)
    changed = [p for p in {**before, **wanted} if before.get(p) != wanted.get(p)]
    return [p for p in changed if got.get(p) != wanted.get(p) and others.get(p) != wanted.get(p) and not covered(result, p)]


def covered(result: Merge, path: str) -> bool:
    return any(path.startswith(c.path.split(".menu[")[0]) or c.path.startswith(path.rstrip(".")) for c in result.conflicts)


# ---- the laws -----------------------------------------------------------------------------------------------------------


@MANY
@given(SEEDS)
def test_one_side_alone_is_taken_as_it_is(seed: int):
    base = good_bundle()
    other = edited(base, seed)
    for found in (merge(base, other, base), merge(base, base, other), merge(base, other, other)):
        assert same(found.bundle, other)
        assert not found.conflicts


@MANY
@given(SEEDS, SEEDS)
def test_no_edit_is_lost_without_a_conflict(one: int, two: int):
    base = good_bundle()
    mine, theirs = edited(base, one), edited(base, two)
    before = copy.deepcopy((base, mine, theirs))
    found = merge(base, mine, theirs)
    assert lost(found, base, mine, theirs) == []
    assert lost(found, base, theirs, mine) == []
    assert (base, mine, theirs) == before  # nothing was changed in place
    one_side, other, got = leaves(mine), leaves(theirs), leaves(found.bundle)
    for path, value in leaves(base).items():
        if one_side.get(path) == value == other.get(path) and not covered(found, path):
            assert got.get(path) == value


@MANY
@given(SEEDS, SEEDS)
def test_conflicts_are_the_same_from_both_sides_and_can_be_decided(one: int, two: int):
    base = good_bundle()
    mine, theirs = edited(base, one), edited(base, two)
    here, there = merge(base, mine, theirs), merge(base, theirs, mine)
    assert len(here.conflicts) == len(there.conflicts)
    assert len({c.path for c in here.conflicts}) == len(here.conflicts)
    for conflict in here.conflicts:
        assert not same(conflict.mine, conflict.theirs)
        assert conflict.base is MISSING or not same(conflict.base, conflict.mine)
    assert same(resolve(here, {}), here.bundle)
    assert same(resolve(here, {c.path: "mine" for c in here.conflicts}), here.bundle)
    taken = resolve(here, {c.path: "theirs" for c in here.conflicts})
    assert leaves(taken) == leaves(there.bundle)  # the other person, deciding for themselves, gets the same


@MANY
@given(SEEDS, SEEDS)
def test_edits_of_different_definitions_never_conflict_and_commute(one: int, two: int):
    base = good_bundle()
    mine, theirs = copy.deepcopy(base), copy.deepcopy(base)
    mine["entities"] = edited({"entities": base["entities"]}, one).get("entities", [])
    rest = edited({k: v for k, v in base.items() if k != "entities"}, two)
    theirs = {**rest, "entities": theirs["entities"]}
    here, there = merge(base, mine, theirs), merge(base, theirs, mine)
    assert not here.conflicts
    assert same(here.bundle, {**theirs, "entities": mine["entities"]}) or not mine["entities"]
    assert same(here.bundle, there.bundle)


@MANY
@given(st.permutations("abcdef"), st.permutations("abcdef"), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("uvwxyz")))
def test_order_of_keyed_lists(mine: list[str], theirs: list[str], gone: set[str], new: set[str]):
    def raw(keys: Any) -> dict[str, Any]:
        return {"settings": [{"key": k, "label": label(k)} for k in keys]}

    mine = [k for k in mine if k not in gone]
    theirs = [*theirs, *sorted(new)]
    found = [s["key"] for s in merge(raw("abcdef"), raw(mine), raw(theirs)).bundle["settings"]]
    assert sorted(found) == sorted({*mine, *new})
    one_sided = [s["key"] for s in merge(raw("abcdef"), raw([k for k in "abcdef" if k not in gone]), raw(theirs)).bundle["settings"]]
    assert one_sided == [k for k in theirs if k not in gone]  # only theirs moved something
    if [k for k in theirs if k not in new] == list("abcdef"):
        assert [k for k in found if k not in new] == mine
