"""Forms in which things are dragged between places. What is sent is the order of the inputs called "item": a block opens a place
("tab:t0", "section:s1", "lists:t0"), what follows stands in it ("field:name", "related:r0"), and what follows "palette" is not used.

Pages without scripts send one act at a time, which is done to the same sequence here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PALETTE = "palette"
LEAF = 9


class Arrangement:
    """`levels`: how deep each kind of block stands ({"tab": 0, "section": 1}); kinds without a level are things in places."""

    def __init__(self, levels: Mapping[str, int], items: Sequence[str]) -> None:
        self.levels = {**levels, PALETTE: 0}
        self.items = [str(item) for item in items]
        if PALETTE not in self.items:
            self.items.append(PALETTE)

    @property
    def used(self) -> list[tuple[str, str]]:
        """(kind, id) of everything before the palette, in order."""
        return [split(item) for item in self.items[: self.items.index(PALETTE)]]

    def level(self, item: str) -> int:
        return self.levels.get(split(item)[0], LEAF)

    def do(self, thing: str, act: str) -> None:
        """`act`: earlier, later, out (to the palette, with all that is inside), or the block to go to ("section:s1")."""
        if thing not in self.items:
            return
        if act in ("earlier", "later"):
            self._swap(thing, -1 if act == "earlier" else 1)
        elif act == "out":
            start, end = self._range(thing)
            kept = [item for item in self.items[start:end] if self.level(item) == LEAF]
            self.items[start:end] = []
            self.items += kept
        elif act in self.items and self.level(thing) == LEAF:
            self.items.remove(thing)
            at = self.items.index(act) + 1
            while at < len(self.items) and self.level(self.items[at]) == LEAF:
                at += 1
            self.items.insert(at, thing)

    def _range(self, thing: str) -> tuple[int, int]:
        """Where the thing begins and ends: a block with all that is inside it."""
        start = self.items.index(thing)
        end, level = start + 1, self.level(thing)
        while level < LEAF and end < len(self.items) and self.level(self.items[end]) > level:
            end += 1
        return start, end

    def _swap(self, thing: str, by: int) -> None:
        """Change places with the neighbour of the same kind in the same block."""
        start, end = self._range(thing)
        if by > 0:
            if end < len(self.items) and self._is_like(self.items[end], thing):
                self._swap(self.items[end], -1)
            return
        before = start - 1
        while before >= 0 and self.level(self.items[before]) > self.level(thing):
            before -= 1
        if before >= 0 and self._is_like(self.items[before], thing):
            block = self.items[start:end]
            del self.items[start:end]
            self.items[before:before] = block

    def _is_like(self, other: str, thing: str) -> bool:
        return other != PALETTE and split(other)[0] == split(thing)[0]


def split(item: str) -> tuple[str, str]:
    kind, _colon, name = item.partition(":")
    return kind, name
