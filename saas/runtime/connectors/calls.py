"""What a record sends to another system, and what it takes of the answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.metadata.models import CallDef
from saas.runtime.acts import Act
from saas.runtime.connectors.fitting import fitted
from saas.runtime.context import Context
from saas.runtime.messages.sms import at as value_at
from saas.runtime.records import update_if_there


async def take_answer(ctx: Context, call: CallDef, record_id: UUID, content: Any) -> bool:
    """Put what was answered into the record's fields; the same answer again changes nothing. False: the record is gone.
    Errors: InvalidInput, Conflict, as with any change."""
    entity = ctx.config.entity(call.entity)
    values = {key: fitted(ctx, entity, key, value_at(content, path)) for key, path in call.answer.items()}
    values = {key: value for key, value in values.items() if value is not None}
    async with tenant_transaction(ctx.tenant_id) as conn:
        return not values or await update_if_there(Act(conn, ctx), entity, record_id, values, confirm_duplicates=True) is not None
