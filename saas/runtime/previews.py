"""What an operation would do: it is done in full and taken back, so every rule speaks as it would."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute


class _TakeBack(Exception):
    """Ends the attempt."""


async def foreseen(ctx: Context, operation: Any) -> ops.Change:
    """The change the operation would make; effects also have the `title` of the record and, of new ones, its `values`, as far as the
    person may see them. Nothing is kept, no number is used up. Errors: those of the operation."""
    found: ops.Change | None = None
    async with tenant_transaction(ctx.tenant_id) as conn:
        try:
            async with conn.transaction():
                found = await execute(ctx, operation)
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
