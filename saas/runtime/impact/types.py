"""Fields whose values are written in another way from now on: another type, another target, another currency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyLabel, lazy, lazy_plural
from saas.metadata.kinds import field_types
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Pair, Survey
from saas.runtime.impact.returning import returned
from saas.runtime.permissions import all_of


@impact_kinds.register
class Types(ImpactKind):
    key = "types"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for pair in survey.fields():
            if survey.is_converted(pair):
                yield from _converted(pair)
            elif pair.old.type != pair.new.type and not field_types.get(pair.old.type).computed:
                yield _covered(pair)


def _path(pair: Pair) -> str:
    return f"{pair.path}.type" if pair.old.type != pair.new.type else pair.path


def _converted(pair: Pair) -> Iterator[Check]:
    old, new = (field_types.get(f.type).label for f in (pair.old, pair.new))
    how = lazy("from %(old)s to %(new)s", old=old, new=new) if pair.old.type != pair.new.type else lazy("with its new settings")

    def lost(count: int) -> Any:
        return lazy_plural(
            "%(count)s value of “%(field)s” cannot be taken over %(how)s and is no longer shown.",
            "%(count)s values of “%(field)s” cannot be taken over %(how)s and are no longer shown.",
            count, field=pair.name, how=how,
        )  # fmt: skip

    def kept(count: int) -> Any:
        return lazy_plural("%(count)s value of “%(field)s” is taken over %(how)s.", "%(count)s values of “%(field)s” are taken over %(how)s.", count, field=pair.name, how=how)

    def is_filled(lens: Lens) -> str:
        return lens.is_filled(pair.key, before=True)

    async def is_lost(seen: Any) -> bool:
        return pair.key in seen.lost

    async def is_kept(seen: Any) -> bool:
        return pair.key not in seen.lost

    common = {"path": _path(pair), "entity": pair.entity.key, "field": pair.key, "where": is_filled, "reads": (pair.key,), "show": pair.key}
    yield Check(code="values_lost", message=lost, judge=is_lost, **common)
    yield Check(code="values_converted", message=kept, judge=is_kept, severity="info", **common)
    yield Check(
        code="values_return", path=_path(pair), entity=pair.entity.key, field=pair.key, message=lambda count: returned(count, pair.new), severity="info",
        where=lambda lens: all_of(lens.is_empty(pair.key, before=True), lens.is_filled(pair.key)),
    )  # fmt: skip


def _covered(pair: Pair) -> Check:
    """Computed from now on, or a stage: what people typed is no longer shown."""

    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s value of “%(field)s” is no longer shown.", "%(count)s values of “%(field)s” are no longer shown.", count, field=LazyLabel(pair.old.label)
        )

    return Check(
        code="values_hidden", path=_path(pair), entity=pair.entity.key, field=pair.key, message=message,
        where=lambda lens: lens.is_filled(pair.key, before=True), show=pair.key,
    )  # fmt: skip
