"""Prices of lines: the list price that holds on the day, the discounts that apply, what they recommend together, and why. Called where
records are written, so pages, API, imports and rules find the same price; entry forms ask for it while people type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import PricingDef
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, fill, prepare, read_row
from saas.runtime.ledgers import figure
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.validate import EMPTY, Draft

MOST = 1000  # discounts, or entries of price lists, that one line looks at
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Judged:
    """A discount with what it is called and why it does not apply ("" where it does)."""

    row: Row
    name: str
    percent: Decimal
    reason: str


def of_lines(ctx: Context, entity_key: str) -> Sequence[PricingDef]:
    return ctx.config.cached(("pricing.of", entity_key), lambda: [p for p in ctx.config.bundle.pricing if p.entity == entity_key])


async def price_line(act: Act, draft: Draft) -> None:
    """Fill list price, recommendation, explanation and deviation of a line about to be written; a price nobody typed follows."""
    for pricing in of_lines(act.ctx, draft.entity.key):
        env = await prepare(act.conn, act.ctx, draft.entity, draft.row, _texts(pricing), old=draft.old)
        if not env.holds(pricing.where):
            continue
        found = await _recommended(act.conn, act.ctx, pricing, env)
        before = draft.old.get(pricing.suggested) if draft.old else None
        if pricing.price not in draft.changed and (draft.row.get(pricing.price) in EMPTY or (before not in EMPTY and draft.row.get(pricing.price) == before)):
            found[pricing.price] = found.get(pricing.suggested)
        for key, value in found.items():
            if draft.row.get(key) != value:
                draft.row.values[key] = value
                draft.changed.add(key)
        _deviation(act.ctx, pricing, draft.entity, draft.row, draft.changed)


async def foresee(conn: Any, ctx: Context, env: RecordEnv, stored: Row | None = None) -> set[str]:
    """The same for a line that is being typed, over what is `stored` of it; returns the fields it filled."""
    filled: set[str] = set()
    for pricing in of_lines(ctx, env.entity.key):
        await fill(conn, env, [ex.parse(text) for text in _texts(pricing)])
        if not env.holds(pricing.where):
            continue
        found = await _recommended(conn, ctx, pricing, env)
        typed, kept = env.row.get(pricing.price), stored.get(pricing.suggested) if stored else None
        if typed in EMPTY or (stored is not None and typed == stored.get(pricing.price) == kept):
            found[pricing.price] = found.get(pricing.suggested)
        env.row.values.update(found)
        _deviation(ctx, pricing, env.entity, env.row, filled)
        filled |= {k for k in (pricing.list_price, pricing.suggested, pricing.explanation, pricing.deviates) if k}
    return filled


def _texts(pricing: PricingDef) -> list[str]:
    return [*pricing.match.values(), *pricing.prices_match.values(), *(text for text in (pricing.day, pricing.where) if text)]


def looked_at(ctx: Context, head: str) -> dict[tuple[str, str], frozenset[str]]:
    """What the price of lines that live inside such records follows: {(lines, their link): fields of the head}."""

    def make() -> dict[tuple[str, str], frozenset[str]]:
        found: dict[tuple[str, str], frozenset[str]] = {}
        for pricing in ctx.config.bundle.pricing:
            lines = ctx.config.entity(pricing.entity)
            paths = [path for text in _texts(pricing) for path in ex.needs(ex.parse(text)).paths]
            for link, declared in lines.declared.items():
                if declared.options.get("detail") and declared.options.get("to") == head:
                    keys = {path[1] for path in paths if path[0] == link and len(path) > 1}
                    found[lines.key, link] = found.get((lines.key, link), frozenset()) | keys
        return {place: keys for place, keys in found.items() if keys}

    return ctx.config.cached(("pricing.looked_at", head), make)


def _deviation(ctx: Context, pricing: PricingDef, entity: Entity, row: Row, changed: set[str]) -> None:
    if pricing.deviates:
        asked, suggested = figure(ctx, entity, pricing.price, row), figure(ctx, entity, pricing.suggested, row)
        value = row.get(pricing.suggested) not in EMPTY and asked < suggested
        if bool(row.get(pricing.deviates)) != value or row.get(pricing.deviates) is None:
            row.values[pricing.deviates] = value
            changed.add(pricing.deviates)


# ---- the recommendation --------------------------------------------------------------------------------------------------


async def _recommended(conn: Any, ctx: Context, pricing: PricingDef, env: RecordEnv) -> dict[str, Any]:
    """{field of the line: value}; empty without a product."""
    if not env.row.get(pricing.product):
        return {}
    day = (env.evaluate(pricing.day) if pricing.day else None) or ctx.today
    base = await _list_price(conn, ctx, pricing, env, day)
    entity = env.entity
    found: dict[str, Any] = {}
    if pricing.list_price and base is not None:
        found[pricing.list_price] = _as(ctx, entity, pricing.list_price, base)
    if base is None:
        found[pricing.suggested] = None
        if pricing.explanation:
            found[pricing.explanation] = _("There is no list price for this product on this day.")
        return found
    judged = await _judged(conn, ctx, pricing, env, day)
    applied, price = _combined(pricing, judged, base)
    found[pricing.suggested] = _as(ctx, entity, pricing.suggested, price)
    if pricing.explanation:
        found[pricing.explanation] = _explained(ctx, pricing, entity, base, price, judged, applied)
    return found


async def _list_price(conn: Any, ctx: Context, pricing: PricingDef, env: RecordEnv, day: date) -> Decimal | None:
    """The entry of a price list that fits and says most, the newest of these; else the product's own price."""
    if pricing.prices and pricing.prices_value:
        entity = ctx.config.entity(pricing.prices)
        wanted = {key: env.evaluate(text) for key, text in pricing.prices_match.items()}
        best: tuple[int, str, Row] | None = None
        for row in await _rows(conn, ctx, entity):
            if _outside(row, pricing.prices_from, pricing.prices_to, day) or any(_misses(ctx, entity, k, row, v) for k, v in wanted.items()):
                continue
            rank = (sum(row.get(k) not in EMPTY for k in wanted), str(row.get(pricing.prices_from) or "") if pricing.prices_from else "", row)
            if best is None or rank[:2] > best[:2]:
                best = rank
        if best is not None:
            return figure(ctx, entity, pricing.prices_value, best[2])
    if not pricing.standard:
        return None
    target = ctx.config.entity(env.entity.fields[pricing.product].options["to"])
    product = await read_row(conn, ctx, target, UUID(env.row.get(pricing.product)))
    return figure(ctx, target, pricing.standard, product) if product and product.get(pricing.standard) not in EMPTY else None


async def _judged(conn: Any, ctx: Context, pricing: PricingDef, env: RecordEnv, day: date) -> list[Judged]:
    entity = ctx.config.entity(pricing.strategies)
    wanted = {key: env.evaluate(text) for key, text in pricing.match.items()}
    quantity = figure(ctx, env.entity, pricing.quantity, env.row)
    found = []
    for row in await _rows(conn, ctx, entity):
        reason = ""
        if _outside(row, pricing.valid_from, pricing.valid_to, day):
            reason = _("not valid on this day")
        elif missed := next((k for k, v in wanted.items() if _misses(ctx, entity, k, row, v)), None):
            reason = _("only for another “%(field)s”", field=pick(entity.fields[missed].label, ctx.locale))
        elif pricing.minimum and quantity < figure(ctx, entity, pricing.minimum, row):
            reason = _("only from %(quantity)s", quantity=_shown(ctx, entity, pricing.minimum, row.get(pricing.minimum)))
        found.append(Judged(row, _name(ctx, pricing, entity, row), figure(ctx, entity, pricing.discount, row), reason))
    return sorted(found, key=lambda j: -j.percent)


def _combined(pricing: PricingDef, judged: Sequence[Judged], base: Decimal) -> tuple[list[Judged], Decimal]:
    """The discounts that count, and what they leave of a price."""
    fits = [j for j in judged if not j.reason]
    on_top = [j for j in fits if pricing.combine == "best_then" and pricing.kind and j.row.get(pricing.kind) in pricing.then]
    plain = [j for j in fits if j not in on_top]
    if pricing.combine == "sum":
        off = min(sum((j.percent for j in plain), Decimal(0)), HUNDRED)
        return plain, base * (HUNDRED - off) / HUNDRED
    price, applied = base, plain[:1]
    best_on_top: dict[Any, Judged] = {}
    for j in on_top:  # the best of each kind
        best_on_top.setdefault(j.row.get(pricing.kind or ""), j)
    applied = [*applied, *best_on_top.values()]
    for j in applied:
        price = price * (HUNDRED - j.percent) / HUNDRED
    return applied, price


def _explained(ctx: Context, pricing: PricingDef, entity: Entity, base: Decimal, price: Decimal, judged: Sequence[Judged], applied: Sequence[Judged]) -> str:
    def money(value: Decimal) -> str:
        return _shown(ctx, entity, pricing.suggested, _as(ctx, entity, pricing.suggested, value))

    lines = [_("List price %(base)s, recommended %(price)s", base=money(base), price=money(price))]
    for j in sorted(judged, key=lambda j: (not any(j is a for a in applied), bool(j.reason))):  # what counts, what fits but is beaten, the rest
        percent = f"{j.percent.normalize():f} %"
        if any(j is a for a in applied):
            lines.append(f"✓ {j.name} −{percent}")
        else:
            lines.append(f"– {j.name} −{percent}: {j.reason or _('another one is better')}")
    return "\n".join(lines[:40])


# ---- small things --------------------------------------------------------------------------------------------------------


async def _rows(conn: Any, ctx: Context, entity: Entity) -> list[Row]:
    """Whoever asks: prices hold for everybody."""
    statement = Statement(ctx)
    projection = Projection(RecordScope(statement, entity, "t"))
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL ORDER BY t.created_at, t.id LIMIT {MOST}"
    return projection.rows(await conn.fetch(*statement.finish(sql)))


def _outside(row: Row, first: str | None, last: str | None, day: date) -> bool:
    begin, end = row.get(first) if first else None, row.get(last) if last else None
    return bool((begin and str(begin) > day.isoformat()) or (end and str(end) < day.isoformat()))


def _misses(ctx: Context, entity: Entity, key: str, row: Row, wanted: Any) -> bool:
    """Whether a field says something else than the line; nothing fits everything."""
    value = row.get(key)
    if value in EMPTY:
        return False
    own = field_types.get(entity.fields[key].type).to_expr(entity.fields[key], value, ctx.config)
    if isinstance(own, (list, tuple)):
        return wanted is None or str(wanted) not in {str(v) for v in own}
    return wanted is None or str(own) != str(wanted)


def _name(ctx: Context, pricing: PricingDef, entity: Entity, row: Row) -> str:
    title = _shown(ctx, entity, entity.defn.title, row.get(entity.defn.title))
    if not pricing.kind or row.get(pricing.kind) in EMPTY:
        return title
    option = next((o for o in ctx.config.options(entity.key, pricing.kind) if o.key == row.get(pricing.kind)), None)
    kind = pick(option.label, ctx.locale) if option else ""
    return f"{kind} {title}".strip() if title != kind else kind


def _shown(ctx: Context, entity: Entity, key: str, value: Any) -> str:
    return "" if value in EMPTY else field_types.get(entity.fields[key].type).display(entity.fields[key], value, ctx.config, ctx.locale)


def _as(ctx: Context, entity: Entity, key: str, value: Decimal) -> Any:
    declared = entity.fields[key]
    return field_types.get(declared.type).from_expr(declared, value, ctx.config)


__all__ = ["foresee", "looked_at", "of_lines", "price_line"]
