"""Make somebody responsible: a person named in the record, or one of several, in turn or by how much they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.pools.moves import assign, release
from saas.runtime.routing import choose, first_of

_KEY = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,47}$"}
_EXPRESSION = {"type": "string", "maxLength": 2000, "x-control": "expression"}
_PEOPLE = {"type": "array", "items": {"type": "string", "maxLength": 2000}, "maxItems": 20, "x-control": "people"}


@action_types.register
class Assign(ActionType):
    key = "assign"
    label = lazy("Assign to somebody")
    icon = "user"
    formulas = {"to": "people", "otherwise": "people", "load_if": "bool", "sticky": "user", "skill": None}
    options_schema = {
        "type": "object",
        "description": N_("Chooses an active person who may own the record and has room for it."),
        "properties": {
            "target": TARGET,
            "to": {**_PEOPLE, "minItems": 1, "title": N_("One of these"), "description": N_("People named in the record, or everybody with a role.")},
            "by": {"type": "string", "enum": ["round_robin", "least_load", "first"], "default": "round_robin", "title": N_("Chosen by"),
                   "x-labels": {"round_robin": N_("turns"), "least_load": N_("who has least"), "first": N_("the order above")}},
            "load_if": {**_EXPRESSION, "title": N_("Records that count as load"), "description": N_("A condition on records of the same kind. Empty: all.")},
            "sticky": {**_EXPRESSION, "title": N_("Rather this person"), "description": N_("For example customer.owner: who knows the customer gets it, if they can take it.")},
            "skill": {**_EXPRESSION, "title": N_("What they must know"), "description": N_("The key of a choice or tag, for example product.")},
            "skill_entity": {"type": "string", "maxLength": 48, "title": N_("Where it stands what people know"), "x-control": "entity"},
            "skill_person": {**_KEY, "title": N_("Its field of the person"), "x-entity": "skill_entity"},
            "skill_field": {**_KEY, "title": N_("Its field of what they know"), "x-entity": "skill_entity", "description": N_("Several choices or tags.")},
            "otherwise": {**_PEOPLE, "title": N_("If nobody can take it"), "description": N_("These people, in this order. Empty: it goes to its pool, or stays as it is.")},
            "queue": {**_KEY, "title": N_("Takes turns together with"), "description": N_("A name that several rules share. Empty: this rule has turns of its own.")},
        },
        "required": ["to"],
        "dependentRequired": {"skill": ["skill_entity", "skill_person", "skill_field"]},
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found
        row = await read_row(run.act.conn, run.ctx, entity, UUID(str(record_id)), lock=True)
        if row is None or not entity.defn.owned:
            return
        person = await choose(run, entity, row, options)
        if person is None and options.get("otherwise"):
            person = await first_of(run, entity, row, options["otherwise"])
        if person is not None:
            row = await assign(run.act, entity, row.id, person) if person != row.owner else row
        elif row.owner is not None and entity.defn.pools:
            row, _pool = await release(run.act, entity, row.id)
        run.act.effect("assign", entity.key, row.id)
        if not options.get("target"):
            run.row = row
