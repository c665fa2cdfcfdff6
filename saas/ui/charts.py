"""Drawings as frozen views: where bars, ticks and circles stand, in percent of the width, so that nothing is scaled and texts stay readable
on a telephone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from babel.dates import format_date

from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata.models import ChartDef
from saas.runtime import Context, charts
from saas.ui.views import Link

MOST_TICKS = 5
MOST_CIRCLES = 24  # around a record; more are only listed
MARGIN = 9  # percent of a graph's width left free on both sides


@dataclass(frozen=True, slots=True)
class Place:
    """From and how far, in percent of the width, and what it says."""

    x: str
    width: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class BarView:
    id: str
    url: str
    title: str
    note: str
    planned: Place | None
    actual: Place | None
    slip: Place | None  # what of the actual span lies behind the planned end
    running: bool
    color: str
    state: str
    late: bool
    slip_text: str
    label: str  # all of it in words, for those who do not see the bars


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    text: str
    minor: bool  # left out on narrow screens
    anchor: str


@dataclass(frozen=True, slots=True)
class CircleView:
    x: str
    y: str
    url: str
    title: str
    short: str
    text_y: str
    anchor: str
    centre: bool
    color: str


@dataclass(frozen=True, slots=True)
class EdgeView:
    x1: str
    y1: str
    x2: str
    y2: str
    text: str
    text_x: str
    text_y: str
    directed: bool
    color: str


@dataclass(frozen=True, slots=True)
class LineView:
    """A link in words."""

    id: str
    url: str
    text: str
    color: str
    directed: bool
    source: Link
    target: Link
    note: str


@dataclass(frozen=True, slots=True)
class DrawingView:
    key: str
    kind: str
    label: str
    description: str
    bars: tuple[BarView, ...] = ()
    ticks: tuple[Tick, ...] = ()
    today: str = ""  # where today is, in percent; "" outside
    has_actual: bool = False
    roots: tuple[Any, ...] = ()  # saas.runtime.charts.Branch
    deep: bool = False
    circles: tuple[CircleView, ...] = ()
    edges: tuple[EdgeView, ...] = ()
    lines: tuple[LineView, ...] = ()
    left_out: int = 0  # circles that are only listed
    more: bool = False
    empty: bool = False


async def drawing(ctx: Context, chart: ChartDef, record: UUID | None = None, **asked: Any) -> DrawingView:
    found = await charts.draw(ctx, chart, record, **asked)
    named = {"key": chart.key, "kind": chart.kind, "label": pick(chart.label, ctx.locale), "description": pick(chart.description, ctx.locale), "more": found.more}
    if isinstance(found, charts.Gantt):
        return _gantt(ctx, chart, found, named)
    if isinstance(found, charts.Tree):
        return DrawingView(**named, roots=found.roots, deep=_depth(found.roots) > 1, empty=not found.count or (chart.list is None and record is not None and found.count < 2))
    return _graph(found, named)


def _url(node: charts.Node) -> str:
    return f"/r/{node.entity}/{node.id}"


def _percent(value: float) -> str:
    return f"{value:.2f}%"


# ---- bars ----------------------------------------------------------------------------------------------------------------


def _gantt(ctx: Context, chart: ChartDef, found: charts.Gantt, named: dict[str, Any]) -> DrawingView:
    if found.first is None or found.last is None:
        bars = tuple(_bar(ctx, b, None) for b in found.bars)
        return DrawingView(**named, bars=bars, empty=not bars)
    first, last = found.first, found.last
    span = (last - first).days + 1
    if first - timedelta(span) <= found.today <= last + timedelta(span):
        first, last = min(first, found.today), max(last, found.today)
    edge = max(1, round(((last - first).days + 1) * .03))
    scale = _Scale(first - timedelta(edge), last + timedelta(edge))
    today = _percent(scale.at(found.today) + scale.day / 2) if scale.first <= found.today <= scale.last else ""
    ticks = _ticks(ctx, scale)
    return DrawingView(**named, bars=tuple(_bar(ctx, b, scale) for b in found.bars), ticks=ticks, today=today, has_actual=bool(chart.actual_start or chart.actual_end), empty=not found.bars)


@dataclass(frozen=True, slots=True)
class _Scale:
    first: date
    last: date

    @property
    def day(self) -> float:
        return 100 / ((self.last - self.first).days + 1)

    def at(self, on: date) -> float:
        return (on - self.first).days * self.day

    def place(self, span: charts.Span, text: str = "") -> Place:
        """Of both days, the last one included; never so narrow that nobody sees it."""
        return Place(_percent(self.at(span[0])), _percent(max(((span[1] - span[0]).days + 1) * self.day, .8)), text)


def _bar(ctx: Context, bar: charts.Bar, scale: _Scale | None) -> BarView:
    node, late = bar.node, bar.late is not None and bar.late > 0
    slip = None
    if scale and late and bar.planned:
        until = bar.actual[1] if bar.actual else ctx.today
        if until > bar.planned[1]:
            slip = scale.place((bar.planned[1] + timedelta(1), until))
    slip_text = ""
    if bar.late:
        days = abs(bar.late)
        slip_text = ngettext("%(count)s day late", "%(count)s days late", days) if late else ngettext("%(count)s day early", "%(count)s days early", days)
    elif bar.late == 0:
        slip_text = _("on time")
    planned = _("Planned: %(days)s", days=_days(ctx, bar.planned)) if bar.planned else _("Nothing planned")
    actual = (_("Under way since %(day)s", day=_day(ctx, bar.actual[0])) if bar.running else _("Actual: %(days)s", days=_days(ctx, bar.actual))) if bar.actual else ""
    return BarView(
        node.id, _url(node), node.title, " · ".join(s.text for s in node.shows), scale.place(bar.planned, planned) if scale and bar.planned else None,
        scale.place(bar.actual, actual) if scale and bar.actual else None, slip, bar.running, node.color or "gray", node.color_text, late, slip_text, ". ".join(t for t in (planned, actual, slip_text) if t),
    )  # fmt: skip


def _days(ctx: Context, span: charts.Span) -> str:
    return _day(ctx, span[0]) if span[0] == span[1] else f"{_day(ctx, span[0])} – {_day(ctx, span[1])}"


def _day(ctx: Context, on: date) -> str:
    if on.year == ctx.today.year:
        return format_date(on, "M月d日" if ctx.locale == "zh_CN" else "d MMM", locale=ctx.locale)
    return format_date(on, "yyyy-MM-dd", locale=ctx.locale)


def _ticks(ctx: Context, scale: _Scale) -> tuple[Tick, ...]:
    """At most MOST_TICKS of the same distance: days, weeks, months or years."""
    days = (scale.last - scale.first).days + 1
    found: list[date] = []
    if days <= 7 * MOST_TICKS:
        step = math.ceil(days / MOST_TICKS)
        found = [scale.first + timedelta(n) for n in range(0, days, step)]
        text = lambda d: _day(ctx, d)  # noqa: E731
    elif days <= 30 * MOST_TICKS:
        step = math.ceil(days / 7 / MOST_TICKS) * 7
        monday = scale.first + timedelta((7 - scale.first.weekday()) % 7)
        found = [monday + timedelta(n) for n in range(0, days, step) if monday + timedelta(n) <= scale.last]
        text = lambda d: _day(ctx, d)  # noqa: E731
    else:
        months = next((m for m in (1, 2, 3, 6, 12, 24, 60, 120, 240) if days / 30.5 / m <= MOST_TICKS), 600)
        year, month = scale.first.year, scale.first.month
        while True:
            on = date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
            if on > scale.last or on.year > 9990:
                break
            if on >= scale.first and (on.month - 1) % min(months, 12) == 0 and (months <= 12 or on.year % (months // 12) == 0):
                found.append(on)
            month += 1
        skeleton = "yyyy" if months >= 12 else ("yyyy年M月" if ctx.locale == "zh_CN" else "MMM yyyy")
        text = lambda d: format_date(d, skeleton, locale=ctx.locale)  # noqa: E731
    return tuple(Tick(_percent(scale.at(d)), text(d), n % 2 == 1, "end" if scale.at(d) > 76 else "start") for n, d in enumerate(found))


# ---- trees ---------------------------------------------------------------------------------------------------------------


def _depth(branches: Sequence[charts.Branch]) -> int:
    return 1 + max((_depth(b.below) for b in branches), default=0) if branches else 0


# ---- graphs --------------------------------------------------------------------------------------------------------------


def _graph(found: charts.Graph, named: dict[str, Any]) -> DrawingView:
    linked = {end for x in found.lines for end in (x.source, x.target)}
    if len(found.centre) == 1:
        around = [k for k in found.nodes if k not in found.centre]
        shown, places = around[:MOST_CIRCLES], {found.centre[0]: (50.0, 50.0)} if found.centre else {}
    else:  # no one in the middle: all on the circle; those without a link are only named below
        around = [k for k in found.nodes if k in linked]
        shown, places = around[:MOST_CIRCLES], {}
    for number, key in enumerate(shown):
        angle = 2 * math.pi * number / len(shown) - math.pi / 2
        places[key] = (50 + (50 - MARGIN) * .82 * math.cos(angle), 50 + 38 * math.sin(angle))
    circles = tuple(_circle(found, key, *places[key]) for key in places if linked or key in found.centre)
    drawn = [x for x in found.lines if x.source in places and x.target in places and x.source != x.target]
    edges = tuple(_edge(x, places, sum(1 for o in drawn[:n] if {o.source, o.target} == {x.source, x.target})) for n, x in enumerate(drawn))
    lines = tuple(
        LineView(
            x.id, "", x.text, x.color or "gray", x.directed, _side(found.nodes[x.source]), _side(found.nodes[x.target]), " · ".join(s.text for s in x.shows)
        )
        for x in found.lines
    )  # fmt: skip
    return DrawingView(**named, circles=circles if edges else (), edges=edges, lines=lines, left_out=len(around) - len(shown), empty=not found.lines)


def _side(node: charts.Node) -> Link:
    return Link(node.title, _url(node))


def _circle(found: charts.Graph, key: str, x: float, y: float) -> CircleView:
    node, centre = found.nodes[key], key in found.centre
    anchor = "middle" if abs(x - 50) < 22 else "start" if x < 50 else "end"
    short = node.title if len(node.title) <= 18 else node.title[:17] + "…"
    return CircleView(_percent(x), _percent(y), _url(node), node.title, short, _percent(y + (7.5 if y >= 49 else -4.5)), anchor, centre, node.color)


def _edge(x: charts.LinkLine, places: dict[str, tuple[float, float]], nth: int) -> EdgeView:
    """`nth`: how many lines between the same two stand before it; their texts must not cover each other."""
    (x1, y1), (x2, y2) = places[x.source], places[x.target]
    middle = .5 + .14 * ((nth + 1) // 2) * (1 if nth % 2 else -1)
    toward = (x1 + (x2 - x1) * .93, y1 + (y2 - y1) * .93)
    return EdgeView(
        _percent(x1), _percent(y1), _percent(toward[0] if x.directed else x2), _percent(toward[1] if x.directed else y2), x.text if len(x.text) <= 14 else x.text[:13] + "…",
        _percent(x1 + (x2 - x1) * middle), _percent(y1 + (y2 - y1) * middle), x.directed, x.color or "gray",
    )  # fmt: skip
