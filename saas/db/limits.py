"""How long one statement may take, by the kind of request it belongs to. The only place with these numbers.

The database ends a statement that takes longer (`statement_timeout`), whether or not the process that asked for it still lives.
What is not named here has the limit of the app's role, so code that forgets to choose is bounded, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# The limit set on the app's role (saas.db.migrate): asking for the same costs no round trip.
ROLE_SECONDS = 10.0
STATEMENT_SECONDS: Mapping[str, float] = {
    "page": ROLE_SECONDS,  # pages, lists, boards and their fragments
    "api": ROLE_SECONDS,  # reads of programs
    "write": ROLE_SECONDS,  # one record, or one step of several; waiting for somebody else's lock ends after as long
    "report": 20.0,  # reports and dashboards: figures over all records
    "publish": 60.0,  # plans and changes of the configuration, which look at what they mean for existing records
    "export": 60.0,  # sheets made while the browser waits
    "job": 600.0,  # work in the background
}
REPORT_SECONDS = 40.0  # all figures of one page together; those that come later say so

_seconds: ContextVar[float | None] = ContextVar("statement_seconds", default=None)


def limit_statements(kind: str) -> None:
    """From here on transactions of this context have the limit of `kind`. Errors: KeyError."""
    _seconds.set(STATEMENT_SECONDS[kind])


@contextmanager
def statements_of(kind: str) -> Iterator[None]:
    """Transactions opened inside have the limit of `kind`. Errors: KeyError."""
    token = _seconds.set(STATEMENT_SECONDS[kind])
    try:
        yield
    finally:
        _seconds.reset(token)


@contextmanager
def own_limit() -> Iterator[None]:
    """What is chosen inside, e.g. for one request, ends with it."""
    token = _seconds.set(None)
    try:
        yield
    finally:
        _seconds.reset(token)


def statement_seconds() -> float:
    """The limit of a statement of this context."""
    return _seconds.get() or ROLE_SECONDS
