"""Drawings of records: plans against what happened, who stands below whom, who is linked with whom. Everything is read through the door with
the reader's rights: what they may not see is not drawn, and a drawing whose essential fields are hidden from them is not there at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from saas.errors import BadRequest, NotFound
from saas.i18n import lazy, pick
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.metadata.models import ChartDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute

OPEN = ("read", "write")
MOST_ROWS = 200  # bars, or links
MOST_NODES = 300  # people and the like in one tree
MOST_LEVELS = 20
Span = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Shown:
    """A further field of what is drawn, in words."""

    key: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """One record of a drawing."""

    id: str
    entity: str
    title: str
    shows: tuple[Shown, ...] = ()
    color: str = ""  # of the option or stage it is coloured by
    color_text: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row on the time line. `late`: days after the planned end, below zero when it was early; None where nothing can be said.
    `running`: it has begun and is not finished, so its actual span ends today."""

    node: Node
    planned: Span | None
    actual: Span | None
    running: bool
    late: int | None


@dataclass(frozen=True, slots=True)
class Gantt:
    bars: tuple[Bar, ...]
    first: date | None
    last: date | None
    today: date
    more: bool = False  # there are further ones that are not drawn


@dataclass(frozen=True, slots=True)
class Branch:
    node: Node
    below: tuple[Branch, ...] = ()
    here: bool = False  # the record whose page it is


@dataclass(frozen=True, slots=True)
class Tree:
    roots: tuple[Branch, ...]
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class LinkLine:
    id: str
    source: str  # "entity/id" of a node
    target: str
    kind: str
    text: str
    directed: bool
    color: str = ""
    shows: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """`nodes` by "entity/id": first what it is about, then what that is linked with."""

    nodes: Mapping[str, Node]
    lines: tuple[LinkLine, ...]
    centre: tuple[str, ...]
    more: bool = False


Drawing = Gantt | Tree | Graph


@dataclass(frozen=True, slots=True)
class _Sight:
    """What of an entity a person reads for a drawing."""

    ctx: Context
    entity: Entity
    access: Mapping[str, str] = field(default_factory=dict)

    def open(self, key: str | None) -> bool:
        return key is not None and self.access.get(key) in OPEN

    def keys(self, *wanted: str | None) -> list[str]:
        found = [k for k in wanted if k and self.access.get(k, "hidden") != "hidden"]
        return list(dict.fromkeys((*([self.entity.defn.title] if self.access.get(self.entity.defn.title, "hidden") != "hidden" else []), *found)))


def _sight(ctx: Context, entity: Entity) -> _Sight:
    return _Sight(ctx, entity, permissions.static_access(ctx, entity))


# ---- which there are -----------------------------------------------------------------------------------------------------


def charts_of(ctx: Context) -> list[ChartDef]:
    """Those the person may see."""
    return [c for c in ctx.config.bundle.charts if _may_see(ctx, c)]


def on_records(ctx: Context, entity: Entity) -> list[ChartDef]:
    """Drawings on the page of one record."""
    return [c for c in charts_of(ctx) if c.entity == entity.key and is_on_records(c)]


def beside_list(ctx: Context, entity: Entity) -> list[ChartDef]:
    """Drawings of all records of an entity."""
    return [c for c in charts_of(ctx) if c.entity == entity.key and is_beside_list(c)]


def is_on_records(chart: ChartDef) -> bool:
    return bool(chart.list) or chart.kind != "gantt"


def is_beside_list(chart: ChartDef) -> bool:
    return not chart.list and chart.kind != "graph"


def chart_called(ctx: Context, key: str) -> ChartDef:
    """Errors: NotFound."""
    found = next((c for c in charts_of(ctx) if c.key == key), None)
    if found is None:
        raise NotFound(lazy("There is no drawing “%(key)s” here.", key=key))
    return found


def drawn_entity(ctx: Context, chart: ChartDef) -> tuple[Entity, Relation | None]:
    entity = ctx.config.entity(chart.entity)
    relation = entity.children[chart.list] if chart.list else None
    return (ctx.config.entity(relation.child) if relation else entity), relation


def _may_see(ctx: Context, chart: ChartDef) -> bool:
    entity, relation = drawn_entity(ctx, chart)
    if not permissions.may(ctx, "read", chart.entity) or not permissions.may(ctx, "read", entity.key):
        return False
    sight = _sight(ctx, entity)
    needed = [chart.planned_end or chart.actual_end] if chart.kind == "gantt" else [chart.parent] if chart.kind == "tree" else []
    if not all(sight.open(k) for k in (*needed, *([relation.field] if relation else []))):
        return False
    if chart.kind != "graph":
        return True
    links = ctx.config.entity(str(chart.links))
    seen = _sight(ctx, links)
    return permissions.may(ctx, "read", links.key) and seen.open(chart.link_from) and seen.open(chart.link_to)


# ---- drawing -------------------------------------------------------------------------------------------------------------


async def draw(ctx: Context, chart: ChartDef, record: UUID | None = None, *, filter_: Any = None, q: str | None = None, view: str | None = None, sort: Sequence[str] | None = None) -> Drawing:
    """The drawing of one record, or (without one) of the entity's records that `filter_`, `q` and `view` leave. The record itself must have
    been found by its reader. Errors: BadRequest where the drawing is of the other sort."""
    if (record is None and not is_beside_list(chart)) or (record is not None and not is_on_records(chart)):
        raise BadRequest(lazy("This drawing belongs to one record.") if record is None else lazy("This drawing belongs to a list."), field="record")
    asked: dict[str, Any] = {"filter": filter_, "q": q, "view": view}
    if record is not None:
        _entity, relation = drawn_entity(ctx, chart)
        asked = {"filter": {"field": relation.field, "op": "contains" if relation.many else "eq", "value": str(record)}} if relation else {}
    if chart.kind == "gantt":
        return await _gantt(ctx, chart, asked, sort)
    if chart.kind == "tree":
        return await (_tree(ctx, chart, asked) if asked else _tree_around(ctx, chart, str(record)))
    return await _graph(ctx, chart, str(record), asked)


async def _gantt(ctx: Context, chart: ChartDef, asked: dict[str, Any], sort: Sequence[str] | None) -> Gantt:
    entity, _relation = drawn_entity(ctx, chart)
    sight = _sight(ctx, entity)
    dates = {name: key for name in ("planned_start", "planned_end", "actual_start", "actual_end") if sight.open(key := getattr(chart, name))}
    shows, color = _extra(sight, chart)
    first = next((k for k in (chart.planned_start, chart.planned_end, chart.actual_start, chart.actual_end) if k in dates.values() and field_types.get(entity.fields[k].type).sortable), None)
    order = sort or ((first,) if first else ("created_at",))
    page = await execute(ctx, ops.List(entity=entity.key, fields=sight.keys(*dates.values(), *shows, color), sort=order, limit=MOST_ROWS, **asked))
    bars = tuple(_bar(ctx, _node(ctx, entity, r, shows, color), {name: _day(ctx, r.values.get(key)) for name, key in dates.items()}, ended="actual_end" in dates) for r in page.records)
    days = [d for b in bars for span in (b.planned, b.actual) if span for d in span]
    return Gantt(bars, min(days, default=None), max(days, default=None), ctx.today, bool(page.next))


def _bar(ctx: Context, node: Node, day: Mapping[str, date | None], *, ended: bool) -> Bar:
    planned = _span(day.get("planned_start") or day.get("planned_end"), day.get("planned_end") or day.get("planned_start"))
    start, end = day.get("actual_start"), day.get("actual_end")
    running = ended and start is not None and end is None and start <= ctx.today
    if end is not None and start is None and planned is not None:  # only its end is kept
        start = min(planned[0], end)
    actual = _span(start or end, end or (max(start, ctx.today) if start is not None and ended else start))
    late = None
    if planned is not None and ended:
        until = end or ctx.today
        late = (until - planned[1]).days if end is not None or until > planned[1] else None
    return Bar(node, planned, actual, running, late)


def _span(first: date | None, last: date | None) -> Span | None:
    if first is None or last is None:
        return None
    return (first, last) if first <= last else (last, first)


def _day(ctx: Context, value: Any) -> date | None:
    """The local day of a date or moment in JSON."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == 10:
            return date.fromisoformat(value)
        return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(ctx.zone).date()
    except ValueError:
        return None


# ---- trees ---------------------------------------------------------------------------------------------------------------


async def _tree(ctx: Context, chart: ChartDef, asked: dict[str, Any]) -> Tree:
    records: list[ops.Record] = []
    after = None
    while True:
        page = await execute(ctx, ops.List(**_tree_read(ctx, chart), limit=min(200, MOST_NODES - len(records)), after=after, **asked))
        records += page.records
        after = page.next
        if after is None or len(records) >= MOST_NODES:
            return _grown(ctx, chart, records, "", more=after is not None)


async def _tree_around(ctx: Context, chart: ChartDef, record: str) -> Tree:
    """From the topmost record above it that may be seen, down."""
    found: dict[str, ops.Record] = {}
    top: str | None = record
    for _level in range(MOST_LEVELS):
        page = await execute(ctx, ops.List(**_tree_read(ctx, chart), filter={"field": "id", "op": "eq", "value": top}, limit=1))
        if not page.records:
            break
        found[str(page.records[0].id)] = page.records[0]
        top = page.records[0].values.get(str(chart.parent))
        if not isinstance(top, str) or top in found:
            break
    level, more = list(found), False
    for _level in range(MOST_LEVELS):
        if not level or len(found) >= MOST_NODES:
            break
        page = await execute(ctx, ops.List(**_tree_read(ctx, chart), filter={"field": chart.parent, "op": "in", "value": level}, limit=min(200, MOST_NODES - len(found))))
        more = more or page.next is not None
        level = [str(r.id) for r in page.records if str(r.id) not in found]
        found.update({str(r.id): r for r in page.records})
    return _grown(ctx, chart, list(found.values()), record, more=more)


def _tree_read(ctx: Context, chart: ChartDef) -> dict[str, Any]:
    entity, _relation = drawn_entity(ctx, chart)
    sight = _sight(ctx, entity)
    shows, color = _extra(sight, chart)
    title = entity.defn.title
    sort = (title,) if sight.open(title) and field_types.get(entity.fields[title].type).sortable else ("created_at",)
    return {"entity": entity.key, "fields": sight.keys(chart.parent, *shows, color), "sort": sort}


def _grown(ctx: Context, chart: ChartDef, records: list[ops.Record], here: str, *, more: bool) -> Tree:
    """Branches from records. Whose superior is not among them stands on top; circles are cut where they are first met."""
    entity, _relation = drawn_entity(ctx, chart)
    shows, color = _extra(_sight(ctx, entity), chart)
    known = {str(r.id) for r in records}
    below: dict[str, list[ops.Record]] = {}
    for record in records:
        above = record.values.get(str(chart.parent))
        below.setdefault(above if isinstance(above, str) and above in known and above != str(record.id) else "", []).append(record)
    seen: set[str] = set()

    def branch(record: ops.Record, level: int) -> Branch:
        seen.add(str(record.id))
        deeper = [r for r in below.get(str(record.id), ()) if str(r.id) not in seen] if level < MOST_LEVELS else []
        return Branch(_node(ctx, entity, record, shows, color), tuple(branch(r, level + 1) for r in deeper if str(r.id) not in seen), str(record.id) == here)

    roots = [branch(r, 0) for r in below.get("", ())]
    roots += [branch(r, 0) for r in records if str(r.id) not in seen]  # of a circle, one is on top
    return Tree(tuple(roots), len(records), more)


# ---- graphs --------------------------------------------------------------------------------------------------------------


async def _graph(ctx: Context, chart: ChartDef, record: str, asked: dict[str, Any]) -> Graph:
    entity, _relation = drawn_entity(ctx, chart)
    links = ctx.config.entity(str(chart.links))
    ends = (str(chart.link_from), str(chart.link_to))
    sight = _sight(ctx, links)
    if asked:
        page = await execute(ctx, ops.List(entity=entity.key, fields=_sight(ctx, entity).keys(), sort=("created_at",), limit=60, **asked))
        centre, cut = [_node(ctx, entity, r, (), None) for r in page.records], bool(page.next)
    else:
        page = await execute(ctx, ops.List(entity=entity.key, fields=_sight(ctx, entity).keys(), filter={"field": "id", "op": "eq", "value": record}, limit=1))
        centre, cut = [_node(ctx, entity, r, (), None) for r in page.records], False
    ids = [n.id for n in centre]
    about = [key for key in ends if links.fields[key].options.get("to") == entity.key]
    if not ids or not about:
        return Graph({f"{entity.key}/{n.id}": n for n in centre}, (), tuple(f"{entity.key}/{i}" for i in ids), cut)
    kind = chart.link_kind if sight.access.get(chart.link_kind or "", "hidden") != "hidden" else None
    shows = tuple(k for k in chart.link_shows if sight.access.get(k, "hidden") != "hidden")
    found = await execute(ctx, ops.List(
        entity=links.key, fields=sight.keys(*ends, kind, *shows), limit=MOST_ROWS, sort=("created_at",), filter={"or": [{"field": k, "op": "in", "value": ids} for k in about]},
    ))  # fmt: skip
    nodes = {f"{entity.key}/{n.id}": n for n in centre}
    lines = []
    for r in found.records:
        sides = []
        for key in ends:
            to, value = str(links.fields[key].options.get("to")), r.values.get(key)
            if isinstance(value, str):
                sides.append(name := f"{to}/{value}")
                nodes.setdefault(name, Node(value, to, r.display.get(key) or "…"))
        if len(sides) == 2:
            option = r.values.get(kind) if kind else None
            color = _color(ctx, links, kind, option) if kind else ""
            lines.append(LinkLine(str(r.id), sides[0], sides[1], str(option or ""), r.display.get(kind or "", "") or r.title, option not in chart.symmetric, color, _shown(ctx, links, r, shows)))
    return Graph(nodes, tuple(lines), tuple(f"{entity.key}/{i}" for i in ids), cut or bool(found.next))


# ---- records -------------------------------------------------------------------------------------------------------------


def _extra(sight: _Sight, chart: ChartDef) -> tuple[tuple[str, ...], str | None]:
    shows = tuple(k for k in chart.shows if sight.access.get(k, "hidden") != "hidden")
    return shows, chart.color_by if sight.open(chart.color_by) else None


def _node(ctx: Context, entity: Entity, record: ops.Record, shows: Iterable[str], color: str | None) -> Node:
    value = (record.state if entity.pipeline and color == entity.pipeline.field else record.values.get(color)) if color else None
    return Node(str(record.id), entity.key, record.title, _shown(ctx, entity, record, shows), _color(ctx, entity, color, value) if color else "", record.display.get(color or "", ""))


def _shown(ctx: Context, entity: Entity, record: ops.Record, keys: Iterable[str]) -> tuple[Shown, ...]:
    return tuple(Shown(k, pick(entity.fields[k].label, ctx.locale), text) for k in keys if (text := record.display.get(k, "")))


def _color(ctx: Context, entity: Entity, key: str, value: Any) -> str:
    return next((o.color for o in ctx.config.options(entity.key, key) if o.key == value), "")


def as_json(drawing: Drawing) -> dict[str, Any]:
    """For the API: days as ISO dates, records by id."""
    if isinstance(drawing, Gantt):
        rows = [
            {**_node_json(b.node), "planned": _span_json(b.planned), "actual": _span_json(b.actual), "running": b.running, "late_days": b.late} for b in drawing.bars
        ]
        return {"kind": "gantt", "today": drawing.today.isoformat(), "rows": rows, "more": drawing.more}
    if isinstance(drawing, Tree):
        return {"kind": "tree", "roots": [_branch_json(b) for b in drawing.roots], "count": drawing.count, "more": drawing.more}
    lines = [
        {"id": x.id, "from": x.source, "to": x.target, "kind": x.kind, "text": x.text, "directed": x.directed, "shows": {s.key: s.text for s in x.shows}} for x in drawing.lines
    ]
    return {"kind": "graph", "nodes": {key: _node_json(n) for key, n in drawing.nodes.items()}, "lines": lines, "centre": list(drawing.centre), "more": drawing.more}


def _node_json(node: Node) -> dict[str, Any]:
    return {"id": node.id, "entity": node.entity, "title": node.title, "color": node.color_text, "shows": {s.key: s.text for s in node.shows}}


def _span_json(span: Span | None) -> list[str] | None:
    return [d.isoformat() for d in span] if span else None


def _branch_json(branch: Branch) -> dict[str, Any]:
    return {**_node_json(branch.node), "here": branch.here, "below": [_branch_json(b) for b in branch.below]}
