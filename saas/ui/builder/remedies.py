"""What an admin can order for existing records along with a change: the offers of a plan as small forms, and back to data steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import gettext as _
from saas.metadata.config import Config
from saas.metadata.models import FieldDef
from saas.ui.builder.controls import Control, control_kinds
from saas.ui.builder.desk import Desk
from saas.ui.render import markup
from saas.ui.views import Choice


async def remedy_view(desk: Desk, step: Mapping[str, Any], number: str) -> dict[str, Any] | None:
    """A form for an offered step: its template as JSON, what it asks for, and the words of its button."""
    control = _control(desk, step, f"answer-{number}")
    if control is None:
        return None
    kind = control_kinds.get(control.kind)
    value = step.get("value") if step["do"] == "fill" and "value" in step else step.get("expr") if step["do"] == "fill" else step.get("to")
    inner = markup(
        f"builder/controls/{kind.key}.html", c=control, value=value, error="", id=f"c-{control.name}", locales=[], locale=desk.locale, **await kind.view(desk, control, value)
    )
    return {"step": json.dumps(step, ensure_ascii=False), "name": control.name, "title": control.title, "control": inner, "folded": control.kind == "expression"}


def _control(desk: Desk, step: Mapping[str, Any], name: str) -> Control | None:
    field = _field(desk, step)
    match step["do"]:
        case "fill" if field is not None and "expr" in step:
            return Control(name, "expression", _("Fill them with a formula"), entity=step["entity"], required=True)
        case "fill" if field is not None:
            return Control(name, "value", _("Fill them with"), field=field, entity=step["entity"], required=True)
        case "replace" if field is not None:
            choices = [Choice(o.key, desk.words(o.label, o.key)) for o in desk.config.options(step["entity"], field.key) if o.active and o.key != step.get("from")]
            return Control(name, "choice", _("Replace it by"), choices=tuple(choices), more={"empty": _("nothing")} if field.type != "pipeline" else {}, required=field.type == "pipeline")
        case "role":
            return Control(name, "choice", _("Give these people the role"), choices=tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles), required=True)
    return None


def _field(desk: Desk, step: Mapping[str, Any]) -> FieldDef | None:
    entity = desk.config.entities.get(step.get("entity", ""))
    return entity.fields.get(step.get("field", "")) if entity else None


def read_remedy(desk: Desk, form: FormMultiDict) -> dict[str, Any] | None:
    """The data step of a sent form; None when it says nothing that can be done."""
    try:
        step = json.loads(str(form.get("step") or ""))
    except ValueError:
        return None
    if not isinstance(step, dict) or step.get("do") not in ("fill", "replace", "role"):
        return None
    control = _control(desk, step, str(form.get("answer") or ""))
    if control is None:
        return None
    value = control_kinds.get(control.kind).read(desk, control, form)
    if value is None and (step["do"] != "replace" or control.required):
        return None
    return {**step, "value" if "value" in step else "expr" if step["do"] == "fill" else "to": value}


def step_words(desk: Desk, step: Mapping[str, Any]) -> str:
    """A data step as a sentence."""
    field = _field(desk, step)
    name = desk.words(field.label, field.key) if field else str(step.get("field", ""))
    if step["do"] == "fill":
        return _("Empty “%(field)s” is filled with %(value)s", field=name, value=step.get("expr") or _shown(step.get("value")))
    if step["do"] == "replace":
        options = _named(desk, lambda config: config.options(step["entity"], step["field"]) if _known(config, step) else ())
        gone, kept = options.get(step.get("from"), step.get("from")), options.get(step.get("to"), step.get("to"))
        if step.get("rules"):
            return _("“%(from)s” in “%(field)s” is split by conditions", **{"from": gone, "field": name})
        return _("“%(from)s” in “%(field)s” is replaced by %(to)s", **{"from": gone, "field": name, "to": kept or _("nothing")})
    if step["do"] == "role":
        roles = _named(desk, lambda config: config.bundle.roles)
        return _("People with the role “%(from)s” get “%(to)s”", **{"from": roles.get(step.get("from"), step.get("from")), "to": roles.get(step.get("to"), step.get("to"))})
    return _("Values of “%(field)s” are converted", field=name)


def _named(desk: Desk, read: Callable[[Config], Iterable[Any]]) -> dict[Any, str]:
    """Names by key: those of the draft, and for what it takes away the published ones."""
    return {part.key: desk.words(part.label, part.key) for config in (desk.ask.ctx.config, desk.config) for part in read(config)}


def _known(config: Config, step: Mapping[str, Any]) -> bool:
    entity = config.entities.get(step["entity"])
    return entity is not None and step["field"] in entity.fields


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
