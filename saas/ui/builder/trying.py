"""What a change would look like before it is saved: drawn by the real pages' code on real records, under the draft with the change in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from saas.errors import AppError
from saas.i18n import gettext as _
from saas.metadata.parse import examine
from saas.runtime import Context
from saas.runtime.simulation import require_trial
from saas.runtime.trial import trial
from saas.ui.builder.desk import Desk, is_below

SECONDS = 8.0
MOST_REASONS = 4


@dataclass(frozen=True, slots=True)
class Tried:
    """What would be seen, or the reasons why nothing can be. `repair`: what is wrong stands elsewhere in the draft."""

    html: Markup | None = None
    reasons: tuple[str, ...] = ()
    repair: bool = False


async def tried(desk: Desk, new: Mapping[str, Any], path: str, show: Callable[[Context], Awaitable[Markup]]) -> Tried:
    """`show(ctx)` with `ctx` under the bundle `new`, in a transaction that is rolled back. What is wrong with the definition at `path`
    is said instead. Only administrators see records so: others could give themselves any right in their own draft."""
    bundle, problems = await asyncio.to_thread(examine, new)
    own = tuple(dict.fromkeys(str(p.message) for p in problems if is_below(p.path, path)))
    if own:
        return Tried(reasons=own[:MOST_REASONS])
    if problems or bundle is None:
        return Tried(reasons=(_("Something else in your draft has to be repaired first: until then nothing can be tried."),), repair=True)
    try:
        require_trial(desk.ask.ctx)
        async with trial(desk.ask.ctx, bundle, timeout_seconds=SECONDS) as ctx:
            return Tried(html=await show(ctx))
    except AppError as error:
        return Tried(reasons=(str(error.message),))
