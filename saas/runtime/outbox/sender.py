"""The sender: takes due messages from the outbox, one by one, and gives them to their kind. Run by every worker. Killed at any moment
it loses nothing: the lease of what it was at ends, and the message is sent again under the same key."""

from __future__ import annotations

import asyncio
import contextlib
import time

from saas.errors import Unavailable
from saas.log import get_logger
from saas.observe import metrics
from saas.runtime.outbox import queue
from saas.runtime.outbox.messages import MAX_ATTEMPTS, SEND_SECONDS, NotSent, Sending, outbox_kinds

log = get_logger(__name__)
POLL_SECONDS = 1.0
SENDERS = 4  # a receiver that is slow keeps the others waiting no longer than this


async def run_sender(stop: asyncio.Event) -> None:
    """Send what is due until `stop` is set."""
    await asyncio.gather(*(_send_until(stop) for _ in range(SENDERS)))


async def send_due() -> int:
    """Send everything that is due now; returns how many attempts that took."""
    count = 0
    while await _send_one():
        count += 1
    return count


async def _send_until(stop: asyncio.Event) -> None:
    while not stop.is_set():
        sent = False
        try:
            sent = await _send_one()
        except Unavailable:
            pass
        except Exception:
            log.exception("outbox.sender_failed")
        if not sent:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)


async def _send_one() -> bool:
    """Whether there was one. No transaction is open while the receiver is spoken with."""
    message = await queue.claim_next()
    if message is None:
        return False
    started, outcome, error = time.monotonic(), "sent", ""
    try:
        reply = await _send(message)
        await queue.mark_sent(message, reply)
    except NotSent as trouble:
        error = trouble.error
        over = await queue.mark_failed(message, trouble.error, trouble.reply, for_good=trouble.for_good, seconds=trouble.seconds)
        outcome = "failed" if over else "delayed"
    finally:
        known = message.kind if message.kind in outbox_kinds else "unknown"
        metrics.outbox_messages.labels(known, outcome).inc()
        log.info(
            "outbox.attempted", message_id=str(message.id), tenant_id=str(message.tenant_id), kind=message.kind, attempt=message.attempt, outcome=outcome, error=error[:80],
            seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip
    return True


async def _send(message: Sending) -> str:
    kind = outbox_kinds.find(message.kind)
    if kind is None:
        raise NotSent("unknown_kind", for_good=True)
    if message.attempt > MAX_ATTEMPTS:  # each of them died on the way
        raise NotSent("interrupted", for_good=True)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return await kind.send(message)
    except TimeoutError as error:
        raise NotSent("timeout") from error
    except (NotSent, Unavailable):
        raise
    except Exception as error:
        log.exception("outbox.kind_failed", kind=message.kind)
        raise NotSent("crashed") from error
