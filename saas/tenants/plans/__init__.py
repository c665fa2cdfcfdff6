"""Plans: what a tenant may use at most, and what that costs. One JSON file each in this folder; a limit it leaves out is the usual one.

docs/plans.md says what each limit counts. A tenant's own limits (`overrides`, the operator's act) are merged over those of its plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import resources
from typing import Any

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import LazyString, lazy

USUAL = "unlimited"  # who runs the product for themselves has no limits; what is sold names its plan


@dataclass(frozen=True, slots=True)
class Limits:
    """None: as much as they like. `seats`: active people of the company; `portal_seats`: active people outside who are a record; `records`: those not deleted; `storage`: bytes of files; `custom_entities`: those
    that come from no installed pack; `fields_per_entity`: in each of these; `automation_runs`: a month (UTC); `api_requests`: a minute;
    `mails`: a day (UTC); `packs`: keys of packs that may be installed; `indexed_fields`: fields of all entities together that have
    an index of their own, always a number. What a tenant has already stays when a limit shrinks; only more of it is refused."""

    seats: int | None = None
    portal_seats: int | None = None
    records: int | None = None
    storage: int | None = None
    custom_entities: int | None = None
    fields_per_entity: int | None = None
    automation_runs: int | None = None
    api_requests: int | None = None
    mails: int | None = None
    packs: tuple[str, ...] | None = None
    indexed_fields: int = 20


LIMITS = tuple(f.name for f in fields(Limits))


@dataclass(frozen=True, slots=True)
class PlanDef:
    """`label` is {locale: text}; `prices` {currency: minor units per seat and month}, empty for what has none; `offered`: companies may
    choose it themselves; `position` orders them from small to large."""

    key: str
    label: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)
    prices: Mapping[str, int] = field(default_factory=dict)
    trial_days: int = 0
    offered: bool = True
    position: int = 0


@cache
def catalogue() -> dict[str, PlanDef]:
    """All plans by key, from small to large. Errors: ValueError for a file that does not say what it is, or names a limit that there is not."""
    found = []
    for file in sorted(resources.files(__name__).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            found.append(plan_of(json.loads(file.read_text(encoding="utf-8")), file.name))
    return {plan.key: plan for plan in sorted(found, key=lambda p: p.position)}


def plan_of(raw: Mapping[str, Any], name: str = "") -> PlanDef:
    """A plan from its JSON. Errors: ValueError."""
    try:
        limits = _limits(raw.get("limits", {}), Limits())
        plan = PlanDef(**{**raw, "limits": limits})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"plan {name}: {error}") from error
    if not all(isinstance(k, str) and len(k) == 3 and _is_count(v) for k, v in plan.prices.items()) or not _is_count(plan.trial_days):
        raise ValueError(f"plan {name}: prices are {{currency: minor units}}, trial_days a number of days")
    return plan


def _limits(given: Mapping[str, Any], base: Limits) -> Limits:
    for name, value in given.items():
        if name not in LIMITS:
            raise ValueError(f"there is no limit {name}")
        if not _fits(name, value):
            raise ValueError(f"{name}: limits are whole numbers from 0, or null for no limit")
    return replace(base, **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def _fits(name: str, value: Any) -> bool:
    if name == "packs":
        return value is None or (isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value))
    return _is_count(value) or (value is None and name != "indexed_fields")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def limits_of(plan_key: str, overrides: Mapping[str, Any] | None = None) -> Limits:
    """The limits of a tenant with this plan and limits of its own; those of the usual plan for one that is not offered any more.
    An own limit that is not (or no longer) understood is left out."""
    plans = catalogue()
    base = (plans.get(plan_key) or plans[USUAL]).limits
    known = {name: value for name, value in (overrides or {}).items() if name in LIMITS and _fits(name, value)}
    return _limits(known, base) if known else base


def check_plan(plan_key: str) -> PlanDef:
    """Errors: InvalidInput for a plan that is not in the catalogue."""
    plan = catalogue().get(plan_key)
    if plan is None:
        text = lazy("There is no plan “%(plan)s”. There are: %(known)s", plan=plan_key[:60], known=", ".join(catalogue()))
        raise InvalidInput([FieldProblem("plan", "unknown", text, "/plan")], text)
    return plan


def check_overrides(overrides: Mapping[str, Any]) -> None:
    """Limits of a tenant's own. Errors: InvalidInput for a limit that there is not, or a value that it cannot have."""
    problems = []
    for name, value in overrides.items():
        if name not in LIMITS:
            problems.append(FieldProblem(name, "unknown", lazy("There is no limit “%(name)s”.", name=str(name)[:60]), f"/overrides/{name}"))
        elif not _fits(name, value):
            problems.append(FieldProblem(name, "wrong_type", lazy("A limit is a whole number from 0, or null for none; “packs” is a list of keys."), f"/overrides/{name}"))
    if problems:
        raise InvalidInput(problems)


# What people call a limit, in the middle of a sentence and in front of a number.
NAMES: Mapping[str, LazyString] = {
    "seats": lazy("Active people"), "portal_seats": lazy("Active people outside"), "records": lazy("Number of records"), "storage": lazy("Storage for files"), "custom_entities": lazy("Own entities"),
    "fields_per_entity": lazy("Fields of an own entity"), "automation_runs": lazy("Automation runs this month"), "api_requests": lazy("API requests a minute"),
    "mails": lazy("E-mails today"), "packs": lazy("Packs"), "indexed_fields": lazy("Fields with an index of their own"),
}  # fmt: skip

__all__ = ["LIMITS", "NAMES", "USUAL", "Limits", "PlanDef", "catalogue", "check_overrides", "check_plan", "limits_of", "plan_of"]
