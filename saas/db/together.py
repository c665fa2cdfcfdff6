"""Several writes in one trip to the server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

Write = tuple[str, tuple[Any, ...]]  # a statement without a result, and its parameters
_PLACE = re.compile(r"\$(\d+)")


async def write_and_ask(conn: Any, writes: Sequence[Write], question: Write) -> Any:
    """`write_together`, and in the same trip the one value that `question` (a SELECT) asks for, as it was before these writes."""
    statements = [*writes, question]
    return await conn.fetchval(_together(tuple((sql, len(args)) for sql, args in statements)), *(arg for _, args in statements for arg in args))


async def write_together(conn: Any, writes: Sequence[Write]) -> None:
    """Run statements that ask nothing of each other as one: all see the tables as they were before any of them (data-modifying
    WITH), so none may read or touch rows that another one writes. Errors are those of the statement that fails."""
    if len(writes) == 1:
        [(sql, args)] = writes
        await conn.execute(sql, *args)
    elif writes:
        text = _together(tuple((sql, len(args)) for sql, args in writes))
        await conn.execute(text, *(arg for _, args in writes for arg in args))


@lru_cache(maxsize=2048)
def _together(statements: tuple[tuple[str, int], ...]) -> str:
    parts, taken = [], 0
    for sql, count in statements:
        parts.append(_PLACE.sub(lambda m, taken=taken: f"${int(m[1]) + taken}", sql))  # type: ignore[misc]
        taken += count
    *beside, last = parts
    return f"WITH {', '.join(f'w{number} AS ({sql})' for number, sql in enumerate(beside))} {last}"
