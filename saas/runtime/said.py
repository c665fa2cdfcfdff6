"""Values as JSON: for what is kept, and for what is said to other systems."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """A value of an expression as JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return [plain(v) for v in value] if isinstance(value, list) else value


def moment(at: datetime | None) -> str | None:
    """An aware UTC moment as everybody writes it: 2026-03-01T08:00:00Z."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def written(value: Any) -> str:
    """JSON text for a column; what JSON does not know stands there as text."""
    return json.dumps(value, ensure_ascii=False, default=str)
