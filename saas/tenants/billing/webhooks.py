"""Events of the payment provider: stored once, answered at once, applied by the worker.

    waiting -> applied          the customer was fetched anew and written down
            -> ignored          it concerns no customer, or another account or mode than ours
            -> unknown          its customer is nobody of ours: shown to the operator
            -> waiting again, later (the provider did not answer), and in the end failed, for the operator to try again

Of an event only its id, kind, and whom it concerns are kept, and nothing in it is believed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saas.db import system_transaction
from saas.errors import AppError, NotFound, Unavailable
from saas.log import get_logger
from saas.observe import metrics
from saas.tenants.billing import apply, client, store

log = get_logger(__name__)
MAX_BYTES = 512_000
LEASE_SECONDS = 120
# Seconds until the next attempt; after the last one it has failed.
BACK_OFF = (5, 20, 60, 300, 900, 3600, 3600, 7200, 14400, 28800)
BATCH = 100
STATES = ("waiting", "applied", "ignored", "unknown", "failed")
After = Callable[[UUID], Awaitable[object]]  # what follows for a tenant that was fetched anew


async def receive(body: bytes, signature: str) -> str:
    """Store a signed event; the same one again changes nothing. Returns its state. Errors: client.SignatureInvalid."""
    event = client.read_event(body, signature)
    try:
        event_id, kind, moment = str(event["id"]), str(event["type"]), datetime.fromtimestamp(int(event["created"]), UTC)
        thing = event["data"]["object"]
        customer, object_id = _customer_of(thing), str(thing.get("id") or "")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise client.SignatureInvalid from error  # signed, and yet no event
    ignored = bool(event.get("account")) or bool(event.get("livemode")) != client.is_live() or not customer
    async with system_transaction("billing") as conn:
        new = await conn.fetchval(
            "INSERT INTO stripe_event (id, kind, customer_id, object_id, created_at, state) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING RETURNING true",
            event_id[:255], kind[:255], customer[:255], object_id[:255], moment, "ignored" if ignored else "waiting",
        )  # fmt: skip
    metrics.webhooks.labels("stripe", "ignored" if ignored else "stored" if new else "repeated").inc()
    return "ignored" if ignored else "waiting"


def _customer_of(thing: Mapping[str, Any]) -> str:
    if thing.get("object") == "customer":
        return str(thing.get("id") or "")
    found = thing.get("customer")
    return str(found.get("id") or "") if isinstance(found, Mapping) else str(found or "")


@dataclass(frozen=True, slots=True)
class _Claim:
    customer_id: str
    ids: list[str]
    attempt: int


_DUE = "state = 'waiting' AND next_attempt_at <= now() AND (locked_until IS NULL OR locked_until < now())"
# All events of one customer at once: what they say is fetched once. Those that arrive meanwhile are not among them.
_CLAIM = f"""
UPDATE stripe_event SET locked_until = now() + interval '{LEASE_SECONDS} seconds', attempts = attempts + 1 WHERE id IN (
    SELECT id FROM stripe_event WHERE {_DUE} AND customer_id = (SELECT customer_id FROM stripe_event WHERE {_DUE} ORDER BY next_attempt_at, id LIMIT 1)
    ORDER BY id LIMIT {BATCH} FOR UPDATE SKIP LOCKED
) RETURNING id, customer_id, attempts"""  # noqa: S608  constants of this file


async def apply_due(after: After) -> int:
    """Apply what waits, customer by customer; `after` is called for each tenant that was fetched. Returns how many events."""
    count = 0
    while (claim := await _claim()) is not None:
        count += len(claim.ids)
        await _apply(claim, after)
    return count


async def _claim() -> _Claim | None:
    async with system_transaction("billing") as conn:
        rows = await conn.fetch(_CLAIM)
    return _Claim(rows[0]["customer_id"], [row["id"] for row in rows], max(row["attempts"] for row in rows)) if rows else None


async def _apply(claim: _Claim, after: After) -> None:
    try:
        owner = await store.owner_of(claim.customer_id)
        if owner is None:
            await _mark(claim, "unknown")
            return
        await apply.refresh(owner, claim.customer_id)
        await after(owner)
        await _mark(claim, "applied")
    except Unavailable:  # a database is away: the lease ends by itself
        return
    except NotFound:  # the tenant is gone
        await _mark(claim, "unknown")
    except AppError as error:
        await _mark(claim, "failed" if claim.attempt > len(BACK_OFF) else "waiting", f"{error.code}: {error.message}")
    except Exception as error:
        log.exception("billing.event_crashed", customer=claim.customer_id)
        await _mark(claim, "failed" if claim.attempt > len(BACK_OFF) else "waiting", type(error).__name__)


async def _mark(claim: _Claim, state: str, error: str = "") -> None:
    metrics.webhooks.labels("stripe", "delayed" if state == "waiting" else state).inc(len(claim.ids))
    wait = BACK_OFF[min(claim.attempt, len(BACK_OFF)) - 1]
    async with system_transaction("billing") as conn:
        await conn.execute(
            "UPDATE stripe_event SET state = $2, error = $3, locked_until = NULL, applied_at = CASE WHEN $2 IN ('applied', 'unknown') THEN now() END, "
            "next_attempt_at = now() + make_interval(secs => $4) WHERE id = ANY($1::text[])",
            claim.ids, state, error[:300], wait,
        )  # fmt: skip


async def retry(event_id: str) -> None:
    """Try an event again, by the worker. Errors: NotFound."""
    async with system_transaction("billing") as conn:
        found = await conn.fetchval(
            "UPDATE stripe_event SET state = 'waiting', attempts = 0, next_attempt_at = now(), locked_until = NULL, error = '' WHERE id = $1 AND customer_id <> '' RETURNING true", event_id
        )
    if not found:
        raise NotFound()


async def list_events(*, limit: int = 50, state: str = "", before: datetime | None = None) -> list[dict[str, Any]]:
    """Newest first, with the slug of whom they concern."""
    async with system_transaction("billing") as conn:
        rows = await conn.fetch(
            "SELECT e.id, e.kind, e.customer_id, e.object_id, e.created_at, e.received_at, e.state, e.attempts, e.error, e.applied_at, coalesce(c.slug, '') AS slug "
            "FROM stripe_event e LEFT JOIN stripe_customer c ON c.customer_id = e.customer_id WHERE ($2 = '' OR e.state = $2) AND ($3::timestamptz IS NULL OR e.received_at < $3) "
            "ORDER BY e.received_at DESC, e.id DESC LIMIT $1",
            limit, state, before,
        )  # fmt: skip
    return [dict(row) for row in rows]


async def count_events() -> dict[str, int]:
    """How many there are in each state."""
    async with system_transaction("billing") as conn:
        found = {row["state"]: row["count"] for row in await conn.fetch("SELECT state, count(*) FROM stripe_event GROUP BY 1")}
    return {state: found.get(state, 0) for state in STATES}
