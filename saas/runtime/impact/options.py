"""Choices that are no longer offered while records hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata import models as m
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Pair, Survey

CHOICES = ("set", "options")


@impact_kinds.register
class Options(ImpactKind):
    key = "options"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for pair in survey.fields():
            if not _has_choices(pair) or pair.old.type != pair.new.type:
                continue
            old, new = ({o.key: o for o in c.field_options(f)} for c, f in ((survey.before, pair.old), (survey.after, pair.new)))
            if not new and pair.old.options.get("set") and not pair.new.options.get("set"):
                continue  # free from now on
            for key, option in old.items():
                if key not in new:
                    yield _removed(survey, pair, option, tuple(new))
                elif option.active and not new[key].active:
                    yield _retired(pair, option)


def _has_choices(pair: Pair) -> bool:
    return any(pair.old.options.get(name) for name in CHOICES)


def _holds(pair: Pair, option: str) -> Any:
    """Records holding it, in a field of one choice or of several."""

    def where(lens: Lens) -> str:
        sql, kind = lens.before.path((pair.key,))
        held = lens.statement.param(option, "text")
        return f"({sql} ? {held})" if kind == "list" else f"({sql} = {held})"

    return where


def _path(pair: Pair, option: str) -> str:
    if pair.old.options.get("set"):
        return f"option_sets[{pair.old.options['set']}].options[{option}]"
    return f"{pair.path}.options[{option}]"


def _removed(survey: Survey, pair: Pair, option: m.OptionDef, left: tuple[str, ...]) -> Check:
    name, step = LazyLabel(option.label or option.key), next((s for s in survey.steps("replace", pair.entity.key, pair.key) if s.get("from") == option.key), None)

    def held(count: int) -> Any:
        return lazy_plural(
            "%(count)s record holds “%(option)s” in “%(field)s”, which is no longer a choice. It keeps it until somebody edits it.",
            "%(count)s records hold “%(option)s” in “%(field)s”, which is no longer a choice. They keep it until somebody edits them.",
            count, option=name, field=pair.name,
        )  # fmt: skip

    def replaced(count: int) -> Any:
        return lazy_plural(
            "“%(option)s” is replaced in “%(field)s” of %(count)s record.", "“%(option)s” is replaced in “%(field)s” of %(count)s records.", count, option=name, field=pair.name
        )

    return Check(
        code="option_replaced" if step else "option_removed", path=_path(pair, option.key), entity=pair.entity.key, field=pair.key, message=replaced if step else held,
        where=_holds(pair, option.key), severity="info" if step else "warn", show=pair.key, remedies=() if step else tuple(replacements(pair.entity.key, pair.key, option.key, left)),
    )  # fmt: skip


def replacements(entity: str, field: str, option: str, left: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    """The step with an open choice; with the only choice there is filled in."""
    yield {"do": "replace", "entity": entity, "field": field, "from": option, "rules": [], "to": left[0] if len(left) == 1 else None}


def _retired(pair: Pair, option: m.OptionDef) -> Check:
    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record holds “%(option)s” in “%(field)s”. It keeps it, but it cannot be chosen any more.",
            "%(count)s records hold “%(option)s” in “%(field)s”. They keep it, but it cannot be chosen any more.",
            count, option=LazyLabel(option.label or option.key), field=pair.name,
        )  # fmt: skip

    return Check(
        code="option_retired", path=_path(pair, option.key), entity=pair.entity.key, field=pair.key, message=message, where=_holds(pair, option.key),
        severity="info", show=pair.key,
    )  # fmt: skip


