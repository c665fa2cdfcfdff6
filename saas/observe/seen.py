"""The request or job of this context, as far as it is known: what every line of the log and every measure belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(slots=True)
class Seen:
    """`kind`: request or job. `route` is the pattern of the address or the kind of job, never the address itself. `cause`: the id of the
    request that put the job in. `span`: the trace's, if there are traces."""

    kind: str
    request_id: str = ""
    route: str = ""
    tenant_id: UUID | None = None
    user_id: UUID | None = None
    job_id: UUID | None = None
    cause: str = ""
    span: Any = None
    turn: Any = None  # its place at the entrance (saas.db.fair)
    is_awaited: bool = False  # a job that a request waits for
    waited: float = 0.0  # seconds it let others go first (saas.db.fair)

    def known(self) -> dict[str, Any]:
        """For a line of the log; what is not known is left out."""
        named = (("request_id", self.request_id), ("tenant_id", self.tenant_id), ("user_id", self.user_id), ("job_id", self.job_id), ("route", self.route), ("cause", self.cause))
        return {name: value for name, value in named if value}

    def fields(self) -> dict[str, str]:
        """The same as text."""
        return {name: str(value) for name, value in self.known().items()}


_seen: ContextVar[Seen | None] = ContextVar("seen", default=None)
seen = _seen.get  # None outside of requests and jobs


@contextmanager
def seeing(what: Seen) -> Iterator[Seen]:
    """The frame of one request or job."""
    token = _seen.set(what)
    try:
        yield what
    finally:
        _seen.reset(token)


@asynccontextmanager
async def outside() -> AsyncIterator[None]:
    """While somebody else's server is waited for: the request's place at the entrance is others' meanwhile, and is taken again after."""
    what = _seen.get()
    turn = what.turn if what is not None else None
    if turn is None or not turn.is_held:
        yield
        return
    turn.leave()
    try:
        yield
    except asyncio.CancelledError:
        raise  # nobody waits for this request any more: it takes no place
    except BaseException:
        await turn.enter(again=True)
        raise
    else:
        await turn.enter(again=True)


begin, end = _seen.set, _seen.reset  # the same for whoever keeps the token


def somebody(user_id: UUID) -> None:
    """Said when it is known who asks."""
    found = _seen.get()
    if found is not None:
        found.user_id = user_id
