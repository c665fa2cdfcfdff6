"""Wait: for some time, until a moment that an expression gives, or until a condition holds, at most for some time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from datetime import time as clock
from typing import Any

from saas.errors import Conflict
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.acts import ActionRun
from saas.runtime.steps import Wait as Verdict

LOOK_AGAIN = timedelta(minutes=10)  # at a condition, which may be about other records than the one that wakes it
SHORT, LONG = timedelta(seconds=0), timedelta(days=3660)


@action_types.register
class Wait(ActionType):
    key = "wait"
    label = lazy("Wait")
    icon = "hourglass"
    waits = True
    can_retry = False
    formulas = {"until": ("date", "datetime"), "condition": "bool"}
    options_schema = {
        "type": "object",
        "description": N_("What follows happens later. The change that caused it is saved at once."),
        "properties": {
            "until": {"type": "string", "maxLength": 2000, "title": N_("Until this moment"), "description": N_("A date of the record, for example. The time below is added to it; a negative one means before."), "x-control": "expression"},
            "condition": {"type": "string", "maxLength": 2000, "title": N_("Until this is so"), "description": N_("The time below is then how long to wait at most."), "x-control": "condition"},
            "days": {"type": "integer", "minimum": -3660, "maximum": 3660, "title": N_("Days")},
            "hours": {"type": "integer", "minimum": -87600, "maximum": 87600, "title": N_("Hours")},
            "minutes": {"type": "integer", "minimum": -100000, "maximum": 100000, "title": N_("Minutes")},
            "on_timeout": {"type": "string", "enum": ["go_on", "end"], "default": "go_on", "title": N_("If it was not so in time"), "x-labels": {"go_on": N_("go on"), "end": N_("end here")}},
        },
        "additionalProperties": False,
    }  # fmt: skip

    def problems(self, options: Mapping[str, Any]) -> list[tuple[str, str, Any, Any]]:
        if any(options.get(name) for name in ("days", "hours", "minutes")) or (options.get("until") and not options.get("condition")):
            return []
        return [("", "no_time", lazy("It does not say how long to wait."), lazy("Give days, hours or minutes, or a moment to wait until."))]

    async def wait(self, run: ActionRun, options: Mapping[str, Any], since: datetime) -> Verdict:
        """Whether to go on, by the tenant's clock. `since`: when the waiting began."""
        now, for_ = run.ctx.now, timedelta(days=options.get("days", 0), hours=options.get("hours", 0), minutes=options.get("minutes", 0))
        if options.get("condition"):
            if await run.holds(options["condition"]):
                return Verdict()
            last = since + for_
            if now >= last:
                return Verdict(ends=options.get("on_timeout") == "end")
            return Verdict(min(last, now + LOOK_AGAIN), watches=True)
        if options.get("until"):
            value = (await run.env(options["until"])).evaluate(options["until"])
            if value is None:  # nobody has said yet: whoever does wakes it
                return Verdict(now + timedelta(days=1), watches=True)
            due = _moment(run, value) + for_
            return Verdict(None if due <= now else due, watches=True)
        due = since + min(max(for_, SHORT), LONG)
        return Verdict(None if due <= now else due)


def _moment(run: ActionRun, value: Any) -> datetime:
    """A date begins at midnight of the tenant's time zone."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=run.ctx.zone)
    if isinstance(value, date):
        return datetime.combine(value, clock(), run.ctx.zone)
    raise Conflict(lazy("What is waited for is not a date or time."))
