"""A sender that is killed at one step of its work: `python -m tests.integration.outbox.dying STEP`. Run by test_outbox."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from saas.db import close_database, open_database
from saas.runtime.kinds import load_package
from saas.runtime.outbox import queue, sender
from saas.settings import Settings

STEPS = ("claimed", "answered", "marking", "marked")


def die(*_args: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(step: str) -> None:
    send, mark, mark_row = sender._send, queue.mark_sent, queue._mark

    async def dying_send(message):
        if step == "claimed":
            die()
        reply = await send(message)
        if step == "answered":
            die()
        return reply

    async def dying_mark(message, reply):
        await mark(message, reply)
        if step == "marked":
            die()

    async def dying_row(message, change, reply, *more):
        if step == "marking":  # the statement is on its way, the commit is not
            async with queue.tenant_transaction(message.tenant_id):
                await mark_row(message, change, reply, *more)
                die()
        await mark_row(message, change, reply, *more)

    sender._send, queue.mark_sent, queue._mark = dying_send, dying_mark, dying_row
    load_package("saas.runtime.outbox.kinds")
    await open_database(Settings.from_env(os.environ))
    await sender.send_due()
    await close_database()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
