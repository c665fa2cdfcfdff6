"""What nobody misses: sessions long over, answers kept for repeated requests, old messages, invitations, sign-ups and links for new passwords,
rows of tenants that moved away. For all tenants of all databases at once, by the worker."""

from __future__ import annotations

from saas.db import cells, indexes, system_transaction
from saas.tenants.moves import purge_kept

_HERE = "EXISTS (SELECT 1 FROM tenant t WHERE t.id = tenant_id AND t.cell = '')"  # not while a tenant arrives: both sides are compared
_OLD = {
    "session": f"least(expires_at, coalesce(revoked_at, expires_at)) < now() - interval '30 days' AND {_HERE}",
    "operator_session": "least(expires_at, coalesce(revoked_at, expires_at)) < now() - interval '30 days'",
    "mail": f"created_at < now() - interval '90 days' AND {_HERE}",
    "outbox": f"status IN ('sent', 'cancelled', 'failed') AND created_at < now() - interval '90 days' AND {_HERE}",
    "platform_mail": "created_at < now() - interval '90 days'",
    "password_reset": f"expires_at < now() - interval '1 day' AND {_HERE}",
    "invitation": f"expires_at < now() - interval '90 days' AND {_HERE}",
    "sign_in_step": f"expires_at < now() AND {_HERE}",
    "sso_used": f"at < now() - interval '1 day' AND {_HERE}",
    "billing_usage": f"day < current_date - 400 AND sent_at IS NOT NULL AND {_HERE}",
    "stripe_event": "received_at < now() - interval '90 days' AND state <> 'waiting'",
    "billing_report": "at < now() - interval '180 days'",
    "form_entry": f"at < now() - interval '400 days' AND {_HERE}",
    "exchange": f"at < now() - interval '90 days' AND {_HERE}",
    "hand_over": f"expires_at < now() AND {_HERE}",
    "signup": "expires_at < now() - interval '7 days'",
    "throttle": "window_start < now() - interval '1 day'",
    # Written down some seconds later: perhaps of a tenant that was deleted in between.
    "slow_query": f"(at < now() - interval '14 days' AND {_HERE}) OR (at < now() - interval '1 hour' AND NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = tenant_id))",  # noqa: S608  constants of this file
    # Ticks and periods that are long over cannot come again; what happens once ever, or once for a date, stays noted.
    "schedule_run": f"ran_at < now() - interval '400 days' AND period <> 'ever' AND period NOT LIKE 'date %' AND {_HERE}",
    "schedule_log": f"at < now() - interval '400 days' AND {_HERE}",
    # By the workspace's clock, which is never behind. One that failed can still be let go on; what waits is not over.
    "automation_log": f"status NOT IN ('waiting', 'queued') AND at < now() - interval '400 days' AND {_HERE}",
    "worker_beat": "seen_at < now() - interval '1 day'",
    "idempotency_key": f"created_at < now() - interval '2 days' AND {_HERE}",
}

# The links in them have long run out.
_OLD_SECRET = "is_secret AND body_text <> '' AND created_at < now() - interval '8 days'"
_SECRETS = {"mail": f"{_OLD_SECRET} AND {_HERE}", "platform_mail": _OLD_SECRET}


async def clean_up() -> dict[str, int]:
    """Remove what is over; returns rows removed per table. Safe to repeat; once a day is enough."""
    removed = dict.fromkeys([*_OLD, "field_index"], 0)
    for cell in cells():
        for table, condition in _OLD.items():
            async with system_transaction("housekeeping", timeout_seconds=600, cell=cell) as conn:
                status = await conn.execute(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608  constants of this file
            removed[table] += int(status.rsplit(" ", 1)[1])
        async with system_transaction("housekeeping", timeout_seconds=600, cell=cell) as conn:
            for table, condition in _SECRETS.items():
                await conn.execute(f"UPDATE {table} SET body_text = '', body_html = '' WHERE {condition}")  # noqa: S608  constants of this file
        async with system_transaction("housekeeping", timeout_seconds=60, cell=cell) as conn:
            kept = {row["index_name"] for row in await conn.fetch("SELECT index_name FROM field_index")}
            orphans = [name for name in await indexes.existing(conn) if name not in kept]  # of tenants deleted while one was made
        await indexes.drop(orphans, cell=cell)
        removed["field_index"] += len(orphans)
    await purge_kept()
    return removed
