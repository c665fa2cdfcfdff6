"""Accounts: the ledgers about a record, and the statement of one with the balance after each entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from saas.db import tenant_transaction
from saas.metadata.config import Entity
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.ledgers import Ledger
from saas.runtime.postings import Account, Entry, account, running, visible, visible_ledger


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """`entries` newest first, as records; `lines` what each did to the balance, by id; `next` a cursor."""

    ledger: Ledger
    account: Account
    party: ops.Record
    entries: list[ops.Record]
    lines: Mapping[UUID, Entry]
    next: str | None


async def accounts_of(ctx: Context, entity: Entity, record_id: UUID) -> list[Account]:
    """The accounts of a record that the person may see. Errors: NotFound."""
    found = visible(ctx, entity)
    party = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
    return [account(ctx, ledger, party.values) for ledger in found]


async def statement(ctx: Context, entity: Entity, record_id: UUID, key: str, *, limit: int = 50, after: str | None = None) -> AccountStatement:
    """Errors: NotFound, PermissionDenied, BadRequest (cursor)."""
    ledger = visible_ledger(ctx, entity, key)
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        party = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
        mine = {"field": ledger.defn.party, "op": "eq", "value": str(record_id)}
        page = await execute(ctx, ops.List(entity=ledger.entries.key, filter=mine, sort=("-created_at",), limit=limit, after=after, can=True))
        lines = await running(conn, ctx, ledger, record_id, [r.id for r in page.records]) if page.records else {}
    return AccountStatement(ledger, account(ctx, ledger, party.values), party, page.records, lines, page.next)
