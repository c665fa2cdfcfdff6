"""An unpublished configuration tried out on the tenant's real data: whatever happens inside is rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from saas.db import in_transaction, tenant_transaction
from saas.metadata import models as m
from saas.metadata import slots
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.runtime.context import Context

UNPUBLISHED = -1  # the revision of a configuration that has none


class _RollBack(Exception):
    """Ends every trial."""


@asynccontextmanager
async def trial(ctx: Context, raw: Mapping[str, Any] | m.Bundle, *, write: bool = False, timeout_seconds: float | None = None) -> AsyncIterator[Context]:
    """`ctx` under the configuration `raw`, in one transaction that is always rolled back.

    Without `write` the transaction is read-only and columns are only imagined: new fields and entities are empty. With it they
    are given out as publishing would, so records can be made. Errors: InvalidDefinition; RuntimeError inside a transaction,
    which would be rolled back with it.
    """
    if in_transaction():
        raise RuntimeError("a trial is a transaction of its own")
    bundle = raw if isinstance(raw, m.Bundle) else await asyncio.to_thread(parse_bundle, raw)
    try:
        async with tenant_transaction(ctx.tenant_id, timeout_seconds=timeout_seconds) as conn:
            if write:
                await slots.assign(conn, ctx.tenant_id, bundle)
                numbers, columns = await slots.load(conn, ctx.tenant_id, bundle)
            else:
                await conn.execute("SET TRANSACTION READ ONLY")
                numbers, columns = await slots.preview(conn, ctx.tenant_id, bundle)
            yield ctx.replace(config=_config(ctx, bundle, numbers, columns))
            raise _RollBack
    except _RollBack:
        pass


def _config(ctx: Context, bundle: m.Bundle, numbers: Mapping[str, int], columns: Mapping[str, Mapping[str, str]]) -> Config:
    tenant = ctx.tenant
    return Config(
        bundle, revision=UNPUBLISHED, numbers=numbers, columns=columns, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone
    )  # fmt: skip
