"""The transactional outbox: effects on the outside world, written in the transaction that causes them and sent by a worker.

    await outbox.put(act, kind="http", key=f"{run}:{step}", payload={...})

Kinds register themselves in saas/runtime/outbox/kinds/, one file each.
"""

from saas.runtime.outbox.messages import BACK_OFF, MAX_ATTEMPTS, NotSent, OutboxKind, Sending, outbox_kinds
from saas.runtime.outbox.put import put
from saas.runtime.outbox.sender import run_sender, send_due
from saas.runtime.outbox.watch import STATUSES, OutboxInfo, cancel, get_message, list_messages, retry

__all__ = [
    "BACK_OFF",
    "MAX_ATTEMPTS",
    "STATUSES",
    "NotSent",
    "OutboxInfo",
    "OutboxKind",
    "Sending",
    "cancel",
    "get_message",
    "list_messages",
    "outbox_kinds",
    "put",
    "retry",
    "run_sender",
    "send_due",
]
