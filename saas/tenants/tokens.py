"""Tokens in links that carry what they are about themselves: encrypted, bound to one tenant and one purpose, kept nowhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.tenants.sealing import CannotUnseal, seal, unseal

LONGEST = 1000


def make_token(purpose: str, tenant_id: UUID, data: Mapping[str, Any]) -> str:
    """`data` (JSON, short) as text for an address. Another tenant, or another purpose, cannot read it."""
    return base64.urlsafe_b64encode(seal(purpose, json.dumps(data, separators=(",", ":")), tenant_id)).decode().rstrip("=")


def read_token(purpose: str, tenant_id: UUID, token: str) -> dict[str, Any] | None:
    """What a token says; None for anything that we did not make for this tenant and purpose."""
    if len(token) > LONGEST or not token.isascii():
        return None
    try:
        found = json.loads(unseal(purpose, base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), tenant_id))
    except (CannotUnseal, ValueError):
        return None
    return found if isinstance(found, dict) else None
