"""What a planned configuration means for the tenant's real data. One file for each kind of impact; adding one is adding a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import structlog

from saas.runtime.impact._shared.model import GRAVITY, Check, Impact, ImpactKind, impact_kinds
from saas.runtime.impact._shared.scan import scan
from saas.runtime.impact._shared.survey import Lens, OutOfTime, Survey, live

log = structlog.get_logger(__name__)
SECONDS = 10.0


async def look(survey: Survey, *, sound: bool = True, only_stops: bool = False) -> list[Impact]:
    """All impacts, the gravest first. `sound`: the planned bundle has no problems; what cannot be asked of an unsound one is left
    out. `only_stops`: just what could keep it from being published."""
    kinds = [k for k in impact_kinds if k.may_stop or not only_stops]
    checks: dict[str, list[Check]] = {}
    for check in (c for kind in kinds for c in _checks(survey, kind, sound)):
        checks.setdefault(check.entity, []).append(check)
    found: list[Impact] = []
    for kind in (k for k in kinds if k.first):
        found += await _measure(survey, kind, sound)
    for key in await _smallest_first(survey, checks):
        found += await scan(survey, survey.before.entity(key), checks[key])
    for kind in (k for k in kinds if not k.first):
        found += await _measure(survey, kind, sound)
    return sorted(found, key=lambda i: GRAVITY[i.severity])


def _checks(survey: Survey, kind: ImpactKind, sound: bool) -> list[Check]:
    """Those that can be written as SQL at all."""
    found: list[Check] = []
    with _passing_over(kind.key, sound):
        for check in kind.checks(survey):
            with _passing_over(check.path, sound):
                if check.where is not None:
                    check.where(Lens(survey, check.entity))
                found.append(check)
    return found


async def _measure(survey: Survey, kind: ImpactKind, sound: bool) -> Iterable[Impact]:
    with _passing_over(kind.key, sound), contextlib.suppress(OutOfTime):
        return await kind.measure(survey)
    return ()


@contextlib.contextmanager
def _passing_over(what: str, sound: bool) -> Any:
    """A bundle with problems may name what is not there: then a question cannot be asked, and the problem says why."""
    try:
        yield
    except OutOfTime:
        raise
    except Exception:
        if sound:
            raise
        log.info("impact.unaskable", what=what, exc_info=True)


async def _smallest_first(survey: Survey, entities: Iterable[str]) -> list[str]:
    """So that one large entity does not use up the time of all."""
    totals = {}
    for key in entities:
        try:
            totals[key] = await survey.total(survey.before.entity(key))
        except OutOfTime:
            totals[key] = -1
    return sorted(totals, key=lambda k: (totals[k] < 0, totals[k]))


__all__ = ["SECONDS", "Check", "Impact", "ImpactKind", "Lens", "OutOfTime", "Survey", "impact_kinds", "live", "look"]
