"""How often somebody may do something that needs no account. Counted in the database, for all processes together, in windows of time;
whom it is about stands there as a hash only. What belongs to a tenant is counted in its own audit log (saas.tenants.auth)."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any

_COUNT = """
INSERT INTO throttle (key, window_start, count) VALUES ($1, to_timestamp(floor(extract(epoch FROM now()) / $2) * $2), 1)
ON CONFLICT (key, window_start) DO UPDATE SET count = throttle.count + 1
RETURNING count, ceil(extract(epoch FROM window_start) + $2 - extract(epoch FROM now()))::int AS seconds
"""


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `most` in each window of `seconds`, for each of those it is asked about."""

    name: str
    most: int
    seconds: int


def network_of(ip: str) -> str:
    """What one machine cannot change at will: its IPv4 address, or the first 64 bits of an IPv6 one. Any other text as it is."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


async def take(conn: Any, throttle: Throttle, whom: str = "") -> int:
    """Count one more, in a transaction of the system's role at home. 0 if it may be done, else the seconds until it may again."""
    key = hashlib.sha256(f"{throttle.name}:{whom}".encode()).digest()
    row = await conn.fetchrow(_COUNT, key, throttle.seconds)
    return 0 if row["count"] <= throttle.most else max(1, row["seconds"])
