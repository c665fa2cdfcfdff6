"""What the read-only settings pages show of a configuration: tables of definitions and details of entities, pipelines, roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from saas.i18n import LazyString, lazy, listed, ngettext, pick, sentences, titled
from saas.i18n import gettext as _
from saas.metadata.config import Entity
from saas.metadata.kinds import action_types, trigger_types
from saas.metadata.models import ActionDef, EntityRights, FieldDef, RoleDef, ScopeRule, TriggerDef
from saas.runtime import Context, permissions
from saas.runtime.jobs import job_kinds
from saas.ui import formats
from saas.ui.render import SCOPES
from saas.ui.views import Link, NavGroup

Table = dict[str, Any]


# (group, [(address below /settings, name, icon, the right it needs)])
PAGES: Sequence[tuple[LazyString, Sequence[tuple[str, LazyString, str, str]]]] = (
    (lazy("Workspace"), (("brand", lazy("Brand"), "palette", "brand"), ("packs", lazy("Packs"), "package-import", "config"))),
    (
        lazy("Data"),
        (
            ("entities", lazy("Entities"), "database", "config"), ("relations", lazy("Relations"), "relations", "config"), ("option-sets", lazy("Option lists"), "tags", "config"),
            ("numbering", lazy("Numbering"), "numbering", "config"), ("values", lazy("Values"), "adjustments", "config"), ("labels", lazy("Labels"), "language", "config"),
        ),
    ),
    (
        lazy("Screens"),
        (
            ("views", lazy("Views"), "list-details", "config"), ("layouts", lazy("Layouts"), "layout", "config"), ("menus", lazy("Menus"), "menu", "config"),
            ("reports", lazy("Reports"), "reports", "config"), ("dashboards", lazy("Dashboards"), "dashboard", "config"),
        ),
    ),
    (
        lazy("Behaviour"),
        (
            ("pipelines", lazy("Pipelines"), "pipeline", "config"), ("automations", lazy("Automations"), "bolt", "config"), ("schedules", lazy("Schedules"), "calendar-time", "config"),
            ("examples", lazy("Examples"), "flask", "config"),
        ),
    ),
    (lazy("People"), (("users", lazy("People"), "users", "users"), ("roles", lazy("Roles"), "shield", "config"), ("simulator", lazy("Access simulator"), "simulate", "config"))),
    (
        lazy("Changes"),
        (
            ("draft", lazy("Draft"), "pencil", "config"), ("revisions", lazy("Revisions"), "history", "config"), ("data-changes", lazy("Changes to records"), "replace", "config"),
            ("removed", lazy("Removed"), "archive", "config"),
        ),
    ),
    (lazy("Watch"), (("audit", lazy("Audit log"), "eye", "audit"), ("jobs", lazy("Jobs"), "server", "jobs"))),
)  # fmt: skip


def parts_without(right: str) -> list[str]:
    """Addresses below /settings of the pages that need another right than this one."""
    return [part for _group, pages in PAGES for part, _name, _icon, needed in pages if needed != right]


def navigation(ctx: Context, current: str) -> tuple[NavGroup, ...]:
    """Groups of settings pages the person may open."""
    groups = []
    for title, pages in PAGES:
        links = tuple(Link(str(name), f"/settings/{part}", icon, part == current) for part, name, icon, right in pages if permissions.may_configure(ctx, right))
        if links:
            groups.append(NavGroup(str(title), links))
    return tuple(groups)


def _cell(text: Any, *, url: str = "", css: str = "", color: str = "") -> dict[str, Any]:
    return {"text": "" if text is None else str(text), "url": url, "css": css, "color": color}


def _table(title: str, lead: str, icon: str, columns: Iterable[str], rows: Iterable[list[dict[str, Any]]]) -> Table:
    return {"title": title, "lead": lead, "symbol": icon, "columns": list(columns), "rows": list(rows)}


def _yes(value: Any) -> dict[str, Any]:
    return _cell(_("Yes") if value else "")


def pipelines(ctx: Context) -> Table:
    rows = [
        [_cell(pick(p.label), url=f"/settings/pipelines/{p.key}"), _cell(pick(ctx.config.entity(p.entity).defn.plural)), _cell(len(p.stages), css="num"), _cell(" → ".join(pick(s.label) for s in p.stages))]
        for p in ctx.config.bundle.pipelines
    ]  # fmt: skip
    return _table(_("Pipelines"), _("The stages records move through, and who may move them."), "pipeline", [_("Name"), _("Entity"), _("Stages"), _("Path")], rows)


def roles(ctx: Context) -> Table:
    rows = [[_cell(pick(r.label), url=f"/settings/roles/{r.key}"), _cell(r.key, css="expr"), _yes(r.admin), _cell(pick(r.description))] for r in ctx.config.bundle.roles]
    return _table(_("Roles"), _("What people may see and do."), "shield", [_("Name"), _("Key"), _("Administrator"), _("Description")], rows)


def automations(ctx: Context) -> Table:
    rows = [
        [_cell(pick(a.label)), _cell(pick(ctx.config.entity(a.entity).defn.label)), _cell(trigger_text(ctx, ctx.config.entity(a.entity), a.on)), _cell(a.condition, css="expr"), _cell(sentences(action_text(ctx, ctx.config.entity(a.entity), x) for x in a.do)), _yes(a.active)]
        for a in ctx.config.bundle.automations
    ]  # fmt: skip
    return _table(_("Automations"), _("What happens by itself."), "bolt", [_("Name"), _("Entity"), _("When"), _("If"), _("Then"), _("Active")], rows)


def schedules(ctx: Context) -> Table:
    rows = [
        [_cell(pick(s.label)), _cell(pick(ctx.config.entity(s.entity).defn.plural)), _cell(s.cron, css="expr"), _cell(_plain(s.where), css="expr"), _cell(sentences(action_text(ctx, ctx.config.entity(s.entity), x) for x in s.do)), _cell(_often(s.once_per)), _yes(s.active)]
        for s in ctx.config.bundle.schedules
    ]  # fmt: skip
    return _table(_("Schedules"), _("What happens at set times, in the workspace's time zone."), "calendar-time", [_("Name"), _("Entity"), _("Time"), _("For records where"), _("Then"), _("At most"), _("Active")], rows)


def views(ctx: Context) -> Table:
    rows = [
        [_cell(pick(v.label), url=f"/r/{v.entity}{'/board' if v.kind == 'board' else ''}?view={v.key}"), _cell(pick(ctx.config.entity(v.entity).defn.plural)), _cell(_("Board") if v.kind == "board" else _("List")), _cell(_plain(v.filter), css="expr"), _cell(", ".join(v.sort), css="expr"), _cell(_role_names(ctx, v.roles))]
        for v in ctx.config.bundle.views
    ]  # fmt: skip
    return _table(_("Views"), _("Saved lists and boards that come with the configuration."), "list-details", [_("Name"), _("Entity"), _("Kind"), _("Filter"), _("Sort"), _("Roles")], rows)


def reports(ctx: Context) -> Table:
    rows = [[_cell(pick(r.label), url=f"/reports/{r.key}"), _cell(_("Report")), _cell(len(r.widgets), css="num"), _cell(pick(r.description))] for r in ctx.config.bundle.reports]
    rows += [[_cell(pick(d.label), url=f"/dashboards/{d.key}"), _cell(_("Dashboard")), _cell(len(d.widgets), css="num"), _cell("")] for d in ctx.config.bundle.dashboards]
    return _table(_("Reports and dashboards"), _("Figures and charts, each clickable down to its records."), "chart-bar", [_("Name"), _("Kind"), _("Figures"), _("Description")], rows)


# What the audit log calls its events; others show their key.
AUDIT_EVENTS = {
    "sign_in.succeeded": lazy("Signed in"), "sign_in.failed": lazy("Sign-in failed"), "password.changed": lazy("Password changed"),
    "user.created": lazy("Person added"), "user.changed": lazy("Person changed"),
    "department.created": lazy("Department added"), "department.changed": lazy("Department changed"), "department.deleted": lazy("Department deleted"),
    "simulation.started": lazy("Started to look as somebody else"), "simulation.ended": lazy("Stopped looking as somebody else"),
    "config.published": lazy("Configuration published"), "config.reverted": lazy("Configuration reverted"), "brand.changed": lazy("Name or colour changed"), "numbers.continued": lazy("Next number set"),
    "records.exported": lazy("Records exported"), "records.imported": lazy("Records imported"), "sample.loaded": lazy("Sample data loaded"),
    "tenant.created": lazy("Workspace created"), "tenant.suspended": lazy("Workspace suspended"), "tenant.resumed": lazy("Workspace resumed"),
    "tenant.plan_changed": lazy("Plan changed"),
}  # fmt: skip


TABLES: Mapping[str, Callable[[Context], Table]] = {
    "pipelines": pipelines, "roles": roles, "automations": automations, "schedules": schedules, "views": views,
    "reports": reports,
}  # fmt: skip


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _often(once_per: str) -> str:
    return {
        "run": _("once a run"), "day": _("once a day"), "week": _("once a week"), "month": _("once a month"), "year": _("once a year"), "ever": _("once ever"),
    }.get(once_per, once_per)  # fmt: skip


def part_name(key: str) -> str:
    """A part of the settings a role may use."""
    return {
        "config": _("Configuration"), "users": _("People"), "audit": _("Audit log"), "jobs": _("Jobs"), "brand": _("Appearance"), "import": _("Import"),
        "export": _("Export"), "api": _("API"),
    }.get(key, key)  # fmt: skip


def _role_names(ctx: Context, keys: Iterable[str]) -> str:
    return listed(pick(ctx.config.roles[k].label) for k in keys if k in ctx.config.roles)


def trigger_text(ctx: Context, entity: Entity, on: TriggerDef) -> str:
    """One line: what sets a rule off."""
    kind = trigger_types.find(on.trigger)
    stages = {x.key: pick(x.label) for x in entity.pipeline.stages} if entity.pipeline else {}
    details = [_labels(entity.fields, on.fields)] if on.fields else []
    if on.transition:
        details.append(_transition_label(entity, on.transition))
    if on.source or on.to:
        details.append(" → ".join(stages.get(key, key) if key else "…" for key in (on.source, on.to)))
    return _with_detail(str(kind.label) if kind else on.trigger, listed(details))


def action_text(ctx: Context, entity: Entity | None, action: ActionDef) -> str:
    """One line: the action's name and what it is about."""
    kind = action_types.find(action.action)
    options = action.options
    about = _end_of(ctx, entity, options.get("target") or "")
    if made := ctx.config.entities.get(options.get("entity") or ""):
        detail = pick(made.defn.label)
    elif options.get("transition"):
        detail = _transition_label(about, options["transition"])
    elif options.get("values"):
        detail = _labels(about.fields if about else {}, options["values"])
    else:
        detail = pick(options.get("title") or options.get("message") or {})
    return _with_detail(str(kind.label) if kind else action.action, detail)


def _with_detail(name: str, detail: str) -> str:
    return titled(name, detail) if detail else name


def _transition_label(entity: Entity | None, key: str) -> str:
    found = [t for t in entity.pipeline.transitions if t.key == key] if entity and entity.pipeline else []
    return pick(found[0].label) if found else key


def _end_of(ctx: Context, entity: Entity | None, path: str) -> Entity | None:
    """The entity a path of links leads to; None if it begins at the result of another action."""
    for step in path.split(".") if path else ():
        field = entity.fields.get(step) if entity else None
        entity = ctx.config.entities.get(field.options.get("to") or "") if field else None
    return entity


# ---- details -----------------------------------------------------------------------------------------------------------


def _labels(fields: Mapping[str, FieldDef], keys: Iterable[str]) -> str:
    return listed(pick(fields[k].label) if k in fields else k for k in keys)


def pipeline_detail(ctx: Context, key: str) -> dict[str, Any]:
    pipeline = ctx.config.pipelines[key]
    entity = ctx.config.entity(pipeline.entity)
    names = {s.key: s for s in pipeline.stages}

    def stage(stage_key: str) -> dict[str, str]:
        found = names.get(stage_key)
        return {"label": pick(found.label), "color": found.color} if found else {"label": _("any stage"), "color": "gray"}

    transitions = [
        {
            "key": t.key, "label": pick(t.label), "sources": [stage(s) for s in t.sources], "targets": [stage(s) for s in ([t.to] if t.to else [b.to for b in t.branches]) if s],
            "roles": _role_names(ctx, t.roles) or _("everybody who may edit"), "require": _labels(entity.fields, t.require), "ask": _labels(entity.fields, t.ask),
            "conditions": sentences(x for x in (t.allow_if, t.guard) if x), "effects": [action_text(ctx, entity, a) for a in t.effects] + [f"{_labels(entity.fields, [k])} = {v}" for k, v in t.set.items()],
        }
        for t in pipeline.transitions
    ]  # fmt: skip
    stages = [
        {"key": s.key, "label": pick(s.label), "color": s.color, "probability": f"{s.probability:g} %" if s.probability is not None else "", "alert": ngettext("alert after %(count)s day", "alert after %(count)s days", s.age_alert_days) if s.age_alert_days else ""}
        for s in pipeline.stages
    ]  # fmt: skip
    return {"title": pick(pipeline.label), "entity": pick(entity.defn.plural), "entity_url": f"/settings/entities/{entity.key}", "stages": stages, "transitions": transitions}


def role_detail(ctx: Context, key: str) -> dict[str, Any]:
    role = ctx.config.roles[key]
    rows = []
    for entity in ctx.config.entities.values():
        rights = permissions.ADMIN_RIGHTS if role.admin else role.entities.get(entity.key) or role.entities.get("*") or EntityRights()
        limited = [
            titled(pick(entity.fields[k].label) if k in entity.fields else k, _access(r.access)) + (f" ({r.condition})" if r.condition else "") for k, r in rights.fields.items()
        ]  # fmt: skip
        rows.append(
            {
                "label": pick(entity.defn.plural), "url": f"/settings/entities/{entity.key}", "create": _flag(rights.create, rights.create_if),
                "rights": [_right(rules) for rules in (rights.read, rights.update, rights.delete, rights.export)], "import": _flag(rights.import_, None),
                "bulk": _flag(rights.bulk, None), "fields": limited,
            }
        )  # fmt: skip
    return {
        "title": pick(role.label), "key": key, "description": pick(role.description), "admin": role.admin, "rows": rows, "extras": _extras(ctx, role),
    }  # fmt: skip


def _extras(ctx: Context, role: RoleDef) -> list[tuple[str, str]]:
    found = []
    if role.reports:
        found.append((_("Reports"), _("all") if "*" in role.reports else listed(pick(ctx.config.reports[k].label) for k in role.reports if k in ctx.config.reports)))
    if role.dashboards:
        found.append((_("Dashboards"), _("all") if "*" in role.dashboards else listed(pick(ctx.config.dashboards[k].label) for k in role.dashboards if k in ctx.config.dashboards)))
    if role.settings:
        found.append((_("Settings"), _("all") if "*" in role.settings else listed(part_name(part) for part in role.settings)))
    for pipeline_key, keys in (role.transitions or {}).items():
        pipeline = ctx.config.pipelines.get(pipeline_key)
        if pipeline:
            names = [pick(t.label) for t in pipeline.transitions if "*" in keys or t.key in keys]
            found.append((pick(pipeline.label), listed(names) or _("no transitions")))
    return found


def _access(level: str) -> str:
    return {"hidden": _("hidden"), "masked": _("masked"), "read": _("read-only"), "write": _("editable")}.get(level, level)


def _flag(on: bool, condition: str | None) -> dict[str, str]:
    if condition:
        return {"text": _("if …"), "css": "", "tip": condition}
    return {"text": _("yes"), "css": "all", "tip": ""} if on else {"text": "–", "css": "none", "tip": ""}


def _right(rules: tuple[ScopeRule, ...]) -> dict[str, str]:
    kept = [r for r in rules if r.scope != "none"]
    if not kept:
        return {"text": "–", "css": "none", "tip": ""}
    text = listed(str(SCOPES.get(r.scope, r.scope)) + (" *" if r.condition else "") for r in kept)
    tip = sentences(titled(SCOPES.get(r.scope, r.scope), r.condition) for r in kept if r.condition)
    return {"text": text, "css": "all" if any(r.scope == "all" and not r.condition for r in kept) else "", "tip": tip}


# ---- people, jobs ------------------------------------------------------------------------------------------------------


def people(ctx: Context, users: list[dict[str, Any]], departments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {d["id"]: pick(d["name"], ctx.locale) for d in departments}
    return [
        {
            "id": str(u["id"]), "name": u["name"], "email": u["email"], "title": u["title"], "roles": _role_names(ctx, u["role_keys"]), "active": u["status"] == "active",
            "department": listed(names[d] for d in u["department_ids"] if d in names), "seen": formats.moment(ctx, u["last_login_at"]) if u["last_login_at"] else "",
        }
        for u in users
    ]  # fmt: skip


def _job_name(key: str) -> str:
    kind = job_kinds.find(key)
    return str(kind.label) if kind else key


def jobs(ctx: Context, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    status = {
        "queued": (_("waiting"), "gray"), "running": (_("running"), "blue"), "paused": (_("paused"), "yellow"), "done": (_("done"), "green"), "failed": (_("failed"), "red"), "cancelled": (_("cancelled"), "gray"),
    }  # fmt: skip
    rows = []
    for job in found:
        text, color = status.get(job["status"], (job["status"], "gray"))
        rows.append(
            {
                "id": str(job["id"]), "kind": _job_name(job["kind"]), "status": text, "color": color, "progress": job["progress"] or 0, "total": job["total"] or 0, "who": job["who"] or "",
                "error": job["error"] or "", "attempts": job["attempts"], "at": formats.full(ctx, job["created_at"]),
                "can_pause": job["status"] in ("queued", "running"), "can_resume": job["status"] == "paused",
                "finished": formats.full(ctx, job["finished_at"]) if job["finished_at"] else "",
            }
        )  # fmt: skip
    return rows
