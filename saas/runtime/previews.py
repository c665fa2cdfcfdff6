"""What an operation would do: it is done in full and taken back, so every rule speaks as it would. Actions that write anything but rows
of the database ask `ctx.foreseeing` and leave that out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError
from saas.metadata.config import Entity
from saas.metadata.kinds import action_types
from saas.metadata.models import ActionDef
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.records import wholes


class _TakeBack(Exception):
    """Ends the attempt."""


async def foreseen(ctx: Context, operation: Any) -> ops.Change:
    """The change the operation would make; effects also have the `title` of the record and, of new ones, its `values`, as far as the
    person may see them. Nothing is kept, no number is used up. Errors: those of the operation."""
    found: ops.Change | None = None
    async with tenant_transaction(ctx.tenant_id) as conn:
        try:
            async with conn.transaction():
                found = await execute(ctx.replace(foreseeing=True), operation)
                for effect in found.effects:
                    effect.update(await _told(ctx, effect))
                raise _TakeBack
        except _TakeBack:
            pass
    assert found is not None
    return found


async def _told(ctx: Context, effect: dict[str, Any]) -> dict[str, Any]:
    if effect["entity"] not in ctx.config.entities or effect["action"] == "delete":
        return {}
    try:
        record = await execute(ctx, ops.Get(entity=effect["entity"], id=UUID(effect["id"])))
    except AppError:
        return {}
    return {"title": record.title, **({"values": record.values} if effect["action"] == "create" else {})}


# ---- what people are shown before they do it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """A record that would be made, with the lines that would be made inside of it: {key of its list: lines}."""

    entity: Entity
    record: ops.Record
    lists: dict[str, list[ops.Record]]


def foretells(actions: Iterable[ActionDef]) -> bool:
    """Whether people are shown what these actions make before they do it."""
    return any(action_types.get(a.action).foretold or any(foretells(inside) for _, inside in a.inside) for a in actions)


async def made_by(ctx: Context, operation: Any) -> list[Made]:
    """The records the operation would make, as far as the person may see them. Nothing is kept. Errors: those of the operation."""
    found: dict[str, Made] = {}
    async with tenant_transaction(ctx.tenant_id) as conn:
        try:
            async with conn.transaction():
                change = await execute(ctx.replace(foreseeing=True), operation)
                for effect in change.effects:
                    if effect["action"] == "create" and effect["entity"] in ctx.config.entities:
                        await _gather(ctx, found, ctx.config.entity(effect["entity"]), UUID(effect["id"]))
                raise _TakeBack
        except _TakeBack:
            pass
    return list(found.values())


async def _gather(ctx: Context, found: dict[str, Made], entity: Entity, record_id: UUID) -> None:
    try:
        record = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
    except AppError:
        return
    for link, whole in wholes(ctx, entity).items():
        above = found.get(str(record.values.get(link)))
        if above is not None:
            relation = next(r for r in whole.children.values() if (r.child, r.field) == (entity.key, link))
            above.lists.setdefault(relation.key, []).append(record)
            return
    found[str(record_id)] = Made(entity, record, {})
