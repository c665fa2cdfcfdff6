"""How fast one signed-in browser may ask for pages: more than anybody can click, less than what a runaway script does. Programs have their
plan's rate (saas.tenants.rates), the tenant as a whole its share of the process (saas.db.fair)."""

from __future__ import annotations

import math
import time
from uuid import UUID

from saas.errors import TooManyRequests
from saas.i18n import lazy
from saas.observe import metrics

A_SECOND, AT_ONCE = 200.0, 1000.0  # in one process
_ENTRIES = 10_000
_left: dict[UUID, tuple[float, float]] = {}  # session -> how many it may ask for, and when that was


def keep(session_id: UUID) -> None:
    """Count one request of a session. Errors: TooManyRequests with the seconds to wait."""
    now = time.monotonic()
    left, at = _left.get(session_id, (AT_ONCE, now))
    left = min(AT_ONCE, left + (now - at) * A_SECOND)
    if left < 1:
        metrics.requests_refused.labels("pace").inc()
        raise TooManyRequests(lazy("That is faster than anybody can click. Please wait a moment."), retry_after=math.ceil((1 - left) / A_SECOND))
    if len(_left) >= _ENTRIES:
        _left.clear()  # everybody may begin anew: a limit against scripts need not be exact
    _left[session_id] = left - 1, now
