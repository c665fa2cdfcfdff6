"""Mail: messages are written into the outbox in the transaction that causes them, and a worker sends them by SMTP."""

from saas.tenants.mail.messages import KINDS, Message, compose, compose_own
from saas.tenants.mail.outbox import (
    check_recipient,
    get_mail,
    list_mail,
    mail_is_sent,
    queue_mail,
    queue_platform_mail,
)
from saas.tenants.mail.sender import run_sender, send_due
from saas.tenants.mail.smtp import ERRORS

__all__ = [
    "ERRORS",
    "KINDS",
    "Message",
    "check_recipient",
    "compose",
    "compose_own",
    "get_mail",
    "list_mail",
    "mail_is_sent",
    "queue_mail",
    "queue_platform_mail",
    "run_sender",
    "send_due",
]
