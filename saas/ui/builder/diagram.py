"""A pipeline as a drawing: stages in a row or a column, transitions as lines in lanes beside them. Pure geometry, no wording.

The stages stand along one axis. A transition forward runs on one side of them, a transition back on the other; each is a bus
that leaves its source stages, runs along its own lane and enters its target stages. Short ones get the lanes near the stages,
so that long ones go around them. Where lines leave a stage is chosen so that lines of one stage do not cross each other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

ANY = "*"
ROW_WIDTH = 900  # what a wide settings page has room for
COLUMN_BOX = (118, 46)
LANE, FIRST_LANE, ARROW, ROUND, GAP = 25, 24, 7, 9, 10
LINE_HEIGHT, PAD = 14, 9
MAX_LABEL = 150
LEAD = 30  # room for the dot before the first stage
DENSE = 110  # a row of many stages has smaller letters
MANY = 12  # stages up to which a row is made to fit the page

Point = tuple[float, float]
Side = Literal[1, -1]  # 1: forward (above a row, right of a column); -1: back


@dataclass(frozen=True, slots=True)
class Stage:
    """What is drawn as a box. `note` stands small below the name."""

    key: str
    label: str
    color: str = "gray"
    kind: str = "open"
    note: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """What is drawn as a line. `sources` may be ("*",)."""

    key: str
    label: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    number: int = 0
    title: str = ""
    style: str = "default"
    url: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    stage: Stage
    x: float
    y: float
    width: float
    height: float
    lines: tuple[tuple[str, float, float], ...]  # text, x, y (middle, baseline)
    note_at: Point


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a move on its lane; `text` is shortened to what fits."""

    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """One bus of a move; a move that leads both forward and back has two."""

    move: Move
    path: str
    heads: tuple[str, ...]
    dots: tuple[Point, ...]  # where "from any stage" begins
    label: Label


@dataclass(frozen=True, slots=True)
class Drawing:
    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    start: tuple[Point, str]  # the dot before the first stage, and its arrow
    css: str


def draw_row(stages: Sequence[Stage], moves: Sequence[Move]) -> Drawing:
    """Stages from left to right, names on the lines."""
    pitch = min(max((ROW_WIDTH - LEAD) / max(len(stages), 1), 80), 172)
    dense = pitch < DENSE
    width = pitch - (10 if dense else 26)
    texts = [wrapped(s.label, width - (6 if dense else 2 * PAD), 10.5 if dense else 12.5, 3) for s in stages]
    height = 2 * PAD + LINE_HEIGHT * max([len(t) for t in texts], default=1) + (13 if any(s.note for s in stages) else 0)
    return _Plan(stages, moves, texts, (width, height), pitch, column=False).drawing()


def draw_column(stages: Sequence[Stage], moves: Sequence[Move]) -> Drawing:
    """Stages from top to bottom for narrow windows, numbers on the lines."""
    texts = [wrapped(s.label, COLUMN_BOX[0] - 2 * PAD, 12.5, 2) for s in stages]
    return _Plan(stages, moves, texts, COLUMN_BOX, COLUMN_BOX[1] + 26, column=True).drawing()


# ---- text ---------------------------------------------------------------------------------------------------------------


def text_width(text: str, size: float) -> float:
    """About how wide a text is: there is nothing to measure with on a server."""
    units = (1.0 if unicodedata.east_asian_width(c) in "WF" else 0.68 if c.isupper() or c in "mwMW%" else 0.3 if c in "il.,:;|' " else 0.56 for c in text)
    return sum(units) * size


def shortened(text: str, width: float, size: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrapped(text: str, width: float, size: float, most: int) -> list[str]:
    """The text in at most `most` lines: broken at spaces, within words only where one does not fit, after any Chinese character."""
    lines: list[str] = []
    here = ""
    for piece in _pieces(text):
        if here and text_width(here + piece.rstrip(), size) > width:
            lines.append(here.rstrip())
            here = ""
        here += piece
        while text_width(here.rstrip(), size) > width and len(here.rstrip()) > 1:
            cut = next(n for n in range(len(here), 0, -1) if n == 1 or text_width(here[:n], size) <= width)
            lines.append(here[:cut])
            here = here[cut:]
    lines = [line for line in [*lines, here.rstrip()] if line] or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], shortened(" ".join(lines[most - 1 :]), width, size)]


def _pieces(text: str) -> Iterable[str]:
    word = ""
    for c in text:
        wide = unicodedata.east_asian_width(c) in "WF"
        if wide and word:
            yield word
            word = ""
        word += c
        if wide or c in " -/":
            yield word
            word = ""
    if word:
        yield word


# ---- lanes --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Bus:
    """Part of a move on one side. Positions are stage numbers; ports and lane are found later."""

    move: Move
    side: Side
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    outs: dict[int, float] = field(default_factory=dict)  # stage -> place along the axis
    ins: dict[int, float] = field(default_factory=dict)
    lane: int = 0
    begin: float | None = None  # "from any stage": where the line begins

    @property
    def span(self) -> int:
        ends = (*self.sources, *self.targets)
        return max(ends) - min(ends)

    @property
    def towards(self) -> int:
        """In which direction along the axis it leads."""
        return self.side if self.span or not self.sources else 1

    @property
    def reach(self) -> tuple[float, float]:
        ends = [*self.outs.values(), *self.ins.values(), *([self.begin] if self.begin is not None else [])]
        return min(ends), max(ends)


def _buses(stages: Sequence[Stage], moves: Sequence[Move]) -> list[_Bus]:
    number = {s.key: n for n, s in enumerate(stages)}
    found: list[_Bus] = []
    for move in moves:
        targets = [number[t] for t in move.targets if t in number]
        if ANY in move.sources:
            found += [_Bus(move, 1, (), (t,)) for t in dict.fromkeys(targets)]
            continue
        sources = [number[s] for s in move.sources if s in number]
        for side in (1, -1):
            pairs = [(s, t) for s in sources for t in targets if (t - s) * side > 0]
            if pairs:
                found.append(_Bus(move, side, tuple(dict.fromkeys(s for s, _t in pairs)), tuple(dict.fromkeys(t for _s, t in pairs))))
        found += [_Bus(move, -1, (s,), (s,)) for s in dict.fromkeys(sources) if s in targets]
    return found


class _Plan:
    """Places for everything, first along the axis of the stages (u) and away from it (v), at last as x and y."""

    def __init__(self, stages: Sequence[Stage], moves: Sequence[Move], texts: Sequence[Sequence[str]], box: tuple[float, float], pitch: float, *, column: bool) -> None:
        self.stages, self.texts, self.box, self.pitch, self.column = stages, texts, box, pitch, column
        self.along, self.across = (box[1], box[0]) if column else box
        self.buses = _buses(stages, moves)
        self._ports()
        self._lanes()
        self.room = {side: max([FIRST_LANE + b.lane * self._lane_height + 14 for b in self.buses if b.side == side], default=14) for side in (1, -1)}

    @property
    def _lane_height(self) -> float:
        return 21 if self.column else LANE

    def _begin_of(self, stage: int) -> float:
        return LEAD + stage * self.pitch

    def _ports(self) -> None:
        for stage in range(len(self.stages)):
            for side in (1, -1):
                mine = [b for b in self.buses if b.side == side]
                ins = sorted((b for b in mine if stage in b.targets), key=lambda b: b.span * side)
                outs = sorted((b for b in mine if stage in b.sources), key=lambda b: -b.span * side)
                loops = [b for b in mine if b.sources == b.targets == (stage,)]
                if side == 1:
                    order = [(b, b.ins) for b in ins] + [(b, b.outs) for b in outs]
                else:
                    order = [(b, b.outs) for b in outs if b not in loops] + [p for b in loops for p in ((b, b.outs), (b, b.ins))]
                    order += [(b, b.ins) for b in ins if b not in loops]
                for place, (_bus, ports) in enumerate(order, 1):
                    ports[stage] = self._begin_of(stage) + self.along * place / (len(order) + 1)
        for bus in self.buses:
            if not bus.sources:
                bus.begin = next(iter(bus.ins.values())) - self._label_width(bus.move) - 26

    def _label_width(self, move: Move) -> float:
        return 19 if self.column else min(text_width(move.label, 11.5), MAX_LABEL) + 14

    def _needs(self, bus: _Bus) -> tuple[float, float]:
        low, high = bus.reach
        middle, half = (low + high) / 2, self._label_width(bus.move) / 2
        return min(low, middle - half), max(high, middle + half)

    def _lanes(self) -> None:
        taken: dict[Side, list[list[tuple[float, float]]]] = {1: [], -1: []}
        for bus in sorted(self.buses, key=lambda b: (b.span, b.reach[1] - b.reach[0], b.move.number)):
            low, high = self._needs(bus)
            lanes = taken[bus.side]
            bus.lane = next((n for n, lane in enumerate(lanes) if all(high + GAP <= a or low - GAP >= b for a, b in lane)), len(lanes))
            if bus.lane == len(lanes):
                lanes.append([])
            lanes[bus.lane].append((low, high))

    # ---- x and y

    def _at(self, u: float, v: float) -> Point:
        """v is the distance from the middle of the stages, positive on the forward side."""
        middle = self.across / 2
        if self.column:
            return (self.room[-1] + middle + v, self.shift + u)
        return (self.shift + u, self.room[1] + middle - v)

    def drawing(self) -> Drawing:
        # Labels, and where "from any stage" begins, may stick out beyond the first and the last stage.
        low = min([0.0, *(self._needs(b)[0] - 4 for b in self.buses)])
        high = max([self._begin_of(len(self.stages) - 1) + self.along, *(self._needs(b)[1] for b in self.buses)]) + 6
        self.shift = -low
        wide = self.room[1] + self.across + self.room[-1]
        width, height = (wide, high - low) if self.column else (high - low, wide)
        css = "flow-column" if self.column else "flow-row" + (" dense" if self.pitch < DENSE else "") + (" vast" if len(self.stages) > MANY else "")
        return Drawing(round(width), round(height), tuple(map(self._box, range(len(self.stages)))), tuple(map(self._line, self.buses)), self._start(), css)

    def _box(self, number: int) -> Box:
        stage, lines, (width, height) = self.stages[number], self.texts[number], self.box
        u = self._begin_of(number)
        x, y = self._at(u, -self.across / 2 if self.column else self.across / 2)
        noted = 12 if stage.note else 0
        top = y + (height - LINE_HEIGHT * len(lines) - noted) / 2 + 11
        texts = tuple((line, round(x + width / 2, 1), round(top + LINE_HEIGHT * n, 1)) for n, line in enumerate(lines))
        return Box(stage, round(x, 1), round(y, 1), round(width, 1), round(height, 1), texts, (round(x + width / 2, 1), round(top + LINE_HEIGHT * len(lines), 1)))

    def _start(self) -> tuple[Point, str]:
        u = self._begin_of(0)
        return self._at(u - 22, 0), self._head(u, 0, along=True)

    def _line(self, bus: _Bus) -> Line:
        edge = self.across / 2
        lane = edge + FIRST_LANE - 4 + bus.lane * self._lane_height
        forth = bus.towards
        low, high = bus.reach
        bend = min(ROUND, (high - low) / 2)
        parts, heads = [], []
        for u in bus.outs.values():
            parts.append(self._path(bus.side, (u, edge), (u, lane - bend), (u, lane), (u + forth * bend, lane)))
        for u in bus.ins.values():
            parts.append(self._path(bus.side, (u - forth * bend, lane), None, (u, lane), (u, lane - bend)) + self._to(bus.side, u, edge + ARROW - 1))
            heads.append(self._head(u, bus.side * edge))
        a, b = (low, high) if forth > 0 else (high, low)
        begin = a if bus.begin is not None else a + forth * bend
        parts.append(f"M{_pair(self._at(begin, bus.side * lane))}L{_pair(self._at(b - forth * bend, bus.side * lane))}")
        dots = (self._at(bus.begin, bus.side * lane),) if bus.begin is not None else ()
        return Line(bus.move, "".join(parts), tuple(heads), dots, self._label(bus, (low + high) / 2, bus.side * lane))

    def _label(self, bus: _Bus, u: float, v: float) -> Label:
        width = self._label_width(bus.move)
        x, y = self._at(u, v)
        text = str(bus.move.number) if self.column else shortened(bus.move.label, MAX_LABEL, 11.5)
        return Label(text, round(x - width / 2, 1), round(y - 9, 1), round(width, 1), 18)

    def _path(self, side: Side, begin: Point, straight: Point | None, corner: Point, end: Point) -> str:
        points = [self._at(u, side * v) for u, v in (begin, *([straight] if straight else []), corner, end)]
        head = f"M{_pair(points[0])}" + (f"L{_pair(points[1])}" if straight else "")
        return f"{head}Q{_pair(points[-2])} {_pair(points[-1])}"

    def _to(self, side: Side, u: float, v: float) -> str:
        return f"L{_pair(self._at(u, side * v))}"

    def _head(self, u: float, v: float, *, along: bool = False) -> str:
        """A triangle that touches the stage at (u, v)."""
        if along:
            points = [(u, v), (u - ARROW, v - 4), (u - ARROW, v + 4)]
        else:
            away = v + (ARROW if v > 0 else -ARROW)
            points = [(u, v), (u - 4, away), (u + 4, away)]
        return "M" + "L".join(_pair(self._at(*p)) for p in points) + "Z"


def _pair(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
