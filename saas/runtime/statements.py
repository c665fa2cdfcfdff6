"""Statements: what is settled with each party for a period, at the price of the day. All that is read is read with the asker's rights, so
partners find their own figures and nobody else's; a closed period is a record and says the same for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, StatementDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.aggregates import MAX_ROWS
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.ledgers import figure
from saas.runtime.rows import Row
from saas.runtime.transfer.exports import sheet_bytes

OPEN = ("read", "write")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
MOST_LISTED = 200  # records of one page below the figures
MOST = 5000  # prices, or closed periods, that are looked at
Party = tuple[str, str]  # id, name


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` in JSON, as of the money field it is in; `closed`: the id of the record that froze it."""

    party: str
    name: str
    count: Decimal
    amount: Any
    count_text: str
    amount_text: str
    closed: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    defn: StatementDef
    period: str
    label: str
    first: date
    last: date
    lines: list[Line]
    total: Line
    may_close: bool


def statements_of(ctx: Context) -> list[StatementDef]:
    """Those whose figures the person may see, for some records at least."""
    return [s for s in ctx.config.bundle.statements if _may_see(ctx, s)]


def _may_see(ctx: Context, defn: StatementDef) -> bool:
    if not permissions.may(ctx, "read", defn.entity):
        return False
    access = permissions.static_access(ctx, ctx.config.entity(defn.entity))
    return all(access.get(k) in OPEN for k in (defn.party, defn.date, *([defn.measure] if defn.measure else [])))


def statement_called(ctx: Context, key: str) -> StatementDef:
    """Errors: NotFound."""
    found = next((s for s in statements_of(ctx) if s.key == key), None)
    if found is None:
        raise NotFound(lazy("There is no statement “%(key)s” here.", key=key))
    return found


# ---- periods -------------------------------------------------------------------------------------------------------------


def period_of(defn: StatementDef, day: date) -> str:
    if defn.period == "year":
        return f"{day.year:04d}"
    return f"{day.year:04d}-Q{(day.month + 2) // 3}" if defn.period == "quarter" else f"{day.year:04d}-{day.month:02d}"


def bounds(defn: StatementDef, period: str) -> tuple[date, date]:
    """First and last day. Errors: BadRequest."""
    try:
        year, _dash, rest = period.partition("-")
        month = 1 if defn.period == "year" else int(rest.removeprefix("Q")) * 3 - 2 if defn.period == "quarter" else int(rest)
        first = date(int(year), month, 1)
        if period_of(defn, first) != period:
            raise ValueError(period)
        return first, moved(defn, first, 1) - timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise BadRequest(lazy("“%(period)s” is no period of this statement.", period=period[:20]), field="period") from error


def moved(defn: StatementDef, first: date, steps: int) -> date:
    """The first day so many periods later."""
    months = first.year * 12 + first.month - 1 + steps * MONTHS[defn.period]
    return date(months // 12, months % 12 + 1, 1)


# ---- figures -------------------------------------------------------------------------------------------------------------


async def make(ctx: Context, key: str, *, period: str | None = None, party: UUID | None = None) -> Statement:
    """Errors: NotFound, BadRequest."""
    defn = statement_called(ctx, key)
    period = period or period_of(defn, ctx.today)
    first, last = bounds(defn, period)
    async with tenant_transaction(ctx.tenant_id):
        frozen = await _closed(ctx, defn, period, party)
        lines = [*frozen.values(), *(line for line in await _counted(ctx, defn, first, last, party) if line.party not in frozen)]
    lines.sort(key=lambda line: line.name)
    total = _line(ctx, defn, ("", _("Total")), sum((x.count for x in lines), Decimal(0)), sum((_number(ctx, defn, x.amount) for x in lines), Decimal(0)))
    may_close = bool(defn.closings) and permissions.may(ctx, "create", defn.closings or "") and last < ctx.today and any(x.closed is None for x in lines) and permissions.is_open(ctx)
    return Statement(defn, period, pick(defn.label, ctx.locale), first, last, lines, total, may_close)


def listed_columns(ctx: Context, defn: StatementDef) -> list[FieldDef]:
    """Fields of the records that the reader sees listed below the figures."""
    entity = ctx.config.entity(defn.entity)
    access = permissions.static_access(ctx, entity)
    return [entity.fields[k] for k in defn.columns if access.get(k, "hidden") != "hidden"]


async def records_of(ctx: Context, found: Statement, party: UUID | None = None, *, limit: int = 200, right: str = "read") -> tuple[list[ops.Record], bool]:
    """The records that a statement's figures stand for, the newest first, and whether there are more; none where it lists none."""
    defn, columns = found.defn, listed_columns(ctx, found.defn)
    if not columns:
        return [], False
    entity = ctx.config.entity(defn.entity)
    asked = {"and": _within_days(ctx, entity, defn, found.first, found.last, party)}
    fields = list(dict.fromkeys([*(f.key for f in columns), entity.defn.title]))
    page = await execute(ctx, ops.List(entity=entity.key, filter=asked, within={"expr": defn.where} if defn.where else None, sort=(f"-{defn.date}",), fields=fields, limit=limit, right=right))
    return page.records, page.next is not None


def _within_days(ctx: Context, entity: Entity, defn: StatementDef, first: date, last: date, party: UUID | None) -> list[Any]:
    asked: list[Any] = [{"field": defn.date, "op": "gte", "value": _moment(ctx, entity, defn, first)}, {"field": defn.date, "op": "lt", "value": _moment(ctx, entity, defn, last + timedelta(days=1))}]
    if party is not None:
        asked.append({"field": defn.party, "op": "eq", "value": str(party)})
    return asked


async def _counted(ctx: Context, defn: StatementDef, first: date, last: date, party: UUID | None) -> list[Line]:
    """Day by day, since a price may change in between."""
    entity = ctx.config.entity(defn.entity)
    measures = [ops.Measure(fn="count"), *([ops.Measure(fn="sum", field=defn.measure)] if defn.measure else [])]
    asked = _within_days(ctx, entity, defn, first, last, party)
    rows = await execute(
        ctx, ops.Aggregate(entity=entity.key, measures=measures, dimensions=[ops.Dimension(field=defn.party), ops.Dimension(field=defn.date, bucket="day")], filter={"and": asked},
                           within={"expr": defn.where} if defn.where else None, limit=MAX_ROWS),
    )  # fmt: skip
    if len(rows) >= MAX_ROWS:
        raise Conflict(lazy("This period has too many parties for one statement; choose one of them."), reason="too_many")
    prices = await _prices(ctx, defn)
    sums: dict[Party, list[Decimal]] = {}
    for row in rows:
        if row.keys[0] is None:
            continue
        count = Decimal(row.values[0])
        basis = count if defn.measure is None else _plain(row.values[1])
        price = _price(prices, str(row.keys[0]), str(row.keys[1])[:10]) if defn.prices else Decimal(1)
        into = sums.setdefault((str(row.keys[0]), row.labels[0]), [Decimal(0), Decimal(0)])
        into[0] += count
        into[1] += basis * price
    return [_line(ctx, defn, who, *values) for who, values in sums.items()]


def _moment(ctx: Context, entity: Entity, defn: StatementDef, day: date) -> str:
    """The day, or for times the moment it begins where the tenant is."""
    if entity.fields[defn.date].type == "date":
        return day.isoformat()
    return datetime.combine(day, time(), ctx.zone).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Decimal:
    return Decimal(str(value["amount"] if isinstance(value, Mapping) else value or 0))


Prices = list[tuple[str, str, Decimal]]  # party or "", first day or "", price


async def _prices(ctx: Context, defn: StatementDef) -> Prices:
    """Whoever asks: the price is part of what they are told."""
    if not defn.prices or not defn.prices_value:
        return []
    entity = ctx.config.entity(defn.prices)
    page = await execute(ctx.replace(elevated=True), ops.List(entity=entity.key, limit=MOST, right="export", fields=[k for k in (defn.prices_value, defn.prices_from, defn.prices_party) if k]))
    found = []
    for record in page.records:
        row = Row(id=record.id, entity=entity.key, version=1, values=record.values)
        found.append((str(row.get(defn.prices_party) or "") if defn.prices_party else "", str(row.get(defn.prices_from) or "") if defn.prices_from else "", figure(ctx, entity, defn.prices_value, row)))
    return sorted(found, key=lambda p: (bool(p[0]), p[1]), reverse=True)


def _price(prices: Prices, party: str, day: str) -> Decimal:
    """A price of the party's own before one for all, of these the newest that holds; nothing where there is none."""
    return next((price for who, first, price in prices if who in ("", party) and first <= day), Decimal(0))


def _money(ctx: Context, defn: StatementDef) -> tuple[Entity, FieldDef] | None:
    """The field that says what sort of figure the amount is."""
    for entity_key, key in ((defn.closings, defn.closed_amount), (defn.prices, defn.prices_value), (defn.entity, defn.measure)):
        if entity_key and key:
            entity = ctx.config.entity(entity_key)
            return entity, entity.fields[key]
    return None


def _number(ctx: Context, defn: StatementDef, amount: Any) -> Decimal:
    return _plain(amount)


def _line(ctx: Context, defn: StatementDef, who: Party, count: Decimal, amount: Decimal, closed: str | None = None) -> Line:
    money = _money(ctx, defn)
    if money is None:
        return Line(*who, count, str(amount), f"{count:f}", f"{amount.normalize():f}" if amount else "0", closed)
    kind = field_types.get(money[1].type)
    value = kind.from_expr(money[1], amount, ctx.config)
    return Line(*who, count, value, f"{count:f}", kind.display(money[1], value, ctx.config, ctx.locale), closed)


# ---- closing -------------------------------------------------------------------------------------------------------------


async def _closed(ctx: Context, defn: StatementDef, period: str, party: UUID | None) -> dict[str, Line]:
    if not (defn.closings and defn.closed_party and defn.closed_period and permissions.may(ctx, "read", defn.closings)):
        return {}
    entity = ctx.config.entity(defn.closings)
    asked: list[Any] = [{"field": defn.closed_period, "op": "eq", "value": period}]
    if party is not None:
        asked.append({"field": defn.closed_party, "op": "eq", "value": str(party)})
    page = await execute(ctx, ops.List(entity=entity.key, filter={"and": asked}, limit=200))
    found = {}
    records: Sequence[ops.Record] = page.records
    while True:
        for record in records:
            row = Row(id=record.id, entity=entity.key, version=1, values=record.values)
            who = (str(record.values.get(defn.closed_party)), record.display.get(defn.closed_party, ""))
            count = figure(ctx, entity, defn.closed_count, row) if defn.closed_count else Decimal(0)
            found[who[0]] = _line(ctx, defn, who, count, figure(ctx, entity, defn.closed_amount, row) if defn.closed_amount else Decimal(0), str(record.id))
        if page.next is None or len(found) >= MOST:
            return found
        page = await execute(ctx, ops.List(entity=entity.key, filter={"and": asked}, limit=200, after=page.next))
        records = page.records


async def close(ctx: Context, key: str, period: str) -> Statement:
    """Freeze what is not frozen yet of a period that is over. Errors: NotFound, PermissionDenied, Conflict, InvalidInput."""
    defn = statement_called(ctx, key)
    if not (defn.closings and defn.closed_party and defn.closed_period):
        raise Conflict(lazy("This statement keeps no closed periods."), reason="no_closings")
    permissions.require(ctx, "create", defn.closings)
    _first, last = bounds(defn, period)
    if last >= ctx.today:
        raise Conflict(lazy("This period is not over yet."), reason="not_over")
    entity = ctx.config.entity(defn.closings)
    async with tenant_transaction(ctx.tenant_id):
        for line in (await make(ctx, key, period=period)).lines:
            if line.closed is None:
                values: dict[str, Any] = {defn.closed_party: line.party, defn.closed_period: period}
                if defn.closed_count:
                    values[defn.closed_count] = int(line.count)
                if defn.closed_amount:
                    values[defn.closed_amount] = field_types.get(entity.fields[defn.closed_amount].type).from_expr(entity.fields[defn.closed_amount], _plain(line.amount), ctx.config)
                await execute(ctx, ops.Create(entity=entity.key, values=values, brief=True))
        return await make(ctx, key, period=period)


def sheet(ctx: Context, found: Statement, records: Sequence[ops.Record] = ()) -> bytes:
    """The statement as an Excel file, with the figures the page shows and the records below them."""
    entity = ctx.config.entity(found.defn.entity)
    heads = [pick(entity.fields[found.defn.party].label, ctx.locale), _("Count"), _("Amount"), _("Closed")]
    rows: list[list[Any]] = [[x.name, float(x.count), float(_plain(x.amount)), _("Yes") if x.closed else ""] for x in found.lines]
    rows.append([_("Total"), float(found.total.count), float(_plain(found.total.amount)), ""])
    if records and (columns := listed_columns(ctx, found.defn)):
        rows += [[], [pick(f.label, ctx.locale) for f in columns]]
        rows += [[_cell(record, f) for f in columns] for record in records]
    width = max(len(row) for row in (heads, *rows))
    return sheet_bytes(f"{found.label} {found.period}"[:31], [*heads, *[""] * (width - len(heads))], [[*row, *[""] * (width - len(row))] for row in rows])


def _cell(record: ops.Record, field: FieldDef) -> Any:
    """Money and numbers as figures, telephone numbers without spaces, all else in words."""
    value = record.values.get(field.key)
    if field.type in ("money", "int", "number") and value is not None:
        return float(_plain(value))
    return value if field.type == "phone" and value is not None else record.display.get(field.key, "")
