"""Stages and pipelines that go while records stand in them, and pipelines that records enter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata import models as m
from saas.metadata.config import Entity
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Survey
from saas.runtime.impact.options import replacements


@impact_kinds.register
class Stages(ImpactKind):
    """A record in a stage that does not exist stands on no board and cannot move: publishing waits until it is said where they go."""

    key = "stages"
    may_stop = True

    def checks(self, survey: Survey) -> Iterator[Check]:
        for old, new in survey.entities():
            if new.pipeline is None:
                if old.pipeline is not None and survey.is_gone(f"pipelines[{old.pipeline.key}]"):
                    yield _leaves(old, old.pipeline)
            elif old.pipeline is None or (old.pipeline.key, old.pipeline.field) != (new.pipeline.key, new.pipeline.field):
                yield _enters(new, new.pipeline)
            else:
                for stage in old.pipeline.stages:
                    if new.pipeline.stage(stage.key) is None and survey.is_gone(f"pipelines[{new.pipeline.key}].stages[{stage.key}]"):
                        yield _removed(survey, new, new.pipeline, stage)


def _enters(entity: Entity, pipeline: m.PipelineDef) -> Check:
    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record enters “%(pipeline)s” in the stage “%(stage)s”, or in the one its value names.",
            "%(count)s records enter “%(pipeline)s” in the stage “%(stage)s”, or in the one their values name.",
            count, stage=LazyLabel(pipeline.stages[0].label), pipeline=LazyLabel(pipeline.label),
        )  # fmt: skip

    def outside(lens: Lens) -> str:
        return f"t.state IS NULL OR t.state <> ALL({lens.statement.param([s.key for s in pipeline.stages], 'text[]')})"

    return Check(code="pipeline_new", path=f"pipelines[{pipeline.key}]", entity=entity.key, field=pipeline.field, message=message, where=outside, severity="info")


def _leaves(entity: Entity, pipeline: m.PipelineDef) -> Check:
    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record no longer has a stage, because “%(pipeline)s” is removed.", "%(count)s records no longer have a stage, because “%(pipeline)s” is removed.",
            count, pipeline=LazyLabel(pipeline.label),
        )  # fmt: skip

    return Check(
        code="pipeline_removed", path=f"pipelines[{pipeline.key}]", entity=entity.key, field=pipeline.field, message=message,
        where=lambda lens: "t.state IS NOT NULL", show=pipeline.field,
    )  # fmt: skip


def _removed(survey: Survey, entity: Entity, pipeline: m.PipelineDef, stage: m.StageDef) -> Check:
    name = LazyLabel(stage.label)
    step = next((s for s in survey.steps("replace", entity.key, pipeline.field) if s.get("from") == stage.key and s.get("to")), None)

    def stranded(count: int) -> Any:
        return lazy_plural(
            "%(count)s record stands in the stage “%(stage)s”, which is removed. Say where it moves.",
            "%(count)s records stand in the stage “%(stage)s”, which is removed. Say where they move.",
            count, stage=name,
        )  # fmt: skip

    def moved(count: int) -> Any:
        return lazy_plural(
            "%(count)s record moves out of the stage “%(stage)s”, which is removed.", "%(count)s records move out of the stage “%(stage)s”, which is removed.", count, stage=name
        )

    return Check(
        code="stage_replaced" if step else "stage_removed", path=f"pipelines[{pipeline.key}].stages[{stage.key}]", entity=entity.key, field=pipeline.field,
        message=moved if step else stranded, where=lambda lens: f"t.state = {lens.statement.param(stage.key, 'text')}", severity="info" if step else "stop",
        remedies=() if step else tuple(replacements(entity.key, pipeline.field, stage.key, tuple(s.key for s in pipeline.stages))),
    )  # fmt: skip
