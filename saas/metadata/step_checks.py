"""Whether the steps of an automation fit a configuration: asked of steps that were written under another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from saas.metadata.check import Check
from saas.metadata.config import Config
from saas.metadata.expression_checks import check_expressions
from saas.metadata.kinds import action_types
from saas.metadata.models import ActionDef, AutomationDef
from saas.metadata.problems import Problems
from saas.metadata.references import check_automation


def check_steps(config: Config, automation: AutomationDef, steps: Sequence[ActionDef]) -> list[Any]:
    """What is wrong with them; empty when they fit."""
    if any(not _known(step) for step in steps):
        return ["unknown"]
    alone = replace(config.bundle, automations=(replace(automation, do=tuple(steps)),), entities=(), pipelines=(), roles=(), reports=(), dashboards=(), views=(), schedules=(), examples=())
    problems = Problems()
    check = Check(alone, config, problems)
    check_automation(check, alone.automations[0])
    check_expressions(check)
    return problems.list


def _known(step: ActionDef) -> bool:
    return step.action in action_types and all(_known(inner) for _, steps in step.inside for inner in steps)
