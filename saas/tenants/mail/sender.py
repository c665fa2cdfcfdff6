"""The sender: takes due messages from the outbox, one by one, and gives them to the mail server. Run by every worker."""

from __future__ import annotations

import asyncio
import contextlib
import time

from saas.db import current_database
from saas.errors import Unavailable
from saas.log import get_logger
from saas.observe import metrics
from saas.tenants.mail import outbox
from saas.tenants.mail.smtp import NotSent, deliver

log = get_logger(__name__)
POLL_SECONDS = 1.0
SENDERS = 3  # a server that is slow to one message keeps the others waiting no longer than this


async def run_sender(stop: asyncio.Event) -> None:
    """Send what is due until `stop` is set. Without a mail server there is nothing to do: messages are only recorded."""
    if not outbox.mail_is_sent():
        log.info("mail.recorded_only")
        return
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
            log.exception("mail.sender_failed")
        if not sent:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)


async def _send_one() -> bool:
    """Whether there was one. No transaction is open while the mail server is spoken with."""
    claim = await outbox.claim_next()
    if claim is None:
        return False
    started, outcome, error = time.monotonic(), "sent", ""
    try:
        if claim.attempt > outbox.MAX_ATTEMPTS:  # each of them died on the way
            raise NotSent("interrupted", for_good=True)
        reply = await deliver(claim, current_database().settings)
        await outbox.mark_sent(claim, reply)
    except NotSent as trouble:
        error = trouble.error
        outcome = "failed" if await outbox.mark_failed(claim, trouble.error, trouble.reply, for_good=trouble.for_good) else "delayed"
    finally:
        metrics.mails.labels(outcome).inc()
        log.info(
            "mail.attempted", mail_id=str(claim.id), tenant_id=str(claim.tenant_id) if claim.tenant_id else None, kind=claim.kind, attempt=claim.attempt, outcome=outcome, error=error,
            seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip
    return True
