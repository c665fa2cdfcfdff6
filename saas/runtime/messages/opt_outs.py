"""Who wants no messages by a channel: addresses of people outside (by the link in a message, or as an administrator notes it), and
people of the workspace by their own settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.runtime.context import Context
from saas.tenants import new_id
from saas.tenants.tokens import make_token, read_token

CHANNELS = ("email", "sms", "in_app")
PURPOSE = "unsubscribe"


def clean_address(channel: str, address: str) -> str:
    """As addresses are compared: e-mail without capitals, numbers without spaces and signs between digits."""
    text = address.strip()
    return text.lower() if channel == "email" else "".join(c for c in text if c.isdigit() or c == "+") if channel == "sms" else text


async def is_out(conn: Any, ctx: Context, channel: str, addresses: Sequence[str], user_ids: Sequence[UUID] = ()) -> tuple[set[str], set[UUID]]:
    """Those of the (clean) addresses and people who want nothing by the channel."""
    rows = await conn.fetch(
        "SELECT address, user_id FROM opt_out WHERE tenant_id = $1 AND channel = $2 AND (address = ANY($3::text[]) OR user_id = ANY($4::uuid[]))",
        ctx.tenant_id, channel, list(addresses), list(user_ids),
    )  # fmt: skip
    return {r["address"] for r in rows if r["address"]}, {r["user_id"] for r in rows if r["user_id"]}


async def opt_out(conn: Any, ctx: Context, channel: str, *, address: str | None = None, user_id: UUID | None = None, reason: str = "person") -> None:
    """Nothing is sent there any more by this channel, nor what waits to be sent. `reason`: link, person (their own settings), staff. Twice is once."""
    await conn.execute(
        "INSERT INTO opt_out (tenant_id, id, channel, address, user_id, reason, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        ctx.tenant_id, new_id(ctx.now), channel, clean_address(channel, address) if address else None, user_id, reason, ctx.now, ctx.user_id,
    )  # fmt: skip
    await conn.execute(
        "UPDATE message SET status = 'left_out' WHERE tenant_id = $1 AND channel = $2 AND status = 'queued' AND NOT essential AND (recipient = $3 OR user_id = $4)",
        ctx.tenant_id, channel, clean_address(channel, address) if address else None, user_id,
    )  # fmt: skip


async def opt_in(conn: Any, ctx: Context, channel: str, *, address: str | None = None, user_id: UUID | None = None) -> None:
    await conn.execute(
        "DELETE FROM opt_out WHERE tenant_id = $1 AND channel = $2 AND (address = $3 OR user_id = $4)", ctx.tenant_id, channel, clean_address(channel, address) if address else None, user_id
    )


async def channels_off(conn: Any, ctx: Context) -> set[str]:
    """The channels by which the person who asks wants nothing."""
    return {r[0] for r in await conn.fetch("SELECT channel FROM opt_out WHERE tenant_id = $1 AND user_id = $2", ctx.tenant_id, ctx.user_id)}


async def list_opt_outs(conn: Any, ctx: Context, *, limit: int = 60, before: datetime | None = None) -> list[Mapping[str, Any]]:
    """Addresses of people outside, newest first."""
    return await conn.fetch(
        "SELECT id, channel, address, reason, created_at FROM opt_out WHERE tenant_id = $1 AND address IS NOT NULL AND ($2::timestamptz IS NULL OR created_at < $2) "
        "ORDER BY created_at DESC, id DESC LIMIT $3",
        ctx.tenant_id, before, limit,
    )  # fmt: skip


# ---- links ---------------------------------------------------------------------------------------------------------------


def unsubscribe_path(tenant_id: UUID, channel: str, address: str) -> str:
    """The page of this workspace where the owner of an address says that they want no more. It works for as long as the workspace has
    its key: who finds an old message must still be able to."""
    return f"/unsubscribe/{make_token(PURPOSE, tenant_id, {'c': channel, 'a': clean_address(channel, address)})}"


def read_link(tenant_id: UUID, token: str) -> tuple[str, str] | None:
    """(channel, address) of a link; None for one that is not ours."""
    found = read_token(PURPOSE, tenant_id, token)
    if not found or found.get("c") not in CHANNELS or not isinstance(found.get("a"), str):
        return None
    return found["c"], found["a"]
