"""What the page of plan and usage shows: a bar for each limit, what happened day by day, what other plans allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_date

from saas.i18n import LazyString, lazy, pick
from saas.i18n import gettext as _
from saas.runtime import Context, permissions
from saas.runtime.usage import Day, Line, beyond
from saas.tenants import PlanDef, catalogue
from saas.tenants.limits import amount
from saas.tenants.plans import LIMITS, NAMES, Limits
from saas.ui.views import Link

PAGE = "/settings/plan"
PAYMENT = "billing"  # the page of the settings where people pay, where there is one
# What can be looked at day by day.
CHARTS: dict[str, LazyString] = {
    "api_requests": lazy("API requests"), "automation_runs": lazy("Automation runs"), "mails": lazy("E-mails"), "records": NAMES["records"], "storage": lazy("Storage for files, in MB"),
    "seats": lazy("Active people"),
}  # fmt: skip
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bar:
    """`level`: 0, 80 or 100, the highest that is reached. `percent` None: without a limit, so without a bar."""

    key: str
    label: str
    used: str
    allowed: str
    percent: int | None = None
    level: int = 0
    note: str = ""


def way_to_more(ctx: Context) -> Link | None:
    """Where administrators see what is used and find the way to more; nobody else may."""
    return Link(_("Plan and usage"), PAGE, "chart-bar") if permissions.is_admin(ctx) else None


def bars(lines: Sequence[Line]) -> list[Bar]:
    return [_bar(line) for line in lines]


def _bar(line: Line) -> Bar:
    used = amount(line.key, line.used)
    if line.allowed is None:
        return Bar(line.key, str(line.label), used, f"· {_('no limit')}")
    if line.percent is None:
        return Bar(line.key, str(line.label), used, "· " + _("%(count)s a minute at most", count=amount(line.key, line.allowed)))
    notes = {
        100: _("Reached: no more can be added. What is there stays."),
        80: _("%(percent)s%% are used.", percent=line.percent),
    }
    if line.used > line.allowed:
        notes[100] = _("More than the plan allows: everything stays, but no more can be added.")
    return Bar(line.key, str(line.label), used, _("of %(allowed)s", allowed=amount(line.key, line.allowed)), min(line.percent, 100), line.level, notes.get(line.level, ""))


def chart(days: Sequence[Day], key: str, ctx: Context) -> dict[str, Any]:
    """One figure day by day, as the script of charts draws it."""
    unit = MEGABYTE if key == "storage" else 1
    values = [day.amounts.get(key) for day in days]
    labels = [format_date(day.day, "M/d" if ctx.locale == "zh_CN" else "d MMM", locale=ctx.locale) for day in days]
    name = str(CHARTS[key])
    return {"type": "bar", "horizontal": False, "labels": labels, "series": [{"name": name, "values": [None if v is None else round(v / unit, 1) for v in values]}], "stacked": False}


def rows(days: Sequence[Day], key: str) -> list[tuple[str, str]]:
    """The same as a table, newest first."""
    return [(day.day.isoformat(), "–" if (value := day.amounts.get(key)) is None else amount(key, value)) for day in reversed(days)]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a plan allows of something, and whether that is less than is used."""

    text: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    label: str
    current: bool
    over: tuple[str, ...]  # names of what would be over, in words
    cells: tuple[Cell, ...]


def plans(ctx: Context, lines: Sequence[Line]) -> tuple[list[str], list[Column]]:
    """What the plans allow that companies may choose, and the present one: names of the limits, and a column a plan."""
    own = ctx.tenant.plan_key
    shown = [plan for plan in catalogue().values() if plan.offered or plan.key == own]
    return [str(NAMES[key]) for key in LIMITS if key != "packs"], [_column(plan, plan.key == own, lines) for plan in shown]


def _column(plan: PlanDef, current: bool, lines: Sequence[Line]) -> Column:
    over = {line.key: str(line.label) for line in beyond(lines, plan.limits)}
    cells = [Cell(allowed_text(plan.limits, key), key in over) for key in LIMITS if key != "packs"]
    return Column(plan.key, pick(plan.label), current, tuple(over.values()), tuple(cells))


def allowed_text(limits: Limits, key: str) -> str:
    value = getattr(limits, key)
    return _("no limit") if value is None else amount(key, value)


def facts(ctx: Context, when: str) -> dict[str, Any]:
    """The plan by name, what state the workspace is in and what that means; `when`: the end of the trial, in words."""
    plan, status = catalogue().get(ctx.tenant.plan_key), ctx.tenant.status
    words = {
        "past_due": _("A payment is overdue. Everybody can go on working for now; if it is not paid, the workspace becomes read-only."),
        "read_only": _("The workspace is read-only: everything can be read and exported, nothing can be changed."),
        "suspended": _("The workspace is suspended: everything can be read and exported, nothing can be changed."),
    }
    return {
        "name": pick(plan.label) if plan else ctx.tenant.plan_key, "status": status, "closed": words.get(status, ""), "own": bool(ctx.tenant.limit_overrides), "trial": when,
        "packs": ctx.tenant.limits.packs, "slug": ctx.tenant.slug,
    }  # fmt: skip


def days_left(ctx: Context, ends: datetime | None) -> int | None:
    """Days of the trial that are left, the last one being 1; None without one, or when it is over."""
    return (ends - ctx.real_now).days + 1 if ends is not None and ends > ctx.real_now else None
