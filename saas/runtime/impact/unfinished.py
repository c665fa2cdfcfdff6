"""Fields that change their type again although an earlier change of it was stopped before it came to every record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from saas.i18n import lazy_plural
from saas.metadata import slots, store
from saas.runtime.backfill.model import Pair as Places
from saas.runtime.backfill.model import Step, location
from saas.runtime.backfill.unfinished import Unfinished, chain
from saas.runtime.backfill.values import at_place
from saas.runtime.impact._shared.model import SAMPLES, Impact, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Pair, Survey, empty_sql, live
from saas.runtime.permissions import right_sql
from saas.runtime.sql import RecordScope, Statement


@impact_kinds.register
class UnfinishedChanges(ImpactKind):
    key = "unfinished"
    first = True

    async def measure(self, survey: Survey) -> Iterable[Impact]:
        found: list[Impact] = []
        for pair in survey.fields():
            if survey.is_converted(pair) and slots.place_of(survey.before, pair.entity.key, pair.key) is not None:
                for one in await chain(survey.conn, survey.ctx.tenant_id, _step(survey, pair)):
                    found += await _waiting(survey, pair, one)
        return found


def _step(survey: Survey, pair: Pair) -> Step:
    places = Places(pair.new_entity, pair.old, pair.new, location(survey.before, pair.entity.key, pair.key), location(survey.after, pair.new_entity.key, pair.key))
    return Step("convert", pair.entity.key, pair.entity.number, pair.key, places.places())


async def _waiting(survey: Survey, pair: Pair, one: Unfinished) -> list[Impact]:
    """Records that it never came to and that hold a value in the earlier place, where nobody gave them another since."""
    tenant, place = survey.ctx.tenant, one.step.options["was"]
    earlier = await store.current(tenant.id, one.revision - 1, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone)
    if pair.key not in earlier.entity(pair.entity.key).declared:
        return []
    config = at_place(earlier, pair.entity.key, pair.key, place)
    statement = Statement(survey.ctx)
    now = RecordScope(statement, pair.entity, "t")
    then = RecordScope(statement.under(survey.ctx.replace(config=config)), config.entity(pair.entity.key), "t")
    where = [live(pair.entity), f"NOT {empty_sql(then, pair.key)}", empty_sql(now, pair.key)]
    if one.after is not None:
        where.append(f"t.id > {statement.param(UUID(one.after), 'uuid')}")
    seen = f"(array_agg(t.id ORDER BY t.id) FILTER (WHERE {right_sql('read', now)}))[1:{SAMPLES}]"
    [row] = await survey.rows(*statement.finish(f"SELECT count(*), {seen} FROM record t WHERE {' AND '.join(where)}"))
    if not row[0]:
        return []
    total = await survey.total(pair.entity)
    samples = await survey.samples(pair.entity, row[1] or (), None)
    return [Impact("values_waiting", f"{pair.path}.type", pair.entity.key, pair.key, _message(row[0], pair), row[0], looked_at=total, total=total, samples=tuple(samples))]


def _message(count: int, pair: Pair) -> Any:
    return lazy_plural(
        "An earlier change of “%(field)s” was stopped before %(count)s value was taken over. It is taken over first, then changed once more.",
        "An earlier change of “%(field)s” was stopped before %(count)s values were taken over. They are taken over first, then changed once more.",
        count, field=pair.name,
    )  # fmt: skip
