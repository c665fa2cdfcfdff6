"""Values of another system as values of our fields."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime.actions.create import equal_record
from saas.runtime.acts import Act, ActionRun
from saas.runtime.context import Context
from saas.runtime.rows import Row

EMPTY = (None, "")


def fitted(ctx: Context, entity: Entity, key: str, value: Any) -> Any:
    """Numbers where texts are wanted, days of moments, options by their key or by a label in any language."""
    if value in EMPTY:
        return None
    declared = entity.fields[key]
    if declared.type == "option" and isinstance(value, (str, int)):
        wanted = str(value).strip().casefold()
        options = ctx.config.options(entity.key, key)
        return next((o.key for o in options if wanted == o.key or wanted in (t.strip().casefold() for t in o.label.values())), str(value))
    if declared.type == "date" and isinstance(value, str):
        return value[:10]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and field_types.get(declared.type).expr_type == "text":
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return value


class Lookups:
    """Records that rows refer to by a value of theirs; each is looked for once."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.known: dict[tuple[str, str, str], str | None] = {}

    async def find(self, entity: str, by: str, value: Any) -> str | None:
        target = self.act.ctx.config.entity(entity)
        place = (entity, by, str(value))
        if place not in self.known:
            probe = ActionRun(self.act, target, Row(id=UUID(int=0), entity=entity, version=0))
            found = await equal_record(probe, target, {by: fitted(self.act.ctx, target, by, value)})
            self.known[place] = str(found.id) if found is not None else None
        return self.known[place]
