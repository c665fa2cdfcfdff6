"""Ids: made as UUID version 7, ordered by time, so that new rows land at the end of an index (Python has it from 3.14 on only), and read."""

from __future__ import annotations

import itertools
import secrets
import time
from datetime import datetime
from typing import Any
from uuid import UUID

RANDOM_BITS = 42  # the last ones
_turns = itertools.count(secrets.randbelow(1 << 31))


def new_id(at: datetime | None = None) -> UUID:
    """48 bits of milliseconds, 32 that count, so that what is made in one moment stays in its order, and RANDOM_BITS random ones (RFC 9562, sections
    5.7 and 6.2). `at`: another moment than now to sort by."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    turn = next(_turns) & 0xFFFF_FFFF
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | turn >> 20 << 64 | 0x2 << 62 | (turn & 0xFFFFF) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return UUID(int=value)


def uuid_of(value: Any) -> UUID | None:
    """The id that somebody wrote; None for what is no id."""
    try:
        return UUID(str(value))
    except ValueError:
        return None
