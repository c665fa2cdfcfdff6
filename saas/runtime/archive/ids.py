"""New ids for old ones. Known are all ids that stand in a column for ids anywhere in the archive; they are looked for in everything
else (documents, history, saved filters, texts with addresses), so no reference is missed and no value that only looks like one is hurt.

They are kept in a file, not in memory: a tenant may have millions.
"""

from __future__ import annotations

import hmac
import re
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from saas.tenants.ids import RANDOM_BITS

_UUID = re.compile(rb"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])")
_RANDOM = (1 << RANDOM_BITS) - 1
_ASKED = 500  # ids looked up in one query


class Ids:
    """One import's ids. `close()` when done; the file goes with its folder."""

    def __init__(self, folder: Path) -> None:
        self._key = secrets.token_bytes(32)
        # Checking reads in a thread, restoring in others; never two at once.
        self._file = sqlite3.connect(folder / "ids", check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE known (id BLOB PRIMARY KEY) WITHOUT ROWID")

    def learn(self, ids: Iterable[UUID]) -> None:
        self._file.executemany("INSERT OR IGNORE INTO known VALUES (?)", ((one.bytes,) for one in ids))

    def new(self, old: UUID) -> UUID:
        """The same for the same id. What ids are sorted by, the time and the count within it, stays; the random rest is another's to guess."""
        rest = int.from_bytes(hmac.digest(self._key, old.bytes, "sha256")) & _RANDOM
        return UUID(int=old.int & ~_RANDOM | rest)

    def replace(self, text: bytes) -> bytes:
        """Every known id in a text becomes its new one."""
        found = {match for match in _UUID.findall(text)}
        known = self._known(found)
        return _UUID.sub(lambda m: known.get(m[0], m[0]), text) if known else text

    def _known(self, found: set[bytes]) -> dict[bytes, bytes]:
        asked = {UUID(one.decode()).bytes: one for one in found}
        keys, known = list(asked), dict[bytes, bytes]()
        for start in range(0, len(keys), _ASKED):
            part = keys[start : start + _ASKED]
            rows = self._file.execute(f"SELECT id FROM known WHERE id IN ({','.join('?' * len(part))})", part)
            known |= {asked[row[0]]: str(self.new(UUID(bytes=row[0]))).encode() for row in rows}
        return known

    def close(self) -> None:
        self._file.close()
