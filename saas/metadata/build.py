"""Raw JSON of correct shape -> frozen models with defaults filled in. Checks nothing: see parse.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from sys import intern
from typing import Any, TypeVar

from saas.metadata import models as m
from saas.metadata.kinds import field_types, widget_types
from saas.metadata.pools import countdown
from saas.metadata.shape import common_properties, option_defaults
from saas.metadata.sharing import shared

Raw = Mapping[str, Any]
T = TypeVar("T")
NONE: Raw = {}


def build_bundle(raw: Raw) -> m.Bundle:
    """The models of a bundle known to be valid. Fast: this runs whenever a configuration is loaded."""
    reports = {r["key"]: r for r in raw.get("reports", ())}
    return m.Bundle(
        pack=_pack(raw["pack"]),
        settings=tuple(_setting(s) for s in raw.get("settings", ())),
        option_sets=tuple(_option_set(s) for s in raw.get("option_sets", ())),
        departments=tuple(_department(d) for d in raw.get("departments", ())),
        entities=tuple(_entity(e, _released_from(raw, e)) for e in raw["entities"]),
        pipelines=tuple(_pipeline(p) for p in raw.get("pipelines", ())),
        roles=tuple(_role(r) for r in raw["roles"]),
        views=tuple(_view(v) for v in raw.get("views", ())),
        layouts=tuple(_layout(x) for x in raw.get("layouts", ())),
        reports=tuple(_report(r) for r in reports.values()),
        dashboards=tuple(_dashboard(d, {k: reports[k] for k in _reports_of(d) if k in reports}) for d in raw.get("dashboards", ())),
        automations=tuple(_automation(a) for a in raw.get("automations", ())),
        schedules=tuple(_schedule(s) for s in raw.get("schedules", ())),
        forms=tuple(_form(x) for x in raw.get("forms", ())),
        pricing=_described(raw, "pricing", m.PricingDef),
        approvals=tuple(approval_of(a) for a in raw.get("approvals", ())),
        templates=tuple(_template(t) for t in raw.get("templates", ())),
        web_forms=tuple(_web_form(f) for f in raw.get("web_forms", ())),
        webhooks=tuple(_webhook(h) for h in raw.get("webhooks", ())),
        inbound_hooks=tuple(_inbound_hook(h) for h in raw.get("inbound_hooks", ())),
        connectors=_described(raw, "connectors", m.ConnectorDef),
        mirrors=_described(raw, "mirrors", m.MirrorDef),
        live_lists=tuple(_live_list(x) for x in raw.get("live_lists", ())),
        calls=_described(raw, "calls", m.CallDef),
        documents=tuple(_document(x) for x in raw.get("documents", ())),
        charts=_described(raw, "charts", m.ChartDef),
        statements=_described(raw, "statements", m.StatementDef),
        ledgers=_described(raw, "ledgers", m.LedgerDef),
        reviews=_described(raw, "reviews", m.ReviewDef),
        examples=tuple(_example(e) for e in raw.get("examples", ())),
    )


def _keys(raw: Raw, name: str) -> tuple[str, ...]:
    value = raw.get(name, ())
    return (value,) if isinstance(value, str) else tuple(map(intern, value))


@shared
def _pack(raw: Raw) -> m.PackInfo:
    return m.PackInfo(raw["key"], raw["version"], raw["label"], raw.get("description", NONE), raw.get("icon", "box"), raw.get("order", 100))


@shared
def _department(raw: Raw) -> m.DepartmentDef:
    return m.DepartmentDef(raw["key"], raw["label"], raw.get("parent"))


@shared
def _setting(raw: Raw) -> m.SettingDef:
    return m.SettingDef(raw["key"], raw["label"], raw["type"], raw["default"], raw.get("help", NONE), raw.get("min"), raw.get("max"))


@shared
def _option_set(raw: Raw) -> m.OptionSetDef:
    return m.OptionSetDef(raw["key"], raw["label"], _options(raw["options"]), raw.get("tree", False), _keys(raw, "edit_roles"))


def _options(raw: Sequence[Raw]) -> tuple[m.OptionDef, ...]:
    return tuple(m.OptionDef(o["key"], o["label"], o.get("color", "gray"), o.get("active", True), o.get("parent")) for o in raw)


# ---- entities -----------------------------------------------------------------------------------------------------------


def _released_from(raw: Raw, entity: Raw) -> dict[str, list[str]]:
    """{pool: [field of the stage, stages]} of pools into which records come by a transition: what stands elsewhere counts no days."""
    wanted = {p["key"]: p["release_transition"] for p in entity.get("pools", ()) if p.get("release_transition") and p.get("recycle_days") is not None}
    found = {}
    for pipeline in raw.get("pipelines", ()) if wanted else ():
        if pipeline["entity"] == entity["key"]:
            stages = {t["key"]: t["from"] for t in pipeline.get("transitions", ())}
            found.update({k: [pipeline["field"], *stages[t]] for k, t in wanted.items() if t in stages and "*" not in stages[t]})
    return found


@shared
def _entity(raw: Raw, released_from: dict[str, list[str]]) -> m.EntityDef:
    pools = tuple(_pool(p) for p in raw.get("pools", ()))
    return m.EntityDef(
        key=intern(raw["key"]),
        label=raw["label"],
        plural=raw["plural"],
        title=intern(raw["title"]),
        fields=(*(_field(f) for f in raw["fields"]), *countdown(pools, released_from, raw.get("countdown_label", NONE))),
        icon=raw.get("icon", "box"),
        subtitle=raw.get("subtitle"),
        owned=raw.get("owned", True),
        owner_label=raw.get("owner_label", NONE),
        owner_roles=_keys(raw, "owner_roles"),
        owner_picker=_keys(raw, "owner_picker"),
        search=_keys(raw, "search"),
        rules=tuple(m.RuleDef(r["key"], r["expr"], r["message"], r.get("field")) for r in raw.get("rules", ())),
        unique=tuple(_unique(raw)),
        duplicates=tuple(_duplicate(d) for d in raw.get("duplicates", ())),
        merge=m.MergeDef(**{"winner": "survivor", "undo_days": 30, **raw.get("merge", NONE)}),
        pools=pools,
        countdown_label=raw.get("countdown_label", NONE),
        sharing=raw.get("sharing", False),
        segment_field=raw.get("segment_field"),
        segment_roles=_keys(raw, "segment_roles"),
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
        form=raw.get("form"),
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


def _pool(raw: Raw) -> m.PoolDef:
    lists = {name: _keys(raw, name) for name in ("see_roles", "claim_roles", "assign_roles", "release_roles", "touch", "touch_lists") if name in raw}
    return m.PoolDef(**{**raw, **lists, **({"warn_days": tuple(raw["warn_days"])} if "warn_days" in raw else {})})


def _unique(entity: Raw) -> Iterator[m.UniqueDef]:
    for field in entity["fields"]:
        if field.get("unique"):
            yield m.UniqueDef(field["key"], (field["key"],), field.get("message", NONE))
    for rule in entity.get("unique", ()):
        yield m.UniqueDef(
            rule["key"], tuple(rule["fields"]), rule.get("message", NONE), rule.get("when"), rule.get("loose", False), rule.get("with_deleted", False)
        )  # fmt: skip


def _duplicate(raw: Raw) -> m.DuplicateDef:
    against = raw.get("against")
    return m.DuplicateDef(
        key=raw["key"],
        match=_keys(raw, "match"),
        action=raw["action"],
        message=raw.get("message", NONE),
        similar=_keys(raw, "similar"),
        names=_keys(raw, "names"),
        threshold=raw.get("threshold", 85),
        where=raw.get("where"),
        on_update=raw.get("on_update"),
        review=raw.get("review"),
        confirm_roles=_keys(raw, "confirm_roles"),
        reason=raw.get("reason", False),
        reveal=_keys(raw, "reveal"),
        across=raw.get("across", True),
        against=m.AgainstDef(against["entity"], _keys(against, "fields"), _keys(against, "reveal"), against.get("where")) if against else None,
    )


# ---- pipelines, actions, automations ------------------------------------------------------------------------------------


@shared
def _pipeline(raw: Raw) -> m.PipelineDef:
    return m.PipelineDef(
        key=raw["key"],
        entity=raw["entity"],
        field=raw["field"],
        label=raw["label"],
        stages=tuple(
            m.StageDef(s["key"], s["label"], s.get("color", "gray"), s.get("kind", "open"), s.get("probability"), s.get("age_alert_days"), s.get("if"))
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
    return tuple(
        m.ActionDef(
            a["action"], {k: v for k, v in a.items() if k not in common}, a.get("if"), a.get("as"),
            _actions(a.get("then", ())), _actions(a.get("else", ())), _actions(a.get("do", ())), a.get("retry"),
        )
        for a in raw
    )  # fmt: skip


def build_steps(raw: Sequence[Raw]) -> tuple[m.ActionDef, ...]:
    """Steps from their JSON, which was checked before."""
    return _actions(raw)


_TRIGGER = frozenset(("trigger", "fields", "from", "to", "key"))


@shared
def _automation(raw: Raw) -> m.AutomationDef:
    on = raw["on"]
    own = {k: v for k, v in on.items() if k not in _TRIGGER}
    trigger = m.TriggerDef(on["trigger"], _keys(on, "fields"), on.get("from"), on.get("to"), on.get("key"), own)
    return m.AutomationDef(raw["key"], raw["label"], raw["entity"], trigger, _actions(raw["do"]), raw.get("if"), raw.get("active", True), raw.get("stop", False), raw.get("on_error", "undo"), raw.get("overlap", "each"))


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


def _plain(kind: type, raw: Raw) -> Any:
    """A definition whose properties are called in the model what they are called in the bundle."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()})


def _described(raw: Raw, section: str, kind: type[T]) -> tuple[T, ...]:
    """All of a section whose properties are called alike."""
    return tuple(_of_kind(kind.__name__, x) for x in raw.get(section, ()))


@shared
def _of_kind(name: str, raw: Raw) -> Any:
    return _plain(getattr(m, name), raw)


@shared
def _form(raw: Raw) -> m.FormDef:
    return _plain(m.FormDef, {**raw, "parts": [_plain(m.FormPartDef, p) for p in raw.get("parts", ())]})


@shared
def _document(raw: Raw) -> m.DocumentDef:
    return _plain(m.DocumentDef, {**raw, "parts": [_plain(m.DocumentPartDef, p) for p in raw.get("parts", ())]})


@shared
def approval_of(raw: Raw) -> m.ApprovalDef:
    """One approval as written; a running one keeps its own."""
    start, people, outcome = raw.get("start", NONE), raw.get("people", NONE), raw.get("outcome", NONE)
    return m.ApprovalDef(
        key=raw["key"],
        label=raw["label"],
        entity=raw["entity"],
        description=raw.get("description", NONE),
        active=raw.get("active", True),
        model=raw.get("model", "fixed"),
        start=m.ApprovalStartDef(start.get("button", True), _keys(start, "roles"), start.get("if"), _keys(start, "transitions"), _keys(start, "guards")),
        steps=_approval_steps(raw),
        ways=tuple(m.ApprovalWayDef(w["key"], w["label"], _approval_steps(w), w.get("description", NONE), w.get("if")) for w in raw.get("ways", ())),
        people=m.ApprovalPeopleDef(_keys(people, "roles"), people.get("least", 1), people.get("most", 5)),
        open_fields=_keys(raw, "open_fields"),
        shown=_keys(raw, "shown"),
        outcome=m.ApprovalOutcomeDef(outcome.get("approved"), outcome.get("rejected"), outcome.get("withdrawn"), outcome.get("returned")),
        may=_keys(raw, "may") if "may" in raw else m.APPROVER_ACTS,
    )


def _approval_steps(raw: Raw) -> tuple[m.ApprovalStepDef, ...]:
    return tuple(
        m.ApprovalStepDef(
            s["key"], s["label"],
            tuple(
                m.ApproverDef(a["by"], a.get("level", 1), a.get("role"), a.get("department"), a.get("field"), a.get("person"), a.get("each", False))
                for a in s["approvers"]
            ),
            s.get("if"), s.get("mode", "all"), s.get("count"), s.get("if_nobody", "refuse"), s.get("fallback"), s.get("if_applicant", "superior"),
            s.get("due_hours"), s.get("remind_hours", 0),
        )
        for s in raw.get("steps", ())
    )  # fmt: skip


@shared
def _template(raw: Raw) -> m.TemplateDef:
    return m.TemplateDef(
        key=raw["key"], label=raw["label"], entity=raw["entity"], channels=_keys(raw, "channels"), body=raw["body"], to=tuple(raw.get("to", ())), subject=raw.get("subject", NONE),
        language=raw.get("language"), essential=raw.get("essential", False),
    )  # fmt: skip


@shared
def _web_form(raw: Raw) -> m.WebFormDef:
    return m.WebFormDef(
        key=raw["key"], label=raw["label"], entity=raw["entity"], fields=_keys(raw, "fields"), required=_keys(raw, "required"), values=raw.get("values", NONE), match=_keys(raw, "match"),
        on_match=raw.get("on_match", "fill"), owner_role=raw.get("owner_role"), intro=raw.get("intro", NONE), button=raw.get("button", NONE), thanks=raw.get("thanks", NONE),
        answers_to=raw.get("answers_to"), days=raw.get("days", 30), redirect=raw.get("redirect"), embed_on=tuple(raw.get("embed_on", ())), question=raw.get("question", False), per_hour=raw.get("per_hour", 200), active=raw.get("active", True),
    )  # fmt: skip


@shared
def _webhook(raw: Raw) -> m.WebhookDef:
    return m.WebhookDef(raw["key"], raw["label"], raw["entity"], _keys(raw, "events"), raw.get("if"), _keys(raw, "fields"), raw.get("active", True))


@shared
def _inbound_hook(raw: Raw) -> m.InboundHookDef:
    return m.InboundHookDef(
        key=raw["key"], label=raw["label"], entity=raw["entity"], map=raw["map"], values=raw.get("values", NONE), match=_keys(raw, "match"), on_match=raw.get("on_match", "update"), once=raw.get("once"),
        signed=raw.get("signed", False), active=raw.get("active", True), lookup=raw.get("lookup", NONE),
    )  # fmt: skip


@shared
def _live_list(raw: Raw) -> m.LiveListDef:
    return _plain(m.LiveListDef, {**raw, "columns": [_plain(m.LiveColumnDef, c) for c in raw["columns"]]})


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
        decisions=tuple(m.ExampleDecision(d["as"], d["act"]) for d in raw.get("decisions", ())),
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
        external=raw.get("external", "portal" in raw),
        portal=_portal(raw["portal"]) if raw.get("portal") else None,
        notice=m.NoticeDef(raw["notice"]["entity"], raw["notice"]["text"], as_filter(raw["notice"].get("where"))) if raw.get("notice") else None,
        entities={k: _rights(v) for k, v in raw.get("entities", NONE).items()},
        transitions=None if transitions is None else {k: _keys(transitions, k) for k in transitions},
        reports=_keys(raw, "reports"),
        dashboards=_keys(raw, "dashboards"),
        settings=_keys(raw, "settings"),
        home=raw.get("home"),
        menu=tuple(m.MenuGroup(g["label"], tuple(g["items"])) for g in raw.get("menu", ())),
        tiles=raw.get("tiles", False),
        verification=raw.get("verification", False),
    )


def _portal(raw: Raw) -> m.PortalDef:
    return m.PortalDef(
        raw["entity"], raw["link"], raw.get("email"), raw.get("login"), raw.get("open_if"), raw.get("closed", NONE), tuple(raw.get("makers", ())), raw.get("register"),
    )  # fmt: skip


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
        merge=raw.get("merge", False),
        purge=raw.get("purge", False),
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
        panel=raw.get("panel", False),
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
