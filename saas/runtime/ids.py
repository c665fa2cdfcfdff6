"""Record ids: UUID version 7 (RFC 9562), made here because Python has them only from 3.14."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from uuid import UUID


def uuid7(at: datetime | None = None) -> UUID:
    """A time-ordered id; `at` (aware) is the moment it sorts by."""
    milliseconds = int((at or datetime.now(UTC)).timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return UUID(int=value)
