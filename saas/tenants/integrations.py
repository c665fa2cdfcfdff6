"""What a tenant connects with: its provider of SMS, webhooks out and in, connectors. Addresses and secrets belong to an installation and
stand here, never in a configuration; a secret is sealed, and after a change the old one is taken for a day."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.errors import NotFound
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.sealing import CannotUnseal, seal, unseal

KINDS = ("sms", "webhook", "inbound", "connector")
PURPOSE = "integration"
OLD_HOURS = 24


@dataclass(frozen=True, slots=True)
class Integration:
    """`secret` is empty where it cannot be opened here any more. `stopped_at`: switched off by us after failing for long."""

    id: UUID
    kind: str
    key: str
    name: str
    settings: Mapping[str, Any]
    active: bool
    failing_since: datetime | None
    stopped_at: datetime | None
    secret: str = field(repr=False)
    old_secret: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that are taken now, the newest first."""
        return tuple(s for s in (self.secret, self.old_secret) if s)


_SHOWN = "id, kind, key, name, settings, active, failing_since, stopped_at, secret, CASE WHEN old_until > now() THEN old_secret END AS old_secret"


def _integration(tenant_id: UUID, row: Any) -> Integration:
    def opened(sealed: bytes | None) -> str:
        try:
            return unseal(PURPOSE, bytes(sealed), tenant_id, row["id"]) if sealed else ""
        except CannotUnseal:
            return ""

    return Integration(
        row["id"], row["kind"], row["key"], row["name"], json.loads(row["settings"]), row["active"], row["failing_since"], row["stopped_at"], opened(row["secret"]), opened(row["old_secret"])
    )


def new_secret() -> str:
    return secrets.token_urlsafe(32)


async def list_integrations(conn: Any, tenant_id: UUID, kind: str) -> list[Integration]:
    rows = await conn.fetch(f"SELECT {_SHOWN} FROM integration WHERE tenant_id = $1 AND kind = $2 ORDER BY name, id", tenant_id, kind)  # noqa: S608  constants of this file
    return [_integration(tenant_id, row) for row in rows]


async def get_integration(conn: Any, tenant_id: UUID, kind: str, *, id: UUID | None = None, key: str | None = None) -> Integration:
    """Errors: NotFound."""
    sql = f"SELECT {_SHOWN} FROM integration WHERE tenant_id = $1 AND kind = $2 AND (id = $3 OR key = $4)"  # noqa: S608  constants of this file
    row = await conn.fetchrow(sql, tenant_id, kind, id, key)
    if row is None:
        raise NotFound()
    return _integration(tenant_id, row)


async def save_integration(
    conn: Any, tenant_id: UUID, kind: str, key: str, name: str, settings: Mapping[str, Any], *, secret: str | None = None, active: bool = True, actor_id: UUID | None = None,
) -> UUID:  # fmt: skip
    """Make it, or change what has this key. Without `secret` a new one gets a random one and an old one keeps its. Switching it on again
    forgets that it failed."""
    row = await conn.fetchrow("SELECT id, active FROM integration WHERE tenant_id = $1 AND kind = $2 AND key = $3 FOR UPDATE", tenant_id, kind, key)
    if row is None:
        made = new_id()
        await conn.execute(
            "INSERT INTO integration (tenant_id, id, kind, key, name, settings, secret, active, created_at, created_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, now(), $9, now())",
            tenant_id, made, kind, key, name, json.dumps(settings), seal(PURPOSE, secret or new_secret(), tenant_id, made), active, actor_id,
        )  # fmt: skip
        await record_audit(conn, tenant_id, "integration.added", actor_id=actor_id, target=f"{kind}:{name}")
        return made
    await conn.execute(
        "UPDATE integration SET name = $3, settings = $4::jsonb, active = $5, updated_at = now(), failing_since = CASE WHEN $5 AND NOT active THEN NULL ELSE failing_since END, "
        "stopped_at = CASE WHEN $5 THEN NULL ELSE stopped_at END WHERE tenant_id = $1 AND id = $2",
        tenant_id, row["id"], name, json.dumps(settings), active,
    )  # fmt: skip
    if secret:
        await change_secret(conn, tenant_id, row["id"], secret)
    await record_audit(conn, tenant_id, "integration.changed", actor_id=actor_id, target=f"{kind}:{name}", data={"secret": bool(secret)})
    return row["id"]


async def change_secret(conn: Any, tenant_id: UUID, integration_id: UUID, secret: str | None = None) -> str:
    """Another secret; the one before is taken for OLD_HOURS more. Returns it."""
    made = secret or new_secret()
    await conn.execute(
        "UPDATE integration SET old_secret = secret, old_until = now() + make_interval(hours => $4), secret = $3, updated_at = now() WHERE tenant_id = $1 AND id = $2",
        tenant_id, integration_id, seal(PURPOSE, made, tenant_id, integration_id), OLD_HOURS,
    )  # fmt: skip
    return made
