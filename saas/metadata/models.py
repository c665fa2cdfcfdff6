"""Frozen definitions a tenant may edit: what a bundle says, with defaults filled in. docs/packs.md explains each property.

Expressions and filters are kept as the text or JSON that was written; `Config` compiles them on first use.
Labels are plain dicts {locale: text}; show them with `saas.i18n.pick`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Label = Mapping[str, str]
EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PackInfo:
    key: str
    version: str
    label: Label
    description: Label = field(default_factory=dict)
    icon: str = "box"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SettingDef:
    key: str
    label: Label
    type: str
    default: Any = None
    help: Label = field(default_factory=dict)
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class OptionDef:
    key: str
    label: Label
    color: str = "gray"
    active: bool = True
    parent: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class OptionSetDef:
    key: str
    label: Label
    options: tuple[OptionDef, ...] = ()
    tree: bool = False


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DepartmentDef:
    key: str
    label: Label
    parent: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class FieldDef:
    """One field. `options` holds the properties that belong to its type (max_length, set, to, expr, …), defaults filled in.

    `system` marks the fields every record has without declaring them (id, created_at, owner, …).
    """

    key: str
    type: str
    label: Label
    help: Label = field(default_factory=dict)
    required: bool = False
    required_if: str | None = None
    visible_if: str | None = None
    read_only: bool = False
    read_only_if: str | None = None
    set_once: bool = False
    default: Any = None  # a literal, or {"expr": text}
    message: Label = field(default_factory=dict)
    sensitive: bool = False
    hidden: bool = False
    indexed: bool = False  # an index of its own makes sorting and filtering fast
    options: Mapping[str, Any] = field(default_factory=dict)
    system: bool = False


@dataclass(frozen=True, slots=True)
class RuleDef:
    key: str
    expr: str
    message: Label
    field: str | None = None


@dataclass(frozen=True, slots=True)
class UniqueDef:
    """Hard uniqueness; a field's own `unique` appears here with the field's key."""

    key: str
    fields: tuple[str, ...]
    message: Label = field(default_factory=dict)
    when: str | None = None


@dataclass(frozen=True, slots=True)
class DuplicateDef:
    key: str
    match: tuple[str, ...]
    action: str = "warn"  # warn | block
    message: Label = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimelineSource:
    entity: str
    via: str
    at: str = "created_at"
    kind: str | None = None


@dataclass(frozen=True)
class EntityDef:
    key: str
    label: Label
    plural: Label
    title: str
    fields: tuple[FieldDef, ...]  # declared ones, in order, without system fields
    icon: str = "box"
    subtitle: str | None = None
    owned: bool = True
    owner_label: Label = field(default_factory=dict)
    owner_roles: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    rules: tuple[RuleDef, ...] = ()
    unique: tuple[UniqueDef, ...] = ()
    duplicates: tuple[DuplicateDef, ...] = ()
    read_only: bool = False
    append_only: bool = False
    editable_if: str | None = None
    deletable_if: str | None = None
    assignees: tuple[str, ...] = ()
    tree: Mapping[str, Any] | None = None  # {"parent": field, "max_depth": n}
    timeline: tuple[TimelineSource, ...] = ()
    messages: Mapping[str, Label] = field(default_factory=dict)
    description: Label = field(default_factory=dict)

    @cached_property
    def declared(self) -> dict[str, FieldDef]:
        return {f.key: f for f in self.fields}

    @cached_property
    def all_fields(self) -> dict[str, FieldDef]:
        """Declared, then system fields, by key."""
        return {f.key: f for f in (*self.fields, *system_fields(self))}


TITLES = {
    "id": {"en": "ID", "zh_CN": "标识"},
    "created_at": {"en": "Created", "zh_CN": "创建时间"},
    "created_by": {"en": "Created by", "zh_CN": "创建人"},
    "updated_at": {"en": "Updated", "zh_CN": "更新时间"},
    "updated_by": {"en": "Updated by", "zh_CN": "更新人"},
    "owner": {"en": "Owner", "zh_CN": "负责人"},
    "department": {"en": "Department", "zh_CN": "所属部门"},
}


def system_fields(entity: EntityDef) -> tuple[FieldDef, ...]:
    """The fields a record has without declaring them. Their columns are real columns of the record row."""

    def make(key: str, type_: str, **more: Any) -> FieldDef:
        return FieldDef(key=key, type=type_, label=more.pop("label", TITLES[key]), system=True, **more)

    fields = [
        make("created_at", "datetime", read_only=True),
        make("created_by", "user", read_only=True),
        make("updated_at", "datetime", read_only=True),
        make("updated_by", "user", read_only=True),
    ]
    if entity.owned:
        fields.append(make("owner", "user", label=entity.owner_label or TITLES["owner"], options={"roles": list(entity.owner_roles)}))
        fields.append(make("department", "dept", read_only=True))
    return tuple(fields)


@dataclass(frozen=True, slots=True)
class StageDef:
    key: str
    label: Label
    color: str = "gray"
    kind: str = "open"  # open | won | lost | done
    probability: float | None = None
    age_alert_days: int | None = None

    @property
    def is_final(self) -> bool:
        return self.kind != "open"


@dataclass(frozen=True, slots=True)
class BranchDef:
    to: str
    condition: str | None = None  # "if"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TransitionDef:
    key: str
    label: Label
    sources: tuple[str, ...]  # "from"; ("*",) = any
    to: str | None = None
    branches: tuple[BranchDef, ...] = ()
    roles: tuple[str, ...] = ()
    allow_if: str | None = None
    guard: str | None = None
    guard_message: Label = field(default_factory=dict)
    require: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    set: Mapping[str, str] = field(default_factory=dict)
    confirm: Label = field(default_factory=dict)
    done: Label = field(default_factory=dict)
    style: str = "default"  # default | primary | danger
    effects: tuple[ActionDef, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionDef:
    """One action. `options` holds everything but `action`, `if` and `as`, as written."""

    action: str
    options: Mapping[str, Any] = field(default_factory=dict)
    condition: str | None = None  # "if"
    alias: str | None = None  # "as"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PipelineDef:
    key: str
    entity: str
    field: str
    label: Label
    stages: tuple[StageDef, ...]
    transitions: tuple[TransitionDef, ...] = ()

    @property
    def initial(self) -> str:
        return self.stages[0].key

    def stage(self, key: str) -> StageDef | None:
        return next((s for s in self.stages if s.key == key), None)

    def transition(self, key: str) -> TransitionDef | None:
        return next((t for t in self.transitions if t.key == key), None)


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """Records in `scope` for which `condition` (an expression) holds."""

    scope: str  # none own assigned participant team dept dept_tree all
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class FieldRight:
    access: str  # hidden masked read write
    condition: str | None = None
    mask: str = "****{4}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class EntityRights:
    """Any of the rules of a right suffices; an empty tuple means none."""

    read: tuple[ScopeRule, ...] = ()
    update: tuple[ScopeRule, ...] = ()
    delete: tuple[ScopeRule, ...] = ()
    export: tuple[ScopeRule, ...] = ()
    create: bool = False
    create_if: str | None = None
    import_: bool = False
    bulk: bool = False
    fields: Mapping[str, FieldRight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MenuGroup:
    label: Label
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class RoleDef:
    key: str
    label: Label
    description: Label = field(default_factory=dict)
    admin: bool = False
    external: bool = False
    entities: Mapping[str, EntityRights] = field(default_factory=dict)  # "*" = default
    transitions: Mapping[str, tuple[str, ...]] | None = None  # pipeline -> keys or ("*",); None = pipelines decide
    reports: tuple[str, ...] = ()  # ("*",) = all
    dashboards: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    home: str | None = None
    menu: tuple[MenuGroup, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ViewDef:
    key: str
    entity: str
    label: Label
    kind: str = "list"  # list | board
    columns: tuple[str, ...] = ()
    filter: Any = None
    sort: tuple[str, ...] = ()
    page_size: int = 50
    group: str | None = None
    default: bool = False
    roles: tuple[str, ...] = ()
    board: Mapping[str, Any] | None = None  # {"by", "sum"?, "card"?}


@dataclass(frozen=True, slots=True)
class SectionDef:
    key: str
    fields: tuple[str, ...]
    label: Label = field(default_factory=dict)
    columns: int = 2


@dataclass(frozen=True, slots=True)
class RelatedDef:
    key: str  # inverse key
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TabDef:
    key: str
    label: Label
    sections: tuple[SectionDef, ...] = ()
    related: tuple[RelatedDef, ...] = ()
    timeline: bool = False


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LayoutDef:
    key: str
    entity: str
    tabs: tuple[TabDef, ...]
    header: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    timeline: bool = True


@dataclass(frozen=True, slots=True)
class MeasureDef:
    fn: str
    field: str | None = None  # hides dataclasses.field from here on
    label: Label = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DimensionDef:
    field: str  # own field or "ref.field"
    bucket: str | None = None


@dataclass(frozen=True, slots=True)
class WidgetDef:
    """One figure or chart. `options` holds what only its type knows (pipeline, basis, columns, compare, target, …)."""

    key: str
    label: Label
    type: str
    entity: str
    measures: tuple[MeasureDef, ...] = ()
    dimensions: tuple[DimensionDef, ...] = ()
    filter: Any = None
    sort: str | None = None
    limit: int = 50
    width: int = 6
    help: Label = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParamDef:
    key: str
    field: str
    kind: str  # year period option user
    label: Label = field(default_factory=dict)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ReportDef:
    key: str
    label: Label
    widgets: tuple[WidgetDef, ...]
    description: Label = field(default_factory=dict)
    params: tuple[ParamDef, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DashboardDef:
    """Widgets are already resolved where the bundle pointed to a report's widget."""

    key: str
    label: Label
    widgets: tuple[WidgetDef, ...]


@dataclass(frozen=True, slots=True)
class TriggerDef:
    trigger: str  # create update before_save transition delete restore
    fields: tuple[str, ...] = ()
    source: str | None = None  # "from"
    to: str | None = None
    transition: str | None = None  # "key"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class AutomationDef:
    key: str
    label: Label
    entity: str
    on: TriggerDef
    do: tuple[ActionDef, ...]
    condition: str | None = None  # "if"
    active: bool = True


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ScheduleDef:
    key: str
    label: Label
    cron: str
    entity: str
    do: tuple[ActionDef, ...]
    where: Any = None
    once_per: str = "run"  # run day week month year ever
    active: bool = True


EXAMPLE_ACTS = ("create", "update", "transition", "delete", "read")
SYSTEM = "system"  # in the place of a role: no rights are asked


@dataclass(frozen=True, slots=True)
class ExampleRecord:
    """A record an example needs beside its own; others name it as "@key"."""

    key: str
    entity: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ExampleDef:
    """One situation and what must happen in it. `act` is create update transition delete or read; `values` are what it is given."""

    key: str
    label: Label
    entity: str
    role: str  # "as": a role's key, or SYSTEM
    act: str
    expect: str  # allowed | refused
    values: Mapping[str, Any] = field(default_factory=dict)
    transition: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[ExampleRecord, ...] = ()
    state: str | None = None
    message: str | None = None
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Bundle:
    """A parsed, valid bundle."""

    pack: PackInfo
    entities: tuple[EntityDef, ...]
    roles: tuple[RoleDef, ...]
    settings: tuple[SettingDef, ...] = ()
    option_sets: tuple[OptionSetDef, ...] = ()
    departments: tuple[DepartmentDef, ...] = ()
    pipelines: tuple[PipelineDef, ...] = ()
    views: tuple[ViewDef, ...] = ()
    layouts: tuple[LayoutDef, ...] = ()
    reports: tuple[ReportDef, ...] = ()
    dashboards: tuple[DashboardDef, ...] = ()
    automations: tuple[AutomationDef, ...] = ()
    schedules: tuple[ScheduleDef, ...] = ()
    examples: tuple[ExampleDef, ...] = ()
