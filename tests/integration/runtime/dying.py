"""Workers that are killed, one after the other, each at a later place: before its first commit, after it, before its second, … For each line
of the input one is started, which does what is due; says “killed” or “done”. Run by test_resuming."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from asyncpg.transaction import Transaction

from saas.db import close_database, open_database
from saas.runtime import load_kinds
from saas.runtime.worker import drain
from saas.settings import Settings

_commit = Transaction.commit


async def work(place: int) -> None:
    """Die at this place: even numbers before a commit, odd ones after it."""
    left = place
    await open_database(Settings.from_env(os.environ))

    async def commit(transaction: Transaction) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        await _commit(transaction)
        if left == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 2

    Transaction.commit = commit  # type: ignore[method-assign]
    await drain()
    await close_database()


def main() -> None:
    load_kinds()
    for place, _ in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            asyncio.run(work(place))
            os._exit(0)
        _, ended = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(ended) else "done", flush=True)


if __name__ == "__main__":
    main()
