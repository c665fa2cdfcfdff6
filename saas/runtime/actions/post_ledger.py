"""Post an entry to a ledger, or take away what has expired of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.errors import Conflict
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import VALUES
from saas.runtime.acts import ActionRun
from saas.runtime.ledgers import figure, over
from saas.runtime.postings import expire
from saas.runtime.records import create
from saas.runtime.rows import Row


@action_types.register
class PostLedger(ActionType):
    key = "post_ledger"
    label = lazy("Post to a ledger")
    icon = "coins"
    makes_record = True
    posts_entries = True
    formulas = {"values": None}
    options_schema = {
        "type": "object",
        "description": N_("Adds an entry with an origin; a balance that does not suffice stops everything. An amount of nothing posts nothing."),
        "properties": {
            "entity": {"type": "string", "maxLength": 48, "title": N_("Kind of entry"), "x-control": "entity"},
            "mode": {"type": "string", "enum": ["post", "expire"], "default": "post", "title": N_("What is posted"), "x-labels": {"post": N_("an entry with these values"), "expire": N_("what has expired and was not used")}},
            "values": VALUES,
        },
        "required": ["entity", "values"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        entity = run.ctx.config.entity(options["entity"])
        ledgers = over(run.ctx, entity.key)
        if not ledgers:
            raise Conflict(lazy("“%(entity)s” is not a ledger.", entity=entity.key), reason="no_ledger")
        ledger = ledgers[0]
        values = await run.values(options["values"], entity)
        if options.get("mode") == "expire":
            party = values.get(ledger.defn.party) or (str(run.row.id) if run.entity.key == ledger.parties.key else None)
            row = await expire(run.act, ledger, UUID(party), values) if party else None
        else:
            planned = Row(id=run.row.id, entity=entity.key, version=0, values=values)
            given = {k: v for k, v in values.items() if v is not None}
            row = await create(run.act, entity, given, confirm_duplicates=True) if figure(run.ctx, entity, ledger.defn.amount, planned) else None
        if row is not None:
            run.remember(options.get("as"), entity, row)
