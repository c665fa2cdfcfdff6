"""Background work of one process: knows all kinds of jobs and runs those that are due."""

from __future__ import annotations

import asyncio

from saas.runtime import load_kinds
from saas.runtime import worker as runtime_worker


async def run_worker(stop: asyncio.Event) -> None:
    """Run jobs and schedules of all tenants until `stop` is set."""
    load_kinds()
    await runtime_worker.run_worker(stop)
