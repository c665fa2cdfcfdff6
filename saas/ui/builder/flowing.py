"""The flow of an automation as a drawing: what sets it off on top, its steps below each other, the ways of a branch side by side. Each
step leads to its form further down; between steps stands a button that puts a new one there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saas.i18n import gettext as _
from saas.metadata.kinds import action_types
from saas.ui.builder.actions import INSIDE, action_detail, inner_entity, results_of, step_types
from saas.ui.builder.conditions import in_words
from saas.ui.builder.desk import Desk
from saas.ui.views import Choice


def flow_of(desk: Desk, name: str, entity: str, steps: Any, errors: Mapping[str, str], *, before_save: bool, may_wait: bool, path: str = "", outer: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A list of steps: {"name" of its editor, "nodes", "kinds" that can be put into it}. `outer`: what the steps before it made."""
    found = [s for s in steps if isinstance(s, Mapping)] if isinstance(steps, Sequence) and not isinstance(steps, str) else []
    kinds = [Choice(k.key, str(k.label)) for k in step_types(before_save=before_save, may_wait=may_wait)]
    path = path or name
    return {
        "name": name, "kinds": [(kind, action_types.get(kind.key).icon) for kind in kinds],
        "nodes": [_node(desk, f"{name}.{number}", f"{path}[{number}]", entity, step, errors, before_save, may_wait, results_of(desk, entity, found[:number], outer)) for number, step in enumerate(found)],
    }  # fmt: skip


def _node(desk: Desk, name: str, path: str, entity: str, step: Mapping[str, Any], errors: Mapping[str, str], before_save: bool, may_wait: bool, results: Mapping[str, str]) -> dict[str, Any]:
    kind, here = action_types.find(str(step.get("action"))), desk.config.entities.get(entity)
    inner = inner_entity(desk, entity, step)
    nests = kind.nests if kind is not None else ()
    ways = [
        {
            "label": str(INSIDE[part]),
            **flow_of(desk, f"{name}.{part}", inner, step.get(part) or (), errors, before_save=before_save, may_wait=may_wait and part != "do", path=f"{path}.{part}", outer=results),
        }
        for part in nests
    ]
    own = [text for at, text in errors.items() if at.startswith(path) and not any(at.startswith(f"{path}.{part}[") for part in nests)]
    condition = in_words(desk.ctx, here, str(step["if"])) if step.get("if") and "then" not in nests else ""
    retry = step.get("retry") if isinstance(step.get("retry"), Mapping) else None
    return {
        "name": name, "icon": kind.icon if kind else "alert", "title": str(kind.label) if kind else str(step.get("action")), "detail": action_detail(desk, here, step, results),
        "condition": _("if %(condition)s", condition=condition) if condition else "", "error": own[0] if own else "", "ways": ways, "is_loop": "do" in nests,
        "retry": _("tries again %(count)s times", count=retry.get("times")) if retry else "",
    }  # fmt: skip


__all__ = ["flow_of"]
