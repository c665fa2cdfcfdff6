"""Somebody who does not know their company's address gets it by e-mail. Known and unknown e-mail addresses are answered alike: same words,
same time, same throttle; only the mailbox tells."""

from __future__ import annotations

import asyncio
import time

from saas.db import cells, system_transaction
from saas.errors import InvalidInput, TooManyRequests, Unavailable
from saas.i18n import lazy
from saas.tenants import throttles
from saas.tenants.auth import fingerprint
from saas.tenants.links import platform_address
from saas.tenants.mail.messages import compose_platform, plain_name
from saas.tenants.mail.outbox import check_recipient, queue_platform_mail

ANSWER_SECONDS = 0.4
MOST = 20  # workspaces in one message
PER_NETWORK = throttles.Throttle("find.ip", 20, 3600)
PER_EMAIL = throttles.Throttle("find.email", 3, 3600)
_THEIRS = (
    "SELECT t.slug, t.name FROM app_user u JOIN tenant t ON t.id = u.tenant_id AND t.cell = '' "
    "WHERE u.email = $1 AND u.status = 'active' AND u.password_hash <> '' ORDER BY u.last_login_at DESC NULLS LAST LIMIT $2"
)


async def send_addresses(email: str, locale: str, ip: str = "") -> None:
    """Send the addresses of the workspaces in which somebody with this e-mail address can sign in, if there are any.
    Errors: TooManyRequests for a network that asks for many."""
    started = time.monotonic()
    try:
        await _send(email.strip().lower()[:300], locale, ip)
    finally:
        await asyncio.sleep(max(0.0, ANSWER_SECONDS - (time.monotonic() - started)))


async def _send(email: str, locale: str, ip: str) -> None:
    async with system_transaction("find_workspace") as conn:
        seconds = await throttles.take(conn, PER_NETWORK, throttles.network_of(ip))
        silent = await throttles.take(conn, PER_EMAIL, fingerprint(email)) > 0
    if seconds:
        raise TooManyRequests(lazy("Too many attempts. Please try again a little later."), retry_after=seconds)
    try:
        check_recipient(email)
    except InvalidInput:
        return
    found = []
    for cell in cells():
        try:
            async with system_transaction("find_workspace", cell=cell) as conn:
                found += await conn.fetch(_THEIRS, email, MOST)
        except Unavailable:  # those of the others are better than none
            continue
    if silent or not found:
        return
    places = [(plain_name(row["name"]), platform_address("/login", slug=row["slug"])) for row in found[:MOST]]
    async with system_transaction("find_workspace") as conn:
        await queue_platform_mail(conn, compose_platform("workspaces", locale, {"name": "", "places": places}), email)
