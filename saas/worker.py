"""Background work of one process: knows all kinds of jobs and runs those that are due; sends messages and effects that wait; follows payments."""

from __future__ import annotations

import asyncio

from saas.runtime import billing, domains, load_kinds, outbox
from saas.runtime import worker as runtime_worker
from saas.tenants import health, mail, slow


async def run_worker(stop: asyncio.Event) -> None:
    """Run jobs and schedules of all tenants, and send their mail, until `stop` is set; say meanwhile that this worker lives."""
    load_kinds()
    storing = asyncio.create_task(slow.keep_storing())
    try:
        await asyncio.gather(runtime_worker.run_worker(stop), mail.run_sender(stop), outbox.run_sender(stop), health.beat_until(stop), billing.run(stop), domains.run_checks(stop))
    finally:
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
