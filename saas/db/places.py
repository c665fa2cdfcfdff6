"""Where a tenant lives: the directory of cells. Only asked in installations with several databases.

The directory is the column `tenant.cell` of the home database: '' is home, else the key of a cell. In the database where a tenant
does not live (any more, or not yet) its row names another place, and that is what makes the cache safe: each transaction asks the
row of its own database in the statement that takes the tenant's lock, and looks the tenant up again when it is not there.

The lock says whether the tenant may be written. Every transaction holds it shared; `saas tenant move` takes it alone, waits
thereby for those that are on their way, and makes all later ones read-only. It ends with the connection of whoever moves.
"""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from saas.db.pools import ACQUIRE_SECONDS, Database
from saas.errors import Unavailable
from saas.i18n import lazy
from saas.settings import HOME

_ENTRIES = 100_000
RETRY_SECONDS = 5  # what a person or a program is asked to wait while a tenant moves
_known: dict[UUID, str] = {}

HOLD = "SELECT pg_try_advisory_xact_lock_shared($1) AS free, (SELECT cell FROM tenant WHERE id = $2) AS cell"
_LOOK_UP = "SELECT cell FROM tenant WHERE id = $1"


def lock_key(tenant_id: UUID) -> int:
    """The number of the tenant's lock."""
    return int.from_bytes(hashlib.blake2b(b"place" + tenant_id.bytes, digest_size=8).digest(), "big", signed=True)


async def place_of(database: Database, tenant_id: UUID, *, fresh: bool = False) -> str:
    """The key of the cell; home for a tenant that nobody knows (yet). With `fresh`, whatever was remembered."""
    if not database.has_cells:
        return HOME
    key = None if fresh else _known.get(tenant_id)
    if key is None:
        async with database.home.system.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
            key = await connection.fetchval(_LOOK_UP, tenant_id) or HOME
        if key not in database.cells:
            raise Unavailable(lazy("This process does not know where this workspace is kept: SAAS_CELLS is not the same everywhere."), reason="cell")
        if len(_known) >= _ENTRIES:
            _known.clear()
        _known[tenant_id] = key
    return key


def forget_place(tenant_id: UUID) -> None:
    """What was remembered was wrong."""
    _known.pop(tenant_id, None)


def lives_here(row: Any, key: str) -> bool:
    """What the database `key` says of a tenant (HOLD). At home no row means a tenant that is being made."""
    return row["cell"] == "" or (row["cell"] is None and key == HOME)


def moving() -> Unavailable:
    """The answer to a write while the tenant moves."""
    return Unavailable(
        lazy("This workspace is being moved to another server. Reading works; changes can be saved again in a few seconds."),
        reason="moving", retry_after=RETRY_SECONDS,
    )  # fmt: skip
