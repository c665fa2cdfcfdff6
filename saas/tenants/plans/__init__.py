"""Plans: what a tenant may use at most. One JSON file each in this folder; a limit it leaves out is the usual one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

USUAL = "free"


@dataclass(frozen=True, slots=True)
class Limits:
    """`indexed_fields`: fields of all entities together that have an index of their own. What a tenant has already stays when a limit
    shrinks; only more of it is refused."""

    indexed_fields: int = 20


@dataclass(frozen=True, slots=True)
class PlanDef:
    """`label` is {locale: text}."""

    key: str
    label: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)


@cache
def catalogue() -> dict[str, PlanDef]:
    """All plans by key. Errors: ValueError for a file that does not say what it is, or names a limit that there is not."""
    found = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            plan = plan_of(json.loads(file.read_text(encoding="utf-8")), file.name)
            found[plan.key] = plan
    return found


def plan_of(raw: Mapping[str, object], name: str = "") -> PlanDef:
    """A plan from its JSON. Errors: ValueError."""
    try:
        limits = Limits(**raw.get("limits", {}))  # type: ignore[arg-type]
        plan = PlanDef(raw["key"], raw["label"], limits)  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise ValueError(f"plan {name}: {error}") from error
    if any(not isinstance(value, int) or isinstance(value, bool) or value < 0 for value in (limits.indexed_fields,)):
        raise ValueError(f"plan {name}: limits are whole numbers from 0")
    return plan


def limits_of(plan_key: str) -> Limits:
    """The limits of a tenant with this plan; those of the usual plan for one that is not offered any more."""
    plans = catalogue()
    return (plans.get(plan_key) or plans[USUAL]).limits


__all__ = ["USUAL", "Limits", "PlanDef", "catalogue", "limits_of", "plan_of"]
