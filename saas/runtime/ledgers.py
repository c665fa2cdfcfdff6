"""Ledgers: what an entry must say before it is written, and what a balance must hold to afterwards. Called where records are written, so
that no path goes around it; posting, reversing and letting expire are in postings.py.

The balance itself is a rollup. The record whose balance it is (the party) is locked before the entry is written, so what is read after it
is what the next one starts from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, LedgerDef
from saas.runtime import permissions
from saas.runtime.acts import Act, Happening
from saas.runtime.automations import dispatch
from saas.runtime.context import Context
from saas.runtime.env import prepare, read_row
from saas.runtime.rows import Row
from saas.runtime.validate import EMPTY, Draft

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger with its entities. `signed`: the entries' field that the balance adds up; `where`: which of them count."""

    defn: LedgerDef
    entries: Entity
    parties: Entity
    balance: FieldDef
    signed: FieldDef
    where: str | None

    def opposite(self, direction: str | None) -> str | None:
        """The direction that undoes one; None where there is none."""
        d = self.defn
        for ways, back in ((d.adds, d.takes), (d.takes, d.adds), (d.holds, d.frees), (d.frees, d.holds)):
            if direction in ways:
                return back[0]
        return None

    def label(self, locale: str) -> str:
        return pick(self.defn.label, locale) or self.defn.key


def _make(ctx: Context, defn: LedgerDef) -> Ledger:
    entries = ctx.config.entity(defn.entity)
    parties = ctx.config.entity(entries.fields[defn.party].options["to"])
    balance = parties.fields[defn.balance]
    return Ledger(defn, entries, parties, balance, entries.fields[balance.options["field"]], balance.options.get("where"))


def all_ledgers(ctx: Context) -> Mapping[str, Ledger]:
    return ctx.config.cached("ledgers.all", lambda: {d.key: _make(ctx, d) for d in ctx.config.bundle.ledgers})


def over(ctx: Context, entity_key: str) -> Sequence[Ledger]:
    """The ledgers whose entries are records of this entity."""
    return ctx.config.cached(("ledgers.over", entity_key), lambda: [x for x in all_ledgers(ctx).values() if x.entries.key == entity_key])


def about(ctx: Context, entity_key: str) -> Sequence[Ledger]:
    """The ledgers that keep balances of records of this entity."""
    return ctx.config.cached(("ledgers.about", entity_key), lambda: [x for x in all_ledgers(ctx).values() if x.parties.key == entity_key])


# ---- before an entry is written ------------------------------------------------------------------------------------------


async def prepare_entry(act: Act, draft: Draft) -> None:
    """What a new entry must say: into which account, how much, from where, and whether it undoes another one."""
    for ledger in over(act.ctx, draft.entity.key):
        await _into_main(act, ledger, draft)
        _amount(act.ctx, ledger, draft)
        if ledger.defn.reversal and draft.row.get(ledger.defn.reversal):
            await _undoes(act, ledger, draft)
        else:
            _origin(ledger, draft)


async def _into_main(act: Act, ledger: Ledger, draft: Draft) -> None:
    """What is posted to a sub-account counts in its main account."""
    defn, row = ledger.defn, draft.row
    party_id = row.get(defn.party)
    if not defn.main or not party_id:
        return
    party = await read_row(act.conn, act.ctx, ledger.parties, UUID(party_id))
    main = party.get(defn.main) if party else None
    if main and main != party_id:
        row.values[defn.party] = main
        draft.changed.add(defn.party)
        if defn.account:
            row.values[defn.account] = party_id
            draft.changed.add(defn.account)


def _amount(ctx: Context, ledger: Ledger, draft: Draft) -> None:
    value = figure(ctx, ledger.entries, ledger.defn.amount, draft.row)
    key = ledger.defn.amount
    if any(p.field == key for p in draft.problems):
        return
    if draft.row.get(key) in EMPTY:
        draft.problem(key, "required", lazy("This field is required."))
    elif value == 0 or (value < 0 and ledger.defn.direction):
        draft.problem(key, "not_positive", lazy("Enter an amount greater than zero.") if ledger.defn.direction else lazy("Enter an amount other than zero."))
    if ledger.defn.direction and draft.row.get(ledger.defn.direction) in EMPTY:
        draft.problem(ledger.defn.direction, "required", lazy("This field is required."))


def _origin(ledger: Ledger, draft: Draft) -> None:
    defn, row = ledger.defn, draft.row
    kind = row.get(defn.origin) if defn.origin else None
    if defn.origin and kind in EMPTY:
        draft.problem(defn.origin, "origin_required", lazy("Say where this entry comes from."))
    elif defn.origins and kind not in defn.free_origins and all(row.get(key) in EMPTY for key in defn.origins):
        draft.problem(defn.origins[0], "origin_required", lazy("Name the record this entry comes from."))


async def _undoes(act: Act, ledger: Ledger, draft: Draft) -> None:
    """A reversal is the exact opposite of one entry that counts."""
    defn, row = ledger.defn, draft.row
    assert defn.reversal is not None
    original = await read_row(act.conn, act.ctx, ledger.entries, UUID(row.get(defn.reversal)), lock=True)
    if original is None:
        return  # refused as an unknown record
    if original.get(defn.reversal):
        draft.problem(defn.reversal, "is_a_reversal", lazy("This entry is a reversal itself and cannot be reversed."))
        return
    if not await counts(act, ledger, original):
        draft.problem(defn.reversal, "does_not_count", lazy("This entry does not count, so there is nothing to reverse."))
        return
    theirs, ours = (figure(act.ctx, ledger.entries, defn.amount, r) for r in (original, row))
    fits = row.get(defn.party) == original.get(defn.party)
    fits = fits and (ours == theirs and row.get(defn.direction) == ledger.opposite(original.get(defn.direction)) if defn.direction else ours == -theirs)
    if not fits:
        draft.problem(defn.reversal, "no_reversal", lazy("A reversal is for the same account and amount, the other way round."))


async def counts(act: Act, ledger: Ledger, row: Row) -> bool:
    """Whether the balance has this entry in it."""
    if not ledger.where:
        return True
    return (await prepare(act.conn, act.ctx, ledger.entries, row, [ledger.where])).holds(ledger.where)


async def first_stage(act: Act, entity: Entity, row: Row) -> str | None:
    """The stage a new entry starts in where it needs no approval."""
    for ledger in over(act.ctx, entity.key):
        text = ledger.defn.approved_if
        if text and (await prepare(act.conn, act.ctx, entity, row, [text])).holds(text):
            return ledger.defn.approved
    return None


# ---- around the write ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """An account while an entry is written: its ledger and the party as it was, which is locked."""

    ledger: Ledger
    party: Row


async def opened(act: Act, entity: Entity, row: Row) -> list[Open]:
    """Lock the accounts an entry is about, always in the same order."""
    wanted = [(ledger, UUID(row.get(ledger.defn.party))) for ledger in over(act.ctx, entity.key) if row.get(ledger.defn.party)]
    found = []
    for ledger, party_id in sorted(wanted, key=lambda pair: (pair[0].parties.number, pair[1])):
        party = await read_row(act.conn, act.ctx, ledger.parties, party_id, lock=True)
        if party is not None:
            found.append(Open(ledger, party))
    return found


async def closed(act: Act, accounts: Iterable[Open]) -> None:
    """After the write: no balance went where it must not go; then tell who waits for it. Errors: InvalidInput."""
    for account in accounts:
        ledger, before = account.ledger, account.party
        after = await read_row(act.conn, act.ctx, ledger.parties, before.id)
        if after is None:
            continue
        _hold(act, ledger, before, after)
        _warn(act, ledger, before, after)
        changed = frozenset(k for k, f in ledger.parties.declared.items() if f.type in ("rollup", "formula") and before.get(k) != after.get(k))
        if changed:
            await dispatch(act, Happening("ledger_posted", ledger.parties, after, before, changed, ledger=ledger.defn.key))


async def party_changed(act: Act, entity: Entity, row: Row, old: Row) -> None:
    """A limit must not fall below what was posted already. Errors: InvalidInput."""
    for ledger in about(act.ctx, entity.key):
        limit = ledger.defn.limit
        if limit is None:
            continue
        now = await read_row(act.conn, act.ctx, entity, row.id)
        if now is None:
            continue
        balance, most, before = figure(act.ctx, entity, ledger.defn.balance, now), figure(act.ctx, entity, limit, now), figure(act.ctx, entity, limit, old)
        if balance > most and most < before:
            text = lazy("“%(ledger)s” stands at %(balance)s already.", ledger=ledger.label(act.ctx.locale), balance=_shown(act.ctx, ledger, balance))
            raise InvalidInput([FieldProblem(field=limit, code="ledger.limit", message=text, path=f"/{limit}")], text)


def figure(ctx: Context, entity: Entity, key: str, row: Row) -> Decimal:
    """A field as a number; nothing is zero."""
    declared, value = entity.fields[key], row.get(key)
    if value in EMPTY:
        return ZERO
    try:
        found = field_types.get(declared.type).to_expr(declared, value, ctx.config)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
        return ZERO
    return found if isinstance(found, Decimal) else Decimal(str(found or 0))


def _hold(act: Act, ledger: Ledger, before: Row, after: Row) -> None:
    ctx, defn = act.ctx, ledger.defn
    for key in (*((defn.balance,) if defn.deny_negative else ()), *defn.never_negative):
        was, is_ = (figure(ctx, ledger.parties, key, r) for r in (before, after))
        if is_ < 0 and is_ < was:
            _refuse(ctx, ledger, key, after, lazy("“%(name)s” of %(party)s does not suffice.", **_named(ctx, ledger, key, after)), was)
    if defn.limit:
        was, is_ = (figure(ctx, ledger.parties, defn.balance, r) for r in (before, after))
        most = figure(ctx, ledger.parties, defn.limit, after)
        if is_ > most and is_ > was:
            _refuse(ctx, ledger, defn.balance, after, lazy("“%(name)s” of %(party)s would become more than allowed.", **_named(ctx, ledger, defn.balance, after)), most - was)


def _refuse(ctx: Context, ledger: Ledger, key: str, party: Row, text: Any, left: Decimal) -> None:
    """Says how much is possible, to those who may see the figure."""
    if permissions.static_access(_asker(ctx), ledger.parties).get(key) in ("read", "write"):
        text = lazy("%(text)s Possible: %(left)s.", text=text, left=_shown(ctx, ledger, max(left, ZERO)))
    amount = ledger.defn.amount
    raise InvalidInput([FieldProblem(field=amount, code="ledger.balance", message=text, path=f"/{amount}")], text)


def _warn(act: Act, ledger: Ledger, before: Row, after: Row) -> None:
    minimum = ledger.defn.minimum
    if minimum is None or after.get(minimum) in EMPTY:
        return
    was, is_, least = figure(act.ctx, ledger.parties, ledger.defn.balance, before), figure(act.ctx, ledger.parties, ledger.defn.balance, after), figure(act.ctx, ledger.parties, minimum, after)
    if is_ < least <= was:
        names = _named(act.ctx, ledger, ledger.defn.balance, after)
        text = lazy("“%(name)s” of %(party)s is down to %(balance)s; the minimum is %(least)s.", **names, balance=_shown(act.ctx, ledger, is_), least=_shown(act.ctx, ledger, least))
        act.warnings.append(str(text))


def _named(ctx: Context, ledger: Ledger, key: str, party: Row) -> dict[str, str]:
    asks, declared = _asker(ctx), ledger.parties.fields[ledger.parties.defn.title]
    value = party.get(declared.key)
    shown = value not in EMPTY and permissions.static_access(asks, ledger.parties).get(declared.key) in ("read", "write")
    title = field_types.get(declared.type).display(declared, value, ctx.config, ctx.locale) if shown else str(party.id)[:8]
    return {"name": pick(ledger.parties.fields[key].label, ctx.locale) or key, "party": title}


def _asker(ctx: Context) -> Context:
    """Whoever reads the message: what the configuration orders is done for somebody."""
    return ctx.replace(elevated=False) if ctx.user is not None else ctx


def _shown(ctx: Context, ledger: Ledger, value: Decimal) -> str:
    kind = field_types.get(ledger.balance.type)
    return kind.display(ledger.balance, kind.from_expr(ledger.balance, value, ctx.config), ctx.config, ctx.locale)
