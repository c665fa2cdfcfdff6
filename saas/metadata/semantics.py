"""Rules of meaning about settings, entities, fields, roles, views, reports and schedules. Pipelines: semantics_pipelines.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from saas.i18n import LazyString, lazy
from saas.metadata import models as m
from saas.metadata.anatomy import DESCRIBED
from saas.metadata.approval_checks import check_approvals
from saas.metadata.check import OWNED, RESERVED, Check, Scene
from saas.metadata.kinds import action_types, field_types, widget_types
from saas.metadata.pools import KEYS as POOLED
from saas.metadata.semantics_charts import check_charts
from saas.metadata.semantics_connectors import check_connectors
from saas.metadata.semantics_documents import check_documents
from saas.metadata.semantics_forms import check_forms
from saas.metadata.semantics_ledgers import check_ledgers
from saas.metadata.semantics_pipelines import check_pipelines
from saas.metadata.semantics_statements import check_statements
from saas.metadata.semantics_twins import check_twins
from saas.metadata.slots import SLOTS

TITLE_TYPES = ("text", "auto", "formula", "email", "phone", "national_id", "url", "int", "date")
MENU_WORDS = ("report", "dashboard", "board")


def check_meaning(check: Check) -> None:
    _duplicate_keys(check)
    for setting in check.bundle.settings:
        _setting(check, setting)
    for options in check.bundle.option_sets:
        _option_parents(check, f"option_sets[{options.key}]", options.options, options.tree)
    _circle(
        check, "departments", {d.key: d.parent for d in check.bundle.departments},
        lazy("This department is placed below itself."), lazy("Choose another parent, or remove it for a top department."),
    )  # fmt: skip
    for entity in check.bundle.entities:
        _entity(check, entity)
    check_pipelines(check)
    check_forms(check)
    check_twins(check)
    check_ledgers(check)
    check_statements(check)
    check_charts(check)
    check_connectors(check)
    check_documents(check)
    _roles(check)
    for view in check.bundle.views:
        _view(check, view)
    for path, widget in check.widgets():
        _widget(check, path, widget)
    for schedule in check.bundle.schedules:
        _cron(check, schedule)
    check_approvals(check)
    for scene in check.scenes():
        _steps(check, scene)
        if scene.before_save:
            _before_save(check, scene.path, scene.actions)


# ---- keys ---------------------------------------------------------------------------------------------------------------


def _duplicate_keys(check: Check) -> None:
    b = check.bundle
    for name in ("settings", "option_sets", "departments", "entities", "pipelines", "roles", "reports", "dashboards", "automations", "schedules", "approvals", "templates", "webhooks", "inbound_hooks", "web_forms", "connectors", "examples", *DESCRIBED.values()):
        _once(check, name, (d.key for d in getattr(b, name)))
    for name in ("views", "layouts"):
        _once(check, name, (f"{d.entity}:{d.key}" for d in getattr(b, name)))
    for options in b.option_sets:
        _once(check, f"option_sets[{options.key}].options", (o.key for o in options.options))
    for entity in b.entities:
        path = f"entities[{entity.key}]"
        for name in ("fields", "rules", "unique", "duplicates", "pools"):
            _once(check, f"{path}.{name}", (d.key for d in getattr(entity, name)))
    for pipeline in b.pipelines:
        for name in ("stages", "transitions"):
            _once(check, f"pipelines[{pipeline.key}].{name}", (d.key for d in getattr(pipeline, name)))
    for report in b.reports:
        _once(check, f"reports[{report.key}].widgets", (w.key for w in report.widgets))
        _once(check, f"reports[{report.key}].params", (p.key for p in report.params))
    for layout in b.layouts:
        path = f"layouts[{layout.entity}:{layout.key}]"
        _once(check, f"{path}.tabs", (t.key for t in layout.tabs))
        for tab in layout.tabs:
            _once(check, f"{path}.tabs[{tab.key}].sections", (s.key for s in tab.sections))


def _once(check: Check, path: str, keys: Iterable[str]) -> None:
    for key, count in Counter(keys).items():
        if count > 1:
            check.problems.add(
                f"{path}[{key}]", "duplicate_key", lazy("The key “%(key)s” is used %(count)s times.", key=key, count=count),
                lazy("Give each its own key, or remove the extra ones."),
            )  # fmt: skip


def _reserved(check: Check, path: str, key: str, words: Iterable[str]) -> None:
    if key in words:
        check.problems.add(
            path, "reserved_key", lazy("“%(key)s” is a word the system uses itself.", key=key),
            lazy("Choose another key, for example “%(key)s_value”.", key=key),
        )  # fmt: skip


def _circle(check: Check, path: str, parents: Mapping[str, str | None], message: LazyString, hint: LazyString) -> None:
    for key in parents:
        seen, here = {key}, parents[key]
        while here is not None and here not in seen:
            seen.add(here)
            here = parents.get(here)
        if here == key:
            check.problems.add(f"{path}[{key}].parent", "circle", message, hint)


def _option_parents(check: Check, path: str, options: tuple[m.OptionDef, ...], tree: bool) -> None:
    if not tree:
        return
    keys = {o.key for o in options}
    for option in options:
        check.known(f"{path}.options[{option.key}].parent", "option", option.parent, keys)
    _circle(
        check, f"{path}.options", {o.key: o.parent for o in options},
        lazy("This option is placed below itself."), lazy("Choose another parent, or remove it."),
    )  # fmt: skip


def _bounds(check: Check, path: str, options: Mapping[str, Any]) -> None:
    for low, high in (("min", "max"), ("min_length", "max_length")):
        a, b = options.get(low), options.get(high)
        if isinstance(a, (int, float)) and isinstance(b, (int, float)) and a > b:
            check.problems.add(
                f"{path}.{low}", "min_above_max", lazy("The smallest value (%(low)s) is above the largest (%(high)s).", low=a, high=b),
                lazy("Make “%(low)s” at most as large as “%(high)s”.", low=low, high=high),
            )  # fmt: skip


SETTING_TYPES = {"int": int, "number": (int, float), "bool": bool, "text": str, "date": str}


def _setting(check: Check, setting: m.SettingDef) -> None:
    path, value = f"settings[{setting.key}]", setting.default
    _bounds(check, path, {"min": setting.min, "max": setting.max})
    fits = value is None or (isinstance(value, SETTING_TYPES[setting.type]) and (setting.type == "bool") == isinstance(value, bool))  # type: ignore[arg-type]
    if setting.type == "date" and isinstance(value, str):
        fits = _is_date(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    inside = not number or ((setting.min is None or value >= setting.min) and (setting.max is None or value <= setting.max))
    if not fits or not inside:
        check.problems.add(
            f"{path}.default", "bad_default", lazy("This default does not fit a setting of type “%(type)s”.", type=setting.type),
            lazy("Write a value of that type, inside its limits."),
        )  # fmt: skip


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# ---- entities -----------------------------------------------------------------------------------------------------------


def _entity(check: Check, entity: m.EntityDef) -> None:
    path = f"entities[{entity.key}]"
    _reserved(check, f"{path}.key", entity.key, (*RESERVED, *MENU_WORDS))
    title = check.entities[entity.key].fields.get(entity.title)
    if title is not None and title.type not in TITLE_TYPES:
        check.problems.add(
            f"{path}.title", "bad_title", lazy("“%(field)s” cannot name a record: it is of type “%(type)s”.", field=title.key, type=title.type),
            lazy("Choose a field of type text, auto or formula."),
        )  # fmt: skip
    for key in entity.assignees:
        field = check.entities[entity.key].fields.get(key)
        if field is not None and field_types.get(field.type).holds != "user":
            check.problems.add(
                f"{path}.assignees[{key}]", "not_a_user", lazy("“%(field)s” does not hold a person.", field=key),
                lazy("Name fields that hold people."),
            )  # fmt: skip
    taken = POOLED if any(pool.recycle_days is not None for pool in entity.pools) else ()
    for field in entity.fields:
        if not field.made:
            _field(check, f"{path}.fields[{field.key}]", entity, field)
            _reserved(check, f"{path}.fields[{field.key}].key", field.key, taken)
    segment = check.entities[entity.key].fields.get(entity.segment_field or "")
    if segment is not None and (segment.system or segment.type not in ("option", "ref", "dept")):
        check.problems.add(
            f"{path}.segment_field", "no_segments", lazy("“%(field)s” cannot say to which segment a record belongs.", field=segment.key),
            lazy("Name a field with one choice, or one that links to a record or department."),
        )  # fmt: skip
    for pool in entity.pools:
        _pool(check, f"{path}.pools[{pool.key}]", entity, pool)
    _inverse_keys(check, entity)


def _pool(check: Check, path: str, entity: m.EntityDef, pool: m.PoolDef) -> None:
    if not entity.owned:
        check.problems.add(
            path, "not_owned", lazy("Records of “%(entity)s” have no owner, so nobody can claim them.", entity=entity.key),
            lazy("Let the records have an owner: remove \"owned\": false."),
        )  # fmt: skip
    for name in ("max_held", "cooldown_days", "claims_per_day", "recycle_days"):
        setting = check.config.settings.get(str(getattr(pool, name)))
        if setting is not None and setting.type not in ("int", "number"):
            check.problems.add(
                f"{path}.{name}", "not_a_number", lazy("The setting “%(key)s” holds no number.", key=setting.key), lazy("Name a setting of type int, or write a number."),
            )  # fmt: skip
    if pool.recycle_days is None and (pool.warn_days or pool.recycle_unless):
        check.problems.add(
            f"{path}.{'warn_days' if pool.warn_days else 'recycle_unless'}", "never_returns", lazy("Records of this pool never come back by themselves, so nothing is warned of or excepted."),
            lazy("Add “recycle_days”, or remove this."),
        )  # fmt: skip
    if isinstance(pool.recycle_days, int) and any(days >= pool.recycle_days for days in pool.warn_days):
        check.problems.add(
            f"{path}.warn_days", "warns_too_early", lazy("A warning comes before the days even begin to count."), lazy("Warn fewer days before than records are kept."),
        )  # fmt: skip
    _pool_moves(check, path, entity, pool)


def _pool_moves(check: Check, path: str, entity: m.EntityDef, pool: m.PoolDef) -> None:
    """What goes along with claiming and giving back runs without asking anybody for anything."""
    pipeline = check.entities[entity.key].pipeline
    for name in ("claim_transition", "release_transition"):
        transition = pipeline.transition(getattr(pool, name) or "") if pipeline else None
        needed = [key for key in transition.require if key != "owner"] if transition else []
        if needed:
            check.problems.add(
                f"{path}.{name}", "asks_for_fields", lazy("This transition asks for fields (%(fields)s), which nobody fills in when a record is claimed or given back.", fields=", ".join(needed)),
                lazy("Choose a transition without required fields."),
            )  # fmt: skip


def _field(check: Check, path: str, entity: m.EntityDef, field: m.FieldDef) -> None:
    _reserved(check, f"{path}.key", field.key, (*RESERVED, *(OWNED if entity.owned else ())))
    _bounds(check, path, field.options)
    computed = field_types.get(field.type).computed
    stamped = field.type == "ref" and any(role.portal is not None and role.portal.entity == field.options.get("to") for role in check.bundle.roles)  # by whoever adds it
    if field.required and field.read_only and field.default is None and not computed and not stamped:
        check.problems.add(
            path, "never_filled", lazy("This field must be filled, but nobody can: it is read-only and has no default."),
            lazy("Add a default, or remove “required” or “read_only”."),
        )  # fmt: skip
    if computed and (field.required or field.required_if or field.default is not None):
        check.problems.add(
            path, "computed_input", lazy("This field is computed, so it can be neither required nor have a default."),
            lazy("Remove “required”, “required_if” and “default”."),
        )  # fmt: skip
    if field.options.get("on_delete") == "set_null" and field.required:
        check.problems.add(
            f"{path}.on_delete", "set_null_required", lazy("A required reference cannot be emptied when the other record is deleted."),
            lazy("Write “restrict” or “cascade”, or make the field optional."),
        )  # fmt: skip
    if field.indexed and not _is_indexable(check, field):
        check.problems.add(
            f"{path}.indexed", "not_indexable", lazy("There can be no index for this field: its values are computed when shown, lists, or long texts."),
            lazy("Remove “indexed”, or choose a field with a single short value."),
        )  # fmt: skip
    if field.type in ("option", "multi"):
        _choices(check, path, entity, field)
    if field.type == "rollup":
        _rollup(check, path, entity, field)


def _is_indexable(check: Check, field: m.FieldDef) -> bool:
    kind = field_types.get(field.type)
    return field.type == "rollup" or kind.storage_of(field, check.config) in (*SLOTS, "state")


def _choices(check: Check, path: str, entity: m.EntityDef, field: m.FieldDef) -> None:
    inline = field.options.get("options") or ()
    if bool(field.options.get("set")) == bool(inline):
        if not inline and check.problems.has_below(f"{path}.set", f"{path}.options"):  # they were given, but wrongly
            return
        message = lazy("Choices are given twice.") if inline else lazy("This field has no choices.")
        check.problems.add(path, "choices", message, lazy("Write either “set” with the key of an option set, or “options” with a list."))
        return
    _once(check, f"{path}.options", (o["key"] for o in inline))
    parent = check.entities[entity.key].fields.get(field.options.get("depends_on") or "")
    if parent is None or parent.type not in ("option", "multi", "pipeline") or (field.options.get("set") or "") in check.problems.ghosts:
        return
    try:
        known = {o.key for o in check.config.options(entity.key, parent.key)}
        options = check.config.field_options(field)
    except KeyError:  # a set that does not exist: reported with the references
        return
    for option in options:
        if option.parent is not None:
            here = f"option_sets[{field.options['set']}]" if field.options.get("set") else path
            check.known(f"{here}.options[{option.key}].parent", "option", option.parent, known)


def _rollup(check: Check, path: str, entity: m.EntityDef, field: m.FieldDef) -> None:
    fn, relation = field.options.get("fn"), check.entities[entity.key].children.get(field.options.get("of") or "")
    if fn == "count" or relation is None:
        return
    if not field.options.get("field"):
        check.problems.add(
            f"{path}.field", "missing", lazy("“%(fn)s” needs to know which field of the related records to use.", fn=fn),
            lazy("Add “field” with the key of a field of “%(entity)s”.", entity=relation.child),
        )  # fmt: skip
        return
    child = check.entities[relation.child].fields.get(field.options["field"]) if relation.child in check.entities else None
    if child is None:
        return
    kind = check.type_of(child)
    if fn in ("sum", "avg"):
        if not kind.summable:
            _not_a_number(check, f"{path}.field", child)
    elif kind.many or kind.storage == "state" or (kind.expr_type == "any" and not kind.computed):
        check.problems.add(
            f"{path}.field", "not_for_rollup", lazy("“%(field)s” cannot be taken over: it is a list, an address or a stage.", field=child.key),
            lazy("Choose a field with a single value, such as a text, number, date, choice or link."),
        )  # fmt: skip
    elif fn in ("min", "max") and kind.expr_type not in ("number", "date", "datetime", "text"):
        check.problems.add(
            f"{path}.field", "no_order", lazy("“%(field)s” has no lowest and no highest value.", field=child.key),
            lazy("Choose a number, date or text, or write “latest” for the value of the newest record."),
        )  # fmt: skip


def _not_a_number(check: Check, path: str, field: m.FieldDef) -> None:
    check.problems.add(
        path, "not_a_number", lazy("“%(field)s” holds no numbers, so no sum or average can be made of it.", field=field.key),
        lazy("Choose a field of type int, number, percent, money, rating or score, or count the records instead."),
    )  # fmt: skip


def _inverse_keys(check: Check, entity: m.EntityDef) -> None:
    """Two relations, or a relation and a field, under one key of the parent would hide each other."""
    fields = check.entities[entity.key].fields
    seen: dict[str, str] = {}
    for child in check.bundle.entities:
        for field in child.fields:
            if field.type not in ("ref", "m2m") or field.options.get("to") != entity.key:
                continue
            key = (field.options.get("inverse") or {}).get("key") or f"{child.key}_{field.key}"
            path = f"entities[{child.key}].fields[{field.key}].inverse"
            other = seen.setdefault(key, f"{child.key}.{field.key}")
            _reserved(check, f"{path}.key", key, RESERVED)
            if other != f"{child.key}.{field.key}" or key in fields:
                check.problems.add(
                    path, "inverse_taken",
                    lazy("“%(key)s” is already the name of something else on “%(entity)s”.", key=key, entity=entity.key),
                    lazy("Give this relation another key: \"inverse\": {\"key\": \"%(guess)s\", …}.", guess=f"{child.key}_{field.key}"),
                )  # fmt: skip


# ---- roles, views, widgets, schedules -----------------------------------------------------------------------------------


def _roles(check: Check) -> None:
    if not any(r.admin for r in check.bundle.roles) and not (check.problems.ghosts and not check.bundle.roles):
        check.problems.add(
            "roles", "no_admin", lazy("No role has every right, so nobody could manage this configuration."),
            lazy("Give one role every right: \"admin\": true."),
        )  # fmt: skip
    for role in check.bundle.roles:
        if role.portal is not None and (role.admin or role.settings or not role.external):
            check.problems.add(
                f"roles[{role.key}].portal", "portal_staff", lazy("A role for people who are a record gives no part of the settings, and is for people outside."),
                lazy("Remove “admin”, “settings” and “external”, or “portal”."),
            )  # fmt: skip
        for key, rights in role.entities.items():
            for right in ("read", "update", "delete", "export"):
                if role.portal is None and any(rule.scope == "portal_self" for rule in getattr(rights, right)):
                    check.problems.add(
                        f"roles[{role.key}].entities.{key}.{right}", "no_portal", lazy("The role does not say which record a person is."),
                        lazy("Give the role “portal”, or choose another scope."),
                    )  # fmt: skip
        if role.admin and role.external:
            check.problems.add(
                f"roles[{role.key}].external", "external_admin", lazy("People outside the company cannot have every right."),
                lazy("Remove “admin” or “external”."),
            )  # fmt: skip


def _view(check: Check, view: m.ViewDef) -> None:
    path, entity = f"views[{view.entity}:{view.key}]", check.entities.get(view.entity)
    if entity is None:
        return
    for text in view.sort:
        field = entity.fields.get(text.lstrip("-"))
        if field is not None and not check.type_of(field).sortable:
            check.problems.add(
                f"{path}.sort[{field.key}]", "not_sortable", lazy("A list cannot be sorted by “%(field)s”.", field=field.key),
                lazy("Choose another field: a text, number, date, choice or person."),
            )  # fmt: skip
    if view.kind == "board" and view.board is None and entity.pipeline is None:
        check.problems.add(
            f"{path}.board", "missing", lazy("A board needs to know what its columns are."),
            lazy("Add \"board\": {\"by\": \"…\"} with a field of type option or pipeline."),
        )  # fmt: skip
    if view.board:
        by, total = entity.fields.get(view.board["by"]), entity.fields.get(view.board.get("sum") or "")
        if by is not None and by.type not in ("option", "pipeline", "user", "rating"):
            check.problems.add(
                f"{path}.board.by", "not_groupable", lazy("“%(field)s” cannot make the columns of a board.", field=by.key),
                lazy("Choose a field of type option or pipeline."),
            )  # fmt: skip
        if total is not None and not check.type_of(total).summable:
            _not_a_number(check, f"{path}.board.sum", total)


def _widget(check: Check, path: str, widget: m.WidgetDef) -> None:
    entity = check.entities.get(widget.entity)
    if entity is None:
        return
    for number, measure in enumerate(widget.measures):
        here, field = f"{path}.measures[{number}].field", entity.fields.get(measure.field or "")
        if measure.field is None and measure.fn != "count":
            check.problems.add(
                here, "missing", lazy("“%(fn)s” needs a field.", fn=measure.fn), lazy("Add “field”, or use “count” to count records.")
            )
        elif field is not None and measure.fn in ("sum", "avg") and not check.type_of(field).summable:
            _not_a_number(check, here, field)
    kind = widget_types.find(widget.type)
    if kind is not None and len(widget.dimensions) < kind.min_dimensions:
        check.problems.add(
            f"{path}.dimensions", "missing", lazy("This chart needs to know what to group by."),
            lazy("Add “dimensions”, for example [{\"field\": \"created_at\", \"bucket\": \"month\"}]."),
        )  # fmt: skip
    pipeline = check.config.pipelines.get(str(widget.options.get("pipeline")))
    if pipeline is not None and pipeline.entity != widget.entity:
        check.problems.add(
            f"{path}.pipeline", "wrong_target", lazy("The pipeline “%(key)s” belongs to “%(entity)s”.", key=pipeline.key, entity=pipeline.entity),
            lazy("Write \"entity\": \"%(entity)s\", or the pipeline of “%(other)s”.", entity=pipeline.entity, other=widget.entity),
        )  # fmt: skip
    words = ("value", "label") if widget.dimensions or not widget.options.get("columns") else ()
    for part in (widget.sort or "").split(","):
        if part and part.lstrip("-") not in words:
            check.known(f"{path}.sort", "field", part.lstrip("-"), (*words, *entity.fields))


def _cron(check: Check, schedule: m.ScheduleDef) -> None:
    try:
        if len(schedule.cron.split()) != 5:  # CronSim also takes seconds; a schedule each second would not end
            raise CronSimError
        next(CronSim(schedule.cron, datetime(2025, 1, 1)))
    except (CronSimError, StopIteration):
        check.problems.add(
            f"schedules[{schedule.key}].every.cron", "bad_cron", lazy("“%(cron)s” is not a point in time.", cron=schedule.cron),
            lazy("Write minute, hour, day, month and weekday, for example “0 2 * * *” for every night at two."),
        )  # fmt: skip


MOST_INSIDE = 5  # steps within steps


def _steps(check: Check, scene: Scene) -> None:
    """What holds steps has some, what waits may wait, what tries again can."""
    for number, action in enumerate(scene.actions):
        path, kind = f"{scene.path}[{number}]", action_types.get(action.action)
        if kind.nests and not any(getattr(action, name) for name in ("then", "otherwise", "do")):
            check.problems.add(path, "no_steps", lazy("There is no step in it."), lazy("Put a step into it, or remove it."))
        for name, code, message, hint in kind.problems(action.options):
            check.problems.add(f"{path}.{name}" if name else path, code, message, hint)
        if "then" in kind.nests and not action.condition:
            check.problems.add(path, "no_condition", lazy("It does not say which way to go."), lazy("Write a condition (\"if\"), or use the steps without a branch."))
        if kind.waits and not scene.may_wait:
            check.problems.add(
                f"{path}.action", "cannot_wait", lazy("Nothing can wait here."),
                lazy("A step waits in an automation only: not before saving, not for each of several records, not in a transition or a schedule."),
            )  # fmt: skip
        if action.retry and not (scene.may_wait and kind.can_retry):
            check.problems.add(
                f"{path}.retry", "cannot_retry", lazy("This step cannot be tried again later."),
                lazy("Only actions of an automation can, outside of a loop and not before saving."),
            )  # fmt: skip
        if action.inside and len(scene.inside) >= MOST_INSIDE:
            check.problems.add(path, "too_deep", lazy("Steps are nested too deeply."), lazy("At most %(count)s steps can stand in each other.", count=MOST_INSIDE))


def _before_save(check: Check, path: str, actions: Iterable[m.ActionDef]) -> None:
    for number, action in enumerate(actions):
        if not action_types.get(action.action).before_save or action.options.get("target"):
            check.problems.add(
                f"{path}[{number}].action", "not_before_save",
                lazy("Before saving, only the record itself can be changed: “%(action)s” is not possible here.", action=action.action),
                lazy("Use set, block or warn, or the trigger “create” or “update”."),
            )  # fmt: skip
