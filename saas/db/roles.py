"""The three database roles and how a process logs in as one. Passwords follow from the secret key; none is stored."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

OWNER = "saas_owner"
APP = "saas_app"
SYSTEM = "saas_system"
ROLES = (OWNER, APP, SYSTEM)


def role_password(secret_key: str, role: str) -> str:
    """Derived, so that every process with the secret key can log in and nothing has to be shared besides."""
    return hmac.new(secret_key.encode(), b"database role " + role.encode(), hashlib.sha256).hexdigest()


def role_login(database_url: str, secret_key: str, role: str) -> dict[str, Any]:
    """Arguments for asyncpg: the server and database of the URL, with the role's own login."""
    return {"dsn": database_url, "user": role, "password": role_password(secret_key, role)}
