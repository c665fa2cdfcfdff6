"""The form of an archive: a zip file of JSON Lines, so that anybody can look into it without this product.

    tables/<table>.jsonl      one row a line, by the names of the catalogue
    records/<entity>.jsonl    one record a line; values by the keys of the fields, never by the columns they happen to lie in
    files/<sha256>            contents of files, under their checksum
    manifest.json             written last: format, version, counts, the checksum of every part, and what was left out
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.metadata.slots import SLOTS

FORMAT = 1
PRODUCT = "saas"
MANIFEST = "manifest.json"
TABLE = re.compile(r"tables/([a-z_]{1,63})\.jsonl\Z")
RECORDS = re.compile(r"records/([a-z][a-z0-9_]{0,62})\.jsonl\Z")
FILE = re.compile(r"files/([0-9a-f]{64})\Z")
SECRETS = "Sessions, tokens, keys and second factors are never in an archive."
BATCH = 500  # rows
FILE_CHUNK = 1024 * 1024


def outward(storage: str, value: Any) -> Any:
    """A column's value, or the text it has in the document where the columns were full -> what stands in the archive."""
    if isinstance(value, str):
        match storage:
            case "int":
                return int(Decimal(value))
            case "float":
                return float(value)
            case "time":
                return datetime.fromisoformat(value)
    return value


def inward(storage: str, value: Any) -> Any:
    """What stands in the archive -> JSON of a column's value. Errors: ValueError for anything that the column cannot hold."""
    match storage, value:
        case "text", str():
            return value
        case "int", int() if not isinstance(value, bool) and -(2**63) <= value < 2**63:
            return value
        case "float", int() | float() if not isinstance(value, bool):
            return float(value)
        case "time", str():
            return datetime.fromisoformat(value).isoformat()
        case "uuid", str():
            return str(UUID(value))
    raise ValueError(f"not a value of storage {storage!r}")


def in_document(storage: str, value: Any) -> Any:
    """The same where the columns are full: as text (saas.runtime.rows)."""
    return str(value) if storage in SLOTS else value
