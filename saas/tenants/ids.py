"""UUID version 7: ordered by time, so that new rows land at the end of an index. Python has it from 3.14 on only."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from uuid import UUID


def new_id(at: datetime | None = None) -> UUID:
    """48 bits of milliseconds, then 74 random ones (RFC 9562, section 5.7). `at`: another moment than now to sort by."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
