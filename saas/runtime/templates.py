"""Texts that tenants write with {{ field }} in them. MiniJinja with fuel: a hostile template can neither reach Python nor run long."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import minijinja

from saas.metadata.config import Entity
from saas.runtime.acts import ActionRun
from saas.runtime.env import RecordEnv
from saas.runtime.present import display_text, names_for
from saas.runtime.rows import Row

FUEL = 20_000
MAX_LENGTH = 4000


@functools.cache
def _environment() -> minijinja.Environment:
    environment = minijinja.Environment()
    environment.fuel = FUEL
    environment.auto_escape_callback = lambda _: False  # texts, not HTML; pages escape them when shown
    return environment


async def render(run: ActionRun, template: str, locale: str, extra: Mapping[str, Any] | None = None) -> str:
    """The text with displayed values, and what `extra` names, filled in. A template that fails gives itself, so that no record change is lost over a typo."""
    if "{" not in template:
        return template
    values = await _shown(run, run.entity, run.row, locale, template)
    values["result"] = {
        alias: await _shown(run, made.entity, made.row, locale, template)
        for alias, made in run.results.items()
        if isinstance(made, RecordEnv) and alias in template
    }
    values["me"] = run.ctx.user.name if run.ctx.user else ""
    values["today"] = run.ctx.today.isoformat()
    values.update(extra or {})
    try:
        return _environment().render_str(template, **values)[:MAX_LENGTH]
    except minijinja.TemplateError:
        return template[:MAX_LENGTH]


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The text with values that are known already. One that fails gives itself."""
    try:
        return _environment().render_str(template, **values) if "{" in template else template
    except minijinja.TemplateError:
        return template


async def _shown(run: ActionRun, entity: Entity, row: Row, locale: str, template: str) -> dict[str, Any]:
    """Displayed texts of the fields that the template can mean: those whose key stands in it."""
    ctx = run.ctx.replace(locale=locale)
    pairs = [(field, row.get(field.key)) for field in entity.fields.values() if field.key in template]
    names = await names_for(run.act.conn, ctx, pairs)
    return {field.key: display_text(ctx, entity, field, value, names) for field, value in pairs}
