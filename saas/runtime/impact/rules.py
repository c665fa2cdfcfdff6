"""Rules over a whole record that are new, or say something else than before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import RuleDef
from saas.runtime.impact._shared.conditions import question
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Survey
from saas.runtime.permissions import all_of


@impact_kinds.register
class Rules(ImpactKind):
    key = "rules"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for old, new in survey.entities():
            known = {r.key: r for r in old.defn.rules}
            for rule in new.defn.rules:
                before = known.get(rule.key)
                if before is None or before.expr != rule.expr:
                    yield _check(survey, new, rule, None)
                elif survey.means_another(new.key, ex.parse(rule.expr), ex.parse(rule.expr)):
                    yield _check(survey, new, rule, before.expr)


def _check(survey: Survey, entity: Entity, rule: RuleDef, before: str | None) -> Check:
    """`before`: only records that kept to the rule until now."""
    asked = question(survey, entity.key, (rule.expr,))

    def broken(lens: Lens) -> str:
        return all_of(lens.fails(rule.expr), *([lens.holds(before, before=True)] if before else []))

    def kept_before(lens: Lens) -> str:
        return lens.holds(before, before=True)

    async def breaks(seen: Any) -> bool:
        return not await seen.holds(rule.expr)

    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record breaks the rule “%(rule)s”. It stays as it is, but cannot be saved again before it keeps to it.",
            "%(count)s records break the rule “%(rule)s”. They stay as they are, but cannot be saved again before they keep to it.",
            count, rule=LazyLabel(rule.message),
        )  # fmt: skip

    found = {"where": kept_before if before else None, "judge": breaks, "reads": asked.reads} if asked.judged else {"where": broken}
    return Check(
        code="rule_broken", path=f"entities[{entity.key}].rules[{rule.key}]", entity=entity.key, field=rule.field, message=message,
        show=rule.field, exact=asked.exact, **found,
    )  # fmt: skip
