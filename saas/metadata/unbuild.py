"""Models back to JSON: what a bundle would be written as. Defaults are left out, so build_bundle() makes the same models of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from saas.metadata import models as m
from saas.metadata.kinds import field_types, widget_types
from saas.metadata.shape import option_defaults

Raw = dict[str, Any]

# Names that mean something else in Python.
_NAMES: Mapping[type, Mapping[str, str]] = {
    m.StageDef: {"condition": "if"},
    m.TransitionDef: {"sources": "from"},
    m.BranchDef: {"condition": "if"},
    m.ActionDef: {"condition": "if", "alias": "as", "otherwise": "else"},
    m.WebhookDef: {"condition": "if"},
    m.AutomationDef: {"condition": "if"},
    m.TriggerDef: {"source": "from", "transition": "key"},
    m.ScopeRule: {"condition": "if"},
    m.FieldRight: {"condition": "if"},
    m.EntityRights: {"import_": "import"},
    m.ExampleDef: {"role": "as"},
    m.ExampleDecision: {"role": "as"},
    m.ApprovalStartDef: {"condition": "if"},
    m.ApprovalStepDef: {"condition": "if"},
    m.ApprovalWayDef: {"condition": "if"},
}
# What must be written even where it says what is assumed anyway.
_KEPT: Mapping[type, Iterable[str]] = {m.DuplicateDef: ("action",), m.SettingDef: ("default",), m.OptionSetDef: ("options",)}


def bundle_to_raw(bundle: m.Bundle) -> Raw:
    """The JSON of a bundle. A dashboard's widget that is the same as a report's is written as a reference to it."""
    raw = {"format": 1, **_plain(bundle)}
    raw.setdefault("entities", [])
    raw.setdefault("roles", [])
    raw["dashboards"] = [_dashboard(d, bundle.reports) for d in bundle.dashboards]
    return raw


def definition_to_raw(value: Any) -> Raw:
    """The JSON of one definition."""
    return _write(value)


def steps_to_raw(steps: Iterable[m.ActionDef]) -> list[Raw]:
    """The JSON of steps."""
    return [_write(step) for step in steps]


def _write(value: Any) -> Any:
    if isinstance(value, m.FieldDef):
        return _typed(value, field_types.find(value.type), {"system"})
    if isinstance(value, m.WidgetDef):
        return _typed(value, widget_types.find(value.type), set())
    if isinstance(value, (m.ActionDef, m.TriggerDef)):
        return {**_plain(value, {"options"}), **_write(value.options)}
    special = _SPECIAL.get(type(value))
    if special is not None:
        return special(value)
    if dataclasses.is_dataclass(value):
        return _plain(value)
    if isinstance(value, Mapping):
        return {k: _write(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_write(v) for v in value]
    return value


def _plain(value: Any, without: Iterable[str] = ()) -> Raw:
    """The attributes that are not what they are anyway."""
    names, kept = _NAMES.get(type(value), {}), _KEPT.get(type(value), ())
    found = {}
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if field.name not in without and (own != default or field.name in kept):
            found[names.get(field.name, field.name)] = _write(own)
    return found


def _typed(value: Any, kind: Any, without: set[str]) -> Raw:
    needed = kind.options_schema.get("required", ()) if kind is not None else ()
    defaults = {k: v for k, v in option_defaults(kind) if k not in needed} if kind is not None else {}
    options = {k: _write(v) for k, v in value.options.items() if k not in defaults or v != defaults[k]}
    return {**_plain(value, {"options", *without}), **options}


# ---- what is written otherwise than it is kept --------------------------------------------------------------------------


def _entity(value: m.EntityDef) -> Raw:
    """A rule over one field under that field's key is the field's own `unique`."""
    fields = {f.key: f for f in value.fields}
    own = {u.key for u in value.unique if u.fields == (u.key,) and u.key in fields and u.when is None and u.message == fields[u.key].message}
    raw = _plain(value, {"unique", "timeline", "fields"})
    raw["fields"] = [{**_write(f), "unique": True} if f.key in own else _write(f) for f in value.fields if not f.made]
    if rules := [_write(u) for u in value.unique if u.key not in own]:
        raw["unique"] = rules
    if value.timeline:
        raw["timeline"] = {"sources": _write(value.timeline)}
    return raw


def _rights(value: m.EntityRights) -> Raw:
    raw = _plain(value, {"create", "create_if"})
    if value.create or value.create_if:
        raw["create"] = {"if": value.create_if} if value.create_if else True
    return raw


def _schedule(value: m.ScheduleDef) -> Raw:
    return {**_plain(value, {"cron"}), "every": {"cron": value.cron}}


def _example(value: m.ExampleDef) -> Raw:
    raw = _plain(value, {"act", "values", "transition"})
    given: Any = _write(value.values)
    if value.act == "transition":
        return {**raw, "when": {"transition": value.transition, **({"values": given} if given else {})}}
    return {**raw, "when": {value.act: given if value.act in ("create", "update") else True}}


def _dashboard(value: m.DashboardDef, reports: Sequence[m.ReportDef]) -> Raw:
    return {"key": value.key, "label": value.label, "widgets": [_reference(w, reports) or _write(w) for w in value.widgets]}


def _reference(widget: m.WidgetDef, reports: Sequence[m.ReportDef]) -> Raw | None:
    for report in reports:
        for other in report.widgets:
            if other.key == widget.key and dataclasses.replace(other, label=widget.label, width=widget.width) == widget:
                label = {} if widget.label == other.label else {"label": widget.label}
                return {"report": report.key, "widget": widget.key, **label, **({} if widget.width == other.width else {"width": widget.width})}
    return None


_SPECIAL = {m.EntityDef: _entity, m.EntityRights: _rights, m.ScheduleDef: _schedule, m.ExampleDef: _example}
