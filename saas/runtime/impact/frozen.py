"""Records that nobody can edit or delete any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from saas.i18n import lazy_plural
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.runtime.impact._shared.conditions import question
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Survey
from saas.runtime.permissions import all_of


def _no_edit(count: int) -> Any:
    return lazy_plural("%(count)s record can no longer be edited.", "%(count)s records can no longer be edited.", count)


def _no_delete(count: int) -> Any:
    return lazy_plural("%(count)s record can no longer be deleted.", "%(count)s records can no longer be deleted.", count)


@impact_kinds.register
class Frozen(ImpactKind):
    key = "frozen"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for old, new in survey.entities():
            closed = new.defn.read_only or new.defn.append_only
            if closed and not (old.defn.read_only or old.defn.append_only):
                yield Check(
                    code="frozen", path=f"entities[{new.key}].{'read_only' if new.defn.read_only else 'append_only'}", entity=new.key,
                    message=_no_edit, where=lambda lens, was=old.defn.editable_if: lens.holds(was, before=True) if was else "true",
                )  # fmt: skip
            elif not closed:
                yield from _check(survey, "frozen", "editable_if", old, new, _no_edit)
                yield from _check(survey, "undeletable", "deletable_if", old, new, _no_delete)


def _check(survey: Survey, code: str, name: str, old: Entity, new: Entity, message: Callable[[int], Any]) -> Iterator[Check]:
    was, now = getattr(old.defn, name), getattr(new.defn, name)
    if not now or (was == now and not survey.means_another(new.key, ex.parse(now), ex.parse(now))):
        return
    asked = question(survey, new.key, (now,))

    def open_before(lens: Lens) -> str:
        return lens.holds(was, before=True) if was else "true"

    def closes(lens: Lens) -> str:
        return all_of(lens.fails(now), open_before(lens))

    async def is_closed(seen: Any) -> bool:
        return not await seen.holds(now)

    found = {"where": open_before, "judge": is_closed, "reads": asked.reads} if asked.judged else {"where": closes}
    yield Check(code=code, path=f"entities[{new.key}].{name}", entity=new.key, message=message, exact=asked.exact, **found)
