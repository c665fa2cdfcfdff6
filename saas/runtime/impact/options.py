"""Choices that are no longer offered while records hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata import models as m
from saas.runtime.backfill.model import Shift, Step
from saas.runtime.backfill.steps.undo import Undo
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Pair, Survey
from saas.runtime.permissions import all_of

CHOICES = ("set", "options")


@impact_kinds.register
class Options(ImpactKind):
    key = "options"

    def checks(self, survey: Survey) -> Iterator[Check]:
        undone = {(s.entity, s.field): s for s in Undo().derive(Shift(survey.before, survey.after, survey.data))}
        for pair in survey.fields():
            if not _has_choices(pair) or pair.old.type != pair.new.type:
                continue
            old, new = ({o.key: o for o in c.field_options(f)} for c, f in ((survey.before, pair.old), (survey.after, pair.new)))
            if not new and pair.old.options.get("set") and not pair.new.options.get("set"):
                continue  # free from now on
            for key, option in old.items():
                if key not in new:
                    undo = undone.get((pair.entity.key, pair.key))
                    yield _removed(survey, pair, option, tuple(new), undo)
                    if undo is not None and key in undo.options["lost"]:
                        yield _restored(pair, option, undo, tuple(new))
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


def _gets_back(pair: Pair, undo: Step, left: tuple[str, ...]) -> Any:
    """Records in which the configuration itself put what they hold in the place of choices that are there again (see the step "undo")."""

    def where(lens: Lens) -> str:
        param = lens.statement.param
        sql, kind = lens.before.path((pair.key,))
        entity, key, known = param(pair.entity.number, "int"), param(pair.key, "text"), param(list(left), "text[]")
        ever = (
            "EXISTS (SELECT 1 FROM job j CROSS JOIN jsonb_array_elements(j.payload -> 'steps') s WHERE j.kind = 'backfill' AND s ->> 'kind' = 'replace' "
            f"AND s -> 'number' = to_jsonb({entity}) AND s ->> 'field' = {key} AND s -> 'options' ->> 'from' = ANY({param(list(undo.options['back']), 'text[]')}))"
        )
        held = "CASE jsonb_typeof(e.pair -> 0) WHEN 'array' THEN e.pair -> 0 ELSE jsonb_build_array(e.pair -> 0) END"
        last = (
            f"SELECT v.origin, v.changes -> {key} AS pair FROM record_event v WHERE v.entity_id = {entity} AND v.record_id = t.id AND v.changes ? {key} "
            "ORDER BY v.version DESC, v.at DESC LIMIT 1"
        )
        is_back = (
            f"EXISTS (SELECT 1 FROM ({last}) e WHERE e.origin = 'configuration' AND e.pair -> 1 = {sql if kind == 'list' else f'to_jsonb({sql})'} "
            f"AND jsonb_typeof(e.pair -> 0) IN ('string', 'array') AND e.pair -> 0 <> '[]' AND {held} <@ to_jsonb({known}))"
        )
        return f"({ever} AND {is_back})"

    return where


def _path(pair: Pair, option: str) -> str:
    if pair.old.options.get("set"):
        return f"option_sets[{pair.old.options['set']}].options[{option}]"
    return f"{pair.path}.options[{option}]"


def _restored(pair: Pair, option: m.OptionDef, undo: Step, left: tuple[str, ...]) -> Check:
    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record gets back in “%(field)s” what “%(option)s” had replaced.", "%(count)s records get back in “%(field)s” what “%(option)s” had replaced.",
            count, option=LazyLabel(option.label or option.key), field=pair.name,
        )  # fmt: skip

    holds, back = _holds(pair, option.key), _gets_back(pair, undo, left)
    return Check(
        code="option_restored", path=_path(pair, option.key), entity=pair.entity.key, field=pair.key, message=message, where=lambda lens: all_of(holds(lens), back(lens)),
        severity="info", show=pair.key,
    )  # fmt: skip


def _removed(survey: Survey, pair: Pair, option: m.OptionDef, left: tuple[str, ...], undo: Step | None = None) -> Check:
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

    holds = _holds(pair, option.key)
    back = _gets_back(pair, undo, left) if undo is not None and option.key in undo.options["lost"] else None
    return Check(
        code="option_replaced" if step else "option_removed", path=_path(pair, option.key), entity=pair.entity.key, field=pair.key, message=replaced if step else held,
        where=(lambda lens: all_of(holds(lens), f"NOT {back(lens)}")) if back else holds, severity="info" if step else "warn", show=pair.key, remedies=() if step else tuple(replacements(pair.entity.key, pair.key, option.key, left)),
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


