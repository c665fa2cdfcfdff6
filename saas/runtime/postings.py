"""Posting to ledgers: reversing an entry, letting what was not used expire, and the statement of an account. All of it goes through
`records.create`, so every rule of an entry holds here, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.errors import Conflict, NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.env import prepare, read_row
from saas.runtime.ledgers import Ledger, about, counts, figure, over
from saas.runtime.present import display_text
from saas.runtime.records import create, load, require_may_create
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.validate import EMPTY

OPEN = ("read", "write")


# ---- reversing -----------------------------------------------------------------------------------------------------------


def reversible(ctx: Context, entity: Entity) -> Ledger | None:
    """The ledger by whose rules entries of this entity are reversed."""
    return next((x for x in over(ctx, entity.key) if x.defn.reversal), None)


async def reverse(act: Act, entity: Entity, record_id: UUID, reason: str | None = None) -> Row:
    """Post the counter-entry of an entry, once. Errors: NotFound, PermissionDenied, Conflict, InvalidInput."""
    ctx, ledger = act.ctx, reversible(act.ctx, entity)
    if ledger is None:
        raise NotFound(lazy("Records of this kind are not reversed."))
    permissions.require(ctx, "create", entity.key)
    original = await load(act.conn, ctx, entity, record_id, lock=True)
    await require_may_create(act, entity, original)
    if not await counts(act, ledger, original):
        raise Conflict(lazy("This entry does not count, so there is nothing to reverse."), reason="does_not_count")
    values = _copied(ctx, entity, original)
    _turn(ctx, entity, original, values)
    values[ledger.defn.reversal or ""] = str(original.id)
    if ledger.defn.reason:
        values[ledger.defn.reason] = reason or None
    values = {k: v for k, v in values.items() if v not in EMPTY}
    return await create(act.under(elevated=True), entity, values, confirm_duplicates=True)


def _copied(ctx: Context, entity: Entity, original: Row) -> dict[str, Any]:
    """What an entry says, without what is its alone: numbers, files, names that are unique, and when it expires."""
    alone = {key for rule in entity.defn.unique for key in rule.fields} | {x.defn.expires for x in over(ctx, entity.key)}
    found = {}
    for key, declared in entity.declared.items():
        kind = field_types.get(declared.type)
        if not kind.computed and declared.type not in ("pipeline", "auto", "file", "image") and key not in alone:
            found[key] = original.get(key)
    return found


def _turn(ctx: Context, entity: Entity, original: Row, values: dict[str, Any]) -> None:
    """The other direction, or the other sign where a ledger has no directions."""
    for ledger in over(ctx, entity.key):
        defn = ledger.defn
        if defn.direction:
            values[defn.direction] = ledger.opposite(original.get(defn.direction))
        else:
            declared = entity.fields[defn.amount]
            values[defn.amount] = field_types.get(declared.type).from_expr(declared, -figure(ctx, entity, defn.amount, original), ctx.config)


# ---- expiry --------------------------------------------------------------------------------------------------------------


async def expire(act: Act, ledger: Ledger, party_id: UUID, values: Mapping[str, Any]) -> Row | None:
    """Take away what has expired by now and was not used: what expires first counts as used first. None where there is nothing; asked
    again at once there never is."""
    ctx, defn = act.ctx, ledger.defn
    party = await read_row(act.conn, ctx, ledger.parties, party_id, lock=True)
    if party is None or defn.expires is None:
        return None
    of, signed, which = ledger.balance.options["of"], ledger.signed.key, f" and ({ledger.where})" if ledger.where else ""
    added = f"sum({of}.{signed} where {signed} > 0 and {defn.expires} != null and {defn.expires} < today(){which})"
    used = f"sum({of}.{signed} where {signed} < 0{which})"
    env = await prepare(act.conn, ctx, ledger.parties, party, [added, used])
    left = min(Decimal(env.evaluate(added) or 0) + Decimal(env.evaluate(used) or 0), figure(ctx, ledger.parties, defn.balance, party))
    if left <= 0:
        return None
    given = {**values, defn.party: str(party_id)}
    if defn.direction:
        given.setdefault(defn.direction, defn.takes[0])
    declared = ledger.entries.fields[defn.amount]
    given[defn.amount] = field_types.get(declared.type).from_expr(declared, left if defn.direction else -left, ctx.config)
    return await create(act, ledger.entries, {k: v for k, v in given.items() if v is not None}, confirm_duplicates=True)


# ---- statements of an account --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """A ledger as seen from one record: what it is called, and the balance in JSON and words."""

    key: str
    label: str
    balance: Any
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the balance after it; `counted`: whether the balance has it in it."""

    id: UUID
    amount: Any
    amount_text: str
    balance: Any
    balance_text: str
    counted: bool


def visible(ctx: Context, entity: Entity) -> list[Ledger]:
    """The ledgers about records of an entity whose figures this person may see."""
    return [
        x for x in about(ctx, entity.key)
        if permissions.may(ctx, "read", x.entries.key)
        and permissions.static_access(ctx, entity).get(x.defn.balance) in OPEN
        and {permissions.static_access(ctx, x.entries).get(k) for k in (x.defn.amount, x.defn.party)} <= set(OPEN)
    ]  # fmt: skip


def visible_ledger(ctx: Context, entity: Entity, key: str) -> Ledger:
    """Errors: NotFound, PermissionDenied."""
    if not any(x.defn.key == key for x in about(ctx, entity.key)):
        raise NotFound(lazy("There is no ledger “%(key)s” here.", key=key))
    found = next((x for x in visible(ctx, entity) if x.defn.key == key), None)
    if found is None:
        raise PermissionDenied(lazy("Your role may not see this account."))
    return found


def account(ctx: Context, ledger: Ledger, values: Mapping[str, Any]) -> Account:
    value = values.get(ledger.defn.balance)
    text = "" if value in EMPTY else field_types.get(ledger.balance.type).display(ledger.balance, value, ctx.config, ctx.locale)
    return Account(ledger.defn.key, pick(ledger.defn.label, ctx.locale) or ledger.defn.key, value, text)


async def running(conn: Any, ctx: Context, ledger: Ledger, party_id: UUID, ids: list[UUID]) -> dict[UUID, Entry]:
    """The balance after each of these entries of an account, in the order they were made. What does not count leaves it as it was."""
    statement = Statement(ctx)
    scope = RecordScope(statement, ledger.entries, "t")
    signed = scope.path((ledger.signed.key,))[0]
    which = ex.to_where(ex.parse(ledger.where), scope) if ledger.where else "true"
    link = scope.path((ledger.defn.party,))[0]
    rows = await conn.fetch(
        *statement.finish(
            f"SELECT id, signed, counted, balance FROM (SELECT t.id, {signed} AS signed, coalesce({which}, false) AS counted, "
            f"coalesce(sum({signed}) FILTER (WHERE {which}) OVER (ORDER BY t.created_at, t.id), 0) AS balance "
            f"FROM record t WHERE t.entity_id = {ledger.entries.number} AND t.deleted_at IS NULL AND {link} = {scope.param(party_id, 'uuid')}) x "
            f"WHERE x.id = ANY({scope.param(ids, 'uuid[]')})"
        )
    )
    return {r["id"]: _entry(ctx, ledger, r) for r in rows}


def _entry(ctx: Context, ledger: Ledger, found: Any) -> Entry:
    def shown(declared: Any, entity: Entity, value: Any) -> tuple[Any, str]:
        if value is None:
            return None, ""
        kind = field_types.get(declared.type)
        value = kind.from_expr(declared, Decimal(str(value)), ctx.config)
        return value, display_text(ctx, entity, declared, value, None) or kind.display(declared, value, ctx.config, ctx.locale)

    amount, balance = shown(ledger.signed, ledger.entries, found["signed"]), shown(ledger.balance, ledger.parties, found["balance"])
    return Entry(found["id"], *amount, *balance, counted=found["counted"])
