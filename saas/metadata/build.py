"""Raw JSON of correct shape -> frozen models with defaults filled in. Checks nothing: see parse.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from saas.metadata import models as m
from saas.metadata.kinds import field_types, widget_types
from saas.metadata.shape import common_properties, option_defaults
from saas.metadata.sharing import shared

Raw = Mapping[str, Any]
NONE: Raw = {}


def build_bundle(raw: Raw) -> m.Bundle:
    """The models of a bundle known to be valid. Fast: this runs whenever a configuration is loaded."""
    reports = {r["key"]: r for r in raw.get("reports", ())}
    return m.Bundle(
        pack=_pack(raw["pack"]),
        settings=tuple(_setting(s) for s in raw.get("settings", ())),
        option_sets=tuple(_option_set(s) for s in raw.get("option_sets", ())),
        departments=tuple(_department(d) for d in raw.get("departments", ())),
        entities=tuple(_entity(e) for e in raw["entities"]),
        pipelines=tuple(_pipeline(p) for p in raw.get("pipelines", ())),
        roles=tuple(_role(r) for r in raw["roles"]),
        views=tuple(_view(v) for v in raw.get("views", ())),
        layouts=tuple(_layout(x) for x in raw.get("layouts", ())),
        reports=tuple(_report(r) for r in reports.values()),
        dashboards=tuple(_dashboard(d, {k: reports[k] for k in _reports_of(d) if k in reports}) for d in raw.get("dashboards", ())),
        automations=tuple(_automation(a) for a in raw.get("automations", ())),
        schedules=tuple(_schedule(s) for s in raw.get("schedules", ())),
        examples=tuple(_example(e) for e in raw.get("examples", ())),
    )


def _keys(raw: Raw, name: str) -> tuple[str, ...]:
    value = raw.get(name, ())
    return (value,) if isinstance(value, str) else tuple(map(intern, value))


@shared
def _pack(raw: Raw) -> m.PackInfo:
    return m.PackInfo(raw["key"], raw["version"], raw["label"], raw.get("description", NONE), raw.get("icon", "box"))


@shared
def _department(raw: Raw) -> m.DepartmentDef:
    return m.DepartmentDef(raw["key"], raw["label"], raw.get("parent"))


@shared
def _setting(raw: Raw) -> m.SettingDef:
    return m.SettingDef(raw["key"], raw["label"], raw["type"], raw["default"], raw.get("help", NONE), raw.get("min"), raw.get("max"))


@shared
def _option_set(raw: Raw) -> m.OptionSetDef:
    return m.OptionSetDef(raw["key"], raw["label"], _options(raw["options"]), raw.get("tree", False))


def _options(raw: Sequence[Raw]) -> tuple[m.OptionDef, ...]:
    return tuple(m.OptionDef(o["key"], o["label"], o.get("color", "gray"), o.get("active", True), o.get("parent")) for o in raw)


# ---- entities -----------------------------------------------------------------------------------------------------------


@shared
def _entity(raw: Raw) -> m.EntityDef:
    return m.EntityDef(
        key=intern(raw["key"]),
        label=raw["label"],
        plural=raw["plural"],
        title=intern(raw["title"]),
        fields=tuple(_field(f) for f in raw["fields"]),
        icon=raw.get("icon", "box"),
        subtitle=raw.get("subtitle"),
        owned=raw.get("owned", True),
        owner_label=raw.get("owner_label", NONE),
        owner_roles=_keys(raw, "owner_roles"),
        search=_keys(raw, "search"),
        rules=tuple(m.RuleDef(r["key"], r["expr"], r["message"], r.get("field")) for r in raw.get("rules", ())),
        unique=tuple(_unique(raw)),
        duplicates=tuple(m.DuplicateDef(d["key"], tuple(d["match"]), d["action"], d.get("message", NONE)) for d in raw.get("duplicates", ())),
        read_only=raw.get("read_only", False),
        append_only=raw.get("append_only", False),
        editable_if=raw.get("editable_if"),
        deletable_if=raw.get("deletable_if"),
        assignees=_keys(raw, "assignees"),
        tree={"max_depth": 10, **raw["tree"]} if "tree" in raw else None,
        timeline=tuple(
            m.TimelineSource(s["entity"], s["via"], s.get("at", "created_at"), s.get("kind")) for s in raw.get("timeline", NONE).get("sources", ())
        ),
        messages=raw.get("messages", NONE),
        description=raw.get("description", NONE),
    )


@shared
def _field(raw: Raw) -> m.FieldDef:
    common = common_properties("field")
    options = dict(option_defaults(field_types.get(raw["type"])))
    options.update((intern(k), v) for k, v in raw.items() if k not in common)
    return m.FieldDef(
        key=intern(raw["key"]),
        type=intern(raw["type"]),
        label=raw["label"],
        help=raw.get("help", NONE),
        required=raw.get("required", False),
        required_if=raw.get("required_if"),
        visible_if=raw.get("visible_if"),
        read_only=raw.get("read_only", False),
        read_only_if=raw.get("read_only_if"),
        set_once=raw.get("set_once", False),
        default=raw.get("default"),
        message=raw.get("message", NONE),
        sensitive=raw.get("sensitive", False),
        hidden=raw.get("hidden", False),
        indexed=raw.get("indexed", False),
        options=options,
    )


def _unique(entity: Raw) -> Iterator[m.UniqueDef]:
    for field in entity["fields"]:
        if field.get("unique"):
            yield m.UniqueDef(field["key"], (field["key"],), field.get("message", NONE))
    for rule in entity.get("unique", ()):
        yield m.UniqueDef(rule["key"], tuple(rule["fields"]), rule.get("message", NONE), rule.get("when"))


# ---- pipelines, actions, automations ------------------------------------------------------------------------------------


@shared
def _pipeline(raw: Raw) -> m.PipelineDef:
    return m.PipelineDef(
        key=raw["key"],
        entity=raw["entity"],
        field=raw["field"],
        label=raw["label"],
        stages=tuple(
            m.StageDef(s["key"], s["label"], s.get("color", "gray"), s.get("kind", "open"), s.get("probability"), s.get("age_alert_days"))
            for s in raw["stages"]
        ),
        transitions=tuple(_transition(t) for t in raw.get("transitions", ())),
    )


@shared
def _transition(raw: Raw) -> m.TransitionDef:
    return m.TransitionDef(
        key=raw["key"],
        label=raw["label"],
        sources=tuple(raw["from"]),
        to=raw.get("to"),
        branches=tuple(m.BranchDef(b["to"], b.get("if")) for b in raw.get("branches", ())),
        roles=_keys(raw, "roles"),
        allow_if=raw.get("allow_if"),
        guard=raw.get("guard"),
        guard_message=raw.get("guard_message", NONE),
        require=_keys(raw, "require"),
        ask=_keys(raw, "ask"),
        set=raw.get("set", NONE),
        confirm=raw.get("confirm", NONE),
        done=raw.get("done", NONE),
        style=raw.get("style", "default"),
        effects=_actions(raw.get("effects", ())),
    )


def _actions(raw: Sequence[Raw]) -> tuple[m.ActionDef, ...]:
    common = common_properties("action")
    return tuple(m.ActionDef(a["action"], {k: v for k, v in a.items() if k not in common}, a.get("if"), a.get("as")) for a in raw)


@shared
def _automation(raw: Raw) -> m.AutomationDef:
    on = raw["on"]
    trigger = m.TriggerDef(on["trigger"], _keys(on, "fields"), on.get("from"), on.get("to"), on.get("key"))
    return m.AutomationDef(raw["key"], raw["label"], raw["entity"], trigger, _actions(raw["do"]), raw.get("if"), raw.get("active", True))


@shared
def _schedule(raw: Raw) -> m.ScheduleDef:
    return m.ScheduleDef(
        key=raw["key"],
        label=raw["label"],
        cron=raw["every"]["cron"],
        entity=raw["entity"],
        do=_actions(raw["do"]),
        where=raw.get("where"),
        once_per=raw.get("once_per", "run"),
        active=raw.get("active", True),
    )


@shared
def _example(raw: Raw) -> m.ExampleDef:
    when = raw["when"]
    act = next((name for name in m.EXAMPLE_ACTS if name in when), m.EXAMPLE_ACTS[0])
    values = when.get("values", NONE) if act == "transition" else when[act] if isinstance(when.get(act), Mapping) else NONE
    return m.ExampleDef(
        key=raw["key"],
        label=raw["label"],
        entity=raw["entity"],
        role=raw["as"],
        act=act,
        expect=raw["expect"],
        values=values,
        transition=when.get("transition"),
        given=raw.get("given", NONE),
        records=tuple(m.ExampleRecord(r["key"], r["entity"], r["values"]) for r in raw.get("records", ())),
        state=raw.get("state"),
        message=raw.get("message"),
        then=tuple(raw.get("then", ())),
    )


# ---- roles --------------------------------------------------------------------------------------------------------------


@shared
def _role(raw: Raw) -> m.RoleDef:
    transitions = raw.get("transitions")
    return m.RoleDef(
        key=raw["key"],
        label=raw["label"],
        description=raw.get("description", NONE),
        admin=raw.get("admin", False),
        external=raw.get("external", False),
        entities={k: _rights(v) for k, v in raw.get("entities", NONE).items()},
        transitions=None if transitions is None else {k: _keys(transitions, k) for k in transitions},
        reports=_keys(raw, "reports"),
        dashboards=_keys(raw, "dashboards"),
        settings=_keys(raw, "settings"),
        home=raw.get("home"),
        menu=tuple(m.MenuGroup(g["label"], tuple(g["items"])) for g in raw.get("menu", ())),
    )


@shared
def _rights(raw: Raw) -> m.EntityRights:
    read = scope_rules(raw.get("read"))
    create, export = raw.get("create", False), raw.get("export")
    return m.EntityRights(
        read=read,
        update=scope_rules(raw.get("update")),
        delete=scope_rules(raw.get("delete")),
        export=(read if export else ()) if isinstance(export, bool) else scope_rules(export),
        create=bool(create) or bool(raw.get("import")),  # who imports must be able to create
        create_if=create["if"] if isinstance(create, Mapping) else None,
        import_=raw.get("import", False),
        bulk=raw.get("bulk", False),
        fields={k: _field_right(v) for k, v in raw.get("fields", NONE).items()},
    )


def scope_rules(raw: Any) -> tuple[m.ScopeRule, ...]:
    """The rules of a right as written: a scope, {"scope", "if"}, or a list of these."""
    rules = raw if isinstance(raw, (list, tuple)) else [] if raw is None else [raw]
    found = [m.ScopeRule(r) if isinstance(r, str) else m.ScopeRule(r["scope"], r.get("if")) for r in rules]
    return tuple(r for r in found if r.scope != "none")


def _field_right(raw: Any) -> m.FieldRight:
    if isinstance(raw, str):
        return m.FieldRight(raw)
    return m.FieldRight(raw["access"], raw.get("if"), raw.get("mask", "****{4}"))


# ---- what people see ----------------------------------------------------------------------------------------------------


@shared
def _view(raw: Raw) -> m.ViewDef:
    return m.ViewDef(
        key=raw["key"],
        entity=raw["entity"],
        label=raw["label"],
        kind=raw.get("kind", "list"),
        columns=_keys(raw, "columns"),
        filter=as_filter(raw.get("filter")),
        sort=tuple(raw.get("sort", ())),
        page_size=raw.get("page_size", 50),
        group=raw.get("group"),
        default=raw.get("default", False),
        roles=_keys(raw, "roles"),
        board=raw.get("board"),
    )


def as_filter(raw: Any) -> Any:
    """A bare string is short for {"expr": …}."""
    return {"expr": raw} if isinstance(raw, str) else raw


@shared
def _layout(raw: Raw) -> m.LayoutDef:
    return m.LayoutDef(raw["key"], raw["entity"], tuple(_tab(t) for t in raw["tabs"]), _keys(raw, "header"), _keys(raw, "roles"), raw.get("timeline", True))


def _tab(raw: Raw) -> m.TabDef:
    sections = tuple(
        m.SectionDef(s["key"], tuple(map(intern, s["fields"])), s.get("label", NONE), s.get("columns", 2)) for s in raw.get("sections", ())
    )
    related = tuple(m.RelatedDef(r["key"], _keys(r, "columns")) for r in raw.get("related", ()))
    return m.TabDef(raw["key"], raw["label"], sections, related, raw.get("timeline", False))


@shared
def _report(raw: Raw) -> m.ReportDef:
    params = tuple(m.ParamDef(p["key"], p["field"], p["kind"], p.get("label", NONE)) for p in raw.get("params", ()))
    return m.ReportDef(raw["key"], raw["label"], tuple(_widget(w) for w in raw["widgets"]), raw.get("description", NONE), params)


def _widget(raw: Raw) -> m.WidgetDef:
    common = common_properties("widget")
    kind = widget_types.find(raw["type"])  # one that is gone must not take the tenant's whole configuration along
    options = dict(option_defaults(kind)) if kind else {}
    options.update((k, v) for k, v in raw.items() if k not in common)
    sort = raw.get("sort")
    return m.WidgetDef(
        key=raw["key"],
        label=raw["label"],
        type=raw["type"],
        entity=raw["entity"],
        measures=tuple(m.MeasureDef(x["fn"], x.get("field"), x.get("label", NONE)) for x in raw.get("measures", ())),
        dimensions=tuple(m.DimensionDef(x["field"], x.get("bucket")) for x in raw.get("dimensions", ())),
        filter=as_filter(raw.get("filter")),
        sort=",".join(sort) if isinstance(sort, list) else sort,
        limit=raw.get("limit", 50),
        width=raw.get("width", 6),
        help=raw.get("help", NONE),
        options=options,
    )


def _reports_of(dashboard: Raw) -> list[str]:
    return [w["report"] for w in dashboard["widgets"] if "report" in w]


@shared
def _dashboard(raw: Raw, reports: Mapping[str, Raw]) -> m.DashboardDef:
    """`reports`: as written, those it takes widgets from."""
    return m.DashboardDef(raw["key"], raw["label"], tuple(_resolved(raw["widgets"], {k: _report(r) for k, r in reports.items()})))


def _resolved(widgets: Sequence[Raw], reports: Mapping[str, m.ReportDef]) -> Iterator[m.WidgetDef]:
    for raw in widgets:
        if "report" not in raw:
            yield _widget(raw)
            continue
        report = reports.get(raw["report"])
        found = next((w for w in report.widgets if w.key == raw["widget"]), None) if report else None
        if found is not None:
            yield m.WidgetDef(
                **{name: getattr(found, name) for name in m.WidgetDef.__slots__ if name not in ("label", "width")},
                label=raw.get("label", found.label),
                width=raw.get("width", found.width),
            )
