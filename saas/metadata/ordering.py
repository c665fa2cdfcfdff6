"""Merging lists: which entries of three versions are the same, which stay, and in which order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from saas.metadata import anatomy


def is_plain(items: list[Any]) -> bool:
    """Whether a list holds texts or numbers, each once: a set with an order."""
    plain = all(isinstance(i, (str, int, float)) and not isinstance(i, bool) for i in items)
    return plain and len(set(items)) == len(items)


def merge_sets(base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any] | None:
    """What either side added is in, what either removed is out. None when that cannot be done: both put the rest into different
    orders, both emptied it together (to many lists “nothing” means “everybody”), or one says "*"."""
    if "*" in mine or "*" in theirs:
        return None
    kept = {i for i in (*mine, *theirs) if (i in mine) + (i in theirs) > (i in base)}
    if (mine or theirs) and not kept:
        return None
    stayed = [i for i in base if i in mine and i in theirs]
    orders = [[i for i in side if i in stayed] for side in (stayed, mine, theirs)]
    if orders[0] != orders[1] != orders[2] != orders[0]:
        return None
    return merge_order(base, mine, theirs, kept)


# ---- which entries are the same -----------------------------------------------------------------------------------------


def identify(section: str, base: list[Any], mine: list[Any], theirs: list[Any], *, loose: bool) -> list[list[Hashable]] | None:
    """A name for every entry of the three lists: keys are names themselves. Where entries have none, `loose` lists are compared
    entry by entry, others are not (None): they are steps, and steps of two people do not mix."""
    lists = (base, mine, theirs)
    names = [[_key(section, item) for item in items] for items in lists]
    if all(None not in ids and len(set(ids)) == len(ids) for ids in names):
        return names  # type: ignore[return-value]
    if not loose or not all(isinstance(i, Mapping) for items in lists for i in items):
        return None
    first: list[Hashable] = [(n,) for n in range(len(base))]
    second = _paired(base, mine, first, "m")
    third = _paired(base, theirs, first, "t")
    for number, item in enumerate(theirs):  # both added the same entry
        if third[number] not in first:
            third[number] = next((second[n] for n, i in enumerate(mine) if second[n] not in first and i == item), third[number])
    return [first, second, third]


def _key(section: str, item: Any) -> str | None:
    """The key; of a dashboard's reference to a report's widget both keys, in brackets so that no key can be equal."""
    if isinstance(item, Mapping) and "report" in item and "key" not in item:
        return f"({item.get('report')}:{item.get('widget')})"
    return anatomy.key_of(section, item)


def _paired(base: list[Any], side: list[Any], names: Sequence[Hashable], mark: str) -> list[Hashable]:
    """For each entry of `side` the name of the entry of `base` it comes from, else a new one."""
    found: dict[int, Hashable] = {}
    left = set(range(len(base)))
    for likeness in (_equal, _same_label, _overlap):
        for number, item in enumerate(side):
            if number not in found and (match := next((b for b in sorted(left) if likeness(base[b], item)), None)) is not None:
                found[number] = names[match]
                left.discard(match)
    return [found.get(n, (mark, n)) for n in range(len(side))]


def _equal(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a == b


def _same_label(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.get("label") is not None and a.get("label") == b.get("label")


def _overlap(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    one, other = a.get("items") or (), b.get("items") or ()
    shared = sum(i in other for i in one)
    return shared > 0 and shared * 2 >= min(len(one), len(other))


# ---- order --------------------------------------------------------------------------------------------------------------


def moved(base: Sequence[Hashable], side: Sequence[Hashable]) -> list[Hashable]:
    """The fewest entries that had to be moved to bring what both have into `side`'s order."""
    places = {name: n for n, name in enumerate(base)}
    common = [name for name in side if name in places]
    stays = _longest_rise([places[name] for name in common])
    return [name for n, name in enumerate(common) if n not in stays]


def merge_order(base: Sequence[Hashable], mine: Sequence[Hashable], theirs: Sequence[Hashable], kept: Collection[Hashable]) -> list[Hashable]:
    """The entries of `kept` in one order: my order with their moves and additions in it, or the other way round when only they
    moved something. Where both moved the same entry, it stands where I put it."""
    mine_moved, theirs_moved = moved(base, mine), moved(base, theirs)
    first, second = (theirs, mine) if theirs_moved and not mine_moved else (mine, theirs)
    again = [] if first is theirs else [name for name in theirs_moved if name not in mine_moved]
    result = [name for name in first if name in kept and name not in again]
    elsewhere = set(mine_moved if first is mine else theirs_moved)
    for number, name in enumerate(second):
        if name in kept and name not in result:
            before = [other for other in second[:number] if other not in elsewhere]
            result.insert(_place(result, before, {*base, *second}), name)
    return result


def _place(result: list[Hashable], before: Sequence[Hashable], known: Collection[Hashable]) -> int:
    """Behind what stands before it on its own side; behind what only the other side added there, too."""
    place = next((result.index(name) + 1 for name in reversed(before) if name in result), 0)
    while place < len(result) and result[place] not in known:
        place += 1
    return place


def _longest_rise(numbers: Iterable[int]) -> set[int]:
    """The positions of a longest increasing subsequence."""
    tops: list[int] = []  # smallest last number of a rise of each length
    at: list[int] = []  # its position
    previous: list[int | None] = []
    for position, number in enumerate(numbers):
        length = bisect_left(tops, number)
        tops[length : length + 1], at[length : length + 1] = [number], [position]
        previous.append(at[length - 1] if length else None)
    stays, here = set(), at[-1] if at else None
    while here is not None:
        stays.add(here)
        here = previous[here]
    return stays
