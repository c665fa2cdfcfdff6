"""Spread an amount over what is open: a receipt over the lines of a payment plan, the oldest first."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata import expressions as ex
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.runtime.actions.set import VALUES
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.ledgers import figure, over
from saas.runtime.records import create
from saas.runtime.sql import RecordScope, Statement

MOST = 200


@action_types.register
class Settle(ActionType):
    key = "settle"
    label = lazy("Settle what is open")
    icon = "coins"
    posts_entries = True
    formulas = {"amount": "number", "values": None}
    options_schema = {
        "type": "object",
        "description": N_("Posts entries to a ledger with a limit, one for each record that is still open, until the amount is used up."),
        "properties": {
            "entity": {"type": "string", "maxLength": 48, "title": N_("Kind of entry"), "x-control": "entity"},
            "amount": {"type": "string", "maxLength": 2000, "title": N_("Amount"), "x-control": "expression", "x-result": "number"},
            "among": {"type": "string", "maxLength": 2000, "title": N_("Among which records"), "description": N_("A condition on the records with the limit; new.… is this record, e.g. contract == new.contract.")},
            "order": {"type": "array", "items": {"type": "string", "maxLength": 60}, "maxItems": 3, "title": N_("In the order of"), "description": N_("Fields of those records, such as the day they are due. Then the oldest first.")},
            "values": {**VALUES, "minProperties": 0, "title": N_("Other values of the entries")},
            "rest": {"type": "string", "enum": ["refuse", "keep"], "default": "refuse", "title": N_("What is too much"), "x-labels": {"refuse": N_("is refused"), "keep": N_("stays open")}},
        },
        "required": ["entity", "amount", "among"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        ctx = run.ctx
        entity = ctx.config.entity(options["entity"])
        ledger = next((x for x in over(ctx, entity.key) if x.defn.limit), None)
        if ledger is None:
            return
        left = Decimal((await run.env(options["amount"])).evaluate(options["amount"]) or 0)
        values = await run.values(options.get("values") or {}, entity)
        declared, limit = entity.fields[ledger.defn.amount], ledger.defn.limit
        assert limit is not None
        for party_id in await _candidates(run, ledger.parties, options):
            if left <= 0:
                break
            party = await read_row(run.act.conn, ctx, ledger.parties, party_id, lock=True)
            room = figure(ctx, ledger.parties, limit, party) - figure(ctx, ledger.parties, ledger.defn.balance, party) if party else Decimal(0)
            part = min(room, left)
            if part > 0:
                given = {**values, ledger.defn.party: str(party_id), declared.key: field_types.get(declared.type).from_expr(declared, part, ctx.config)}
                await create(run.act, entity, {k: v for k, v in given.items() if v is not None}, confirm_duplicates=True)
                left -= part
        if left > 0 and options.get("rest") != "keep":
            text = lazy("This is %(left)s more than is open.", left=field_types.get(declared.type).display(declared, field_types.get(declared.type).from_expr(declared, left, ctx.config), ctx.config, ctx.locale))
            raise InvalidInput([FieldProblem(field="", code="too_much", message=text)], text)


async def _candidates(run: ActionRun, parties: Any, options: Mapping[str, Any]) -> list[Any]:
    statement = Statement(run.ctx)
    scope = RecordScope(statement, parties, "t", new={"entity": run.entity, "values": run.row.values})
    which = ex.to_where(ex.parse(options["among"]), scope)
    order = [f"{scope.path((key.lstrip('-'),))[0]}{' DESC' if key.startswith('-') else ''} NULLS LAST" for key in options.get("order") or ()]
    sql = f"SELECT t.id FROM record t WHERE t.entity_id = {parties.number} AND t.deleted_at IS NULL AND {which} ORDER BY {', '.join([*order, 't.created_at', 't.id'])} LIMIT {MOST}"
    return [r[0] for r in await run.act.conn.fetch(*statement.finish(sql))]
