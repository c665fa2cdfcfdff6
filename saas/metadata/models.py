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
    order: int = 100


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
    """`edit_roles`: people with these roles add options, rename and retire them, without the right to configure anything else."""

    key: str
    label: Label
    options: tuple[OptionDef, ...] = ()
    tree: bool = False
    edit_roles: tuple[str, ...] = ()


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
    made: bool = False  # follows from another definition of the entity; no bundle writes it


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
    loose: bool = False  # only letters and digits count
    with_deleted: bool = False  # a deleted record keeps its value


@dataclass(frozen=True, slots=True)
class AgainstDef:
    """Records of another entity that a duplicate rule looks for: `fields` stand in the order of the rule's own."""

    entity: str
    fields: tuple[str, ...]
    reveal: tuple[str, ...] = ()
    where: str | None = None


@dataclass(frozen=True, slots=True)
class DuplicateDef:
    """A soft rule. All of `match` must agree: those in `similar` by `threshold` percent, those in `names` as company names without their legal
    form, the others exactly. `reveal`: what is told of records the person may not see."""

    key: str
    match: tuple[str, ...]
    action: str = "warn"  # warn | block | queue
    message: Label = field(default_factory=dict)
    similar: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    threshold: int = 85
    where: str | None = None  # must hold for the record that is found
    on_update: str | None = None  # warn | block | queue | ignore; None: as on creating
    review: str | None = None  # queue: saved, and put into this review
    confirm_roles: tuple[str, ...] = ()  # who may save all the same; none: everybody
    reason: bool = False  # whoever does must say why
    reveal: tuple[str, ...] = ()
    across: bool = True  # records the person may not see are found, too
    against: AgainstDef | None = None


@dataclass(frozen=True, slots=True)
class MergeDef:
    """How records become one. `winner`: whose filled value is proposed, the survivor's or that of the record changed last."""

    winner: str = "survivor"  # survivor | newest
    undo_days: int = 30


Amount = int | str | None  # a number, or the key of a setting that holds one


@dataclass(frozen=True, slots=True)
class PoolDef:
    """Records without an owner that people claim. `when` says which records belong to it, owned or not; `see` is the scope over the
    record's department; the transitions are the stage changes that go along with claiming and giving back."""

    key: str
    label: Label
    when: str | None = None
    see: str = "all"  # none dept dept_tree all
    see_roles: tuple[str, ...] = ()
    claimable: bool = True
    claim_roles: tuple[str, ...] = ()
    claim_transition: str | None = None
    assign_roles: tuple[str, ...] = ()
    release_roles: tuple[str, ...] = ()
    release_transition: str | None = None
    max_held: Amount = None
    held_if: str | None = None
    cooldown_days: Amount = None
    claims_per_day: Amount = None
    recycle_days: Amount = None
    touch: tuple[str, ...] = ("update", "transition")
    touch_lists: tuple[str, ...] = ()
    warn_days: tuple[int, ...] = ()
    recycle_unless: str | None = None


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
    owner_picker: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    rules: tuple[RuleDef, ...] = ()
    unique: tuple[UniqueDef, ...] = ()
    duplicates: tuple[DuplicateDef, ...] = ()
    merge: MergeDef = MergeDef()
    pools: tuple[PoolDef, ...] = ()
    countdown_label: Label = field(default_factory=dict)
    sharing: bool = False
    segment_field: str | None = None
    segment_roles: tuple[str, ...] = ()
    read_only: bool = False
    append_only: bool = False
    editable_if: str | None = None
    deletable_if: str | None = None
    assignees: tuple[str, ...] = ()
    tree: Mapping[str, Any] | None = None  # {"parent": field, "max_depth": n}
    timeline: tuple[TimelineSource, ...] = ()
    messages: Mapping[str, Label] = field(default_factory=dict)
    description: Label = field(default_factory=dict)
    form: str | None = None  # data process: it stands in the menu of forms

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
    "touched_at": {"en": "Last worked on", "zh_CN": "最后跟进时间"},
    "days_left": {"en": "Days left", "zh_CN": "剩余天数"},
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
        fields.append(make("owner", "user", label=entity.owner_label or TITLES["owner"], options={"roles": list(entity.owner_roles), "picker": list(entity.owner_picker)}))
        fields.append(make("department", "dept", read_only=True))
    if any(pool.recycle_days is not None for pool in entity.pools):
        fields.append(make("touched_at", "datetime", read_only=True))
    return tuple(fields)


@dataclass(frozen=True, slots=True)
class StageDef:
    key: str
    label: Label
    color: str = "gray"
    kind: str = "open"  # open | won | lost | done
    probability: float | None = None
    age_alert_days: int | None = None
    condition: str | None = None  # "if": records for which it does not hold never come here

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
    """One step: an action, or one that holds further steps (branch: `then` and `otherwise`; each: `do`). `options` holds everything
    that only its type knows, as written. `retry`: {"times", "minutes"}."""

    action: str
    options: Mapping[str, Any] = field(default_factory=dict)
    condition: str | None = None  # "if"
    alias: str | None = None  # "as"
    then: tuple[ActionDef, ...] = ()
    otherwise: tuple[ActionDef, ...] = ()  # "else"
    do: tuple[ActionDef, ...] = ()
    retry: Mapping[str, Any] | None = None

    @property
    def inside(self) -> tuple[tuple[str, tuple[ActionDef, ...]], ...]:
        """The lists of steps in it that hold any, by their property."""
        return tuple((name, steps) for name, steps in (("then", self.then), ("else", self.otherwise), ("do", self.do)) if steps)


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
    merge: bool = False
    purge: bool = False  # records for good, with what belongs to them
    fields: Mapping[str, FieldRight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MenuGroup:
    label: Label
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PortalDef:
    """People with the role are a record of `entity` each, whose field `link` holds their account; `email`: the field by whose address an
    account finds its record; `login`: the field of the name they sign in with. Their account is open as long as `open_if` holds; `closed` is
    what they read at the sign-in page otherwise. `makers`: roles whose people give records an account, besides those who look after
    people. `register`: the web form by which somebody asks to be let in."""

    entity: str
    link: str
    email: str | None = None
    login: str | None = None
    open_if: str | None = None
    closed: Label = field(default_factory=dict, hash=False)
    makers: tuple[str, ...] = ()
    register: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeDef:
    """Records whose `text` people with the role read after signing in, until they said that they did."""

    entity: str
    text: str
    where: Any = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class RoleDef:
    key: str
    label: Label
    description: Label = field(default_factory=dict)
    admin: bool = False
    external: bool = False
    portal: PortalDef | None = None
    notice: NoticeDef | None = None
    entities: Mapping[str, EntityRights] = field(default_factory=dict)  # "*" = default
    transitions: Mapping[str, tuple[str, ...]] | None = None  # pipeline -> keys or ("*",); None = pipelines decide
    reports: tuple[str, ...] = ()  # ("*",) = all
    dashboards: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    home: str | None = None
    menu: tuple[MenuGroup, ...] = ()
    tiles: bool = False  # the first page shows the menu, large
    verification: bool = False  # whose password changes only with an item that they know besides


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
    panel: bool = False  # a list: records are opened, made and changed beside it
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
    """When an automation runs. `options` holds what only its type knows, as written."""

    trigger: str  # create update before_save transition delete restore …
    fields: tuple[str, ...] = ()
    source: str | None = None  # "from"
    to: str | None = None
    transition: str | None = None  # "key"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class AutomationDef:
    key: str
    label: Label
    entity: str
    on: TriggerDef
    do: tuple[ActionDef, ...]
    condition: str | None = None  # "if"
    active: bool = True
    stop: bool = False  # later ones for the same event do not run
    on_error: str = "undo"  # undo: what caused it is undone, too; keep: it stands, and the run can be done again
    overlap: str = "each"  # while a run for the record waits: each, skip, restart


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


APPROVER_ACTS = ("return", "countersign", "delegate", "withdraw")


@dataclass(frozen=True, slots=True)
class ApproverDef:
    """Who decides. `level`: how many levels up a superior or head stands, 1 being the next one; `each`: everybody it stands for."""

    by: str  # superior role head department field person
    level: int = 1
    role: str | None = None
    department: str | None = None  # its key; its head decides
    field: str | None = None
    person: str | None = None  # an e-mail address, or the id of a person the applicant named
    each: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalStepDef:
    """`mode`: all, any or `count` of the approvers agree. Times are hours from when the step begins, and before its end."""

    key: str
    label: Label
    approvers: tuple[ApproverDef, ...]
    condition: str | None = None  # "if"
    mode: str = "all"
    count: int | None = None
    if_nobody: str = "refuse"  # refuse fallback skip
    fallback: str | None = None
    if_applicant: str = "superior"  # superior skip decide
    due_hours: int | None = None
    remind_hours: int = 0


@dataclass(frozen=True, slots=True)
class ApprovalWayDef:
    """One of several paths the applicant picks from."""

    key: str
    label: Label
    steps: tuple[ApprovalStepDef, ...]
    description: Label = field(default_factory=dict)
    condition: str | None = None  # "if"


@dataclass(frozen=True, slots=True)
class ApprovalStartDef:
    """`transitions`: it begins after these; `guards`: they are done by this approval only, where its condition holds."""

    button: bool = True
    roles: tuple[str, ...] = ()
    condition: str | None = None  # "if"
    transitions: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalPeopleDef:
    """Whom the applicant of an ad-hoc approval may name, and how many."""

    roles: tuple[str, ...] = ()
    least: int = 1
    most: int = 5


@dataclass(frozen=True, slots=True)
class ApprovalOutcomeDef:
    """Transitions done with the last decision; None leaves the stage alone."""

    approved: str | None = None
    rejected: str | None = None
    withdrawn: str | None = None
    returned: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ApprovalDef:
    """`open_fields` may be changed while it runs; `shown` are told to approvers who may not see the record otherwise."""

    key: str
    label: Label
    entity: str
    description: Label = field(default_factory=dict)
    active: bool = True
    model: str = "fixed"  # fixed predefined adhoc
    start: ApprovalStartDef = field(default_factory=ApprovalStartDef)
    steps: tuple[ApprovalStepDef, ...] = ()
    ways: tuple[ApprovalWayDef, ...] = ()
    people: ApprovalPeopleDef = field(default_factory=ApprovalPeopleDef)
    open_fields: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    outcome: ApprovalOutcomeDef = field(default_factory=ApprovalOutcomeDef)
    may: tuple[str, ...] = APPROVER_ACTS


@dataclass(frozen=True, slots=True)
class FormPartDef:
    """Either `ref`, a field of the main record whose target is picked or made, or `list`, its children that are entered as lines.
    `creates`: ref fields of a line whose target may be made by its name."""

    key: str
    fields: tuple[str, ...]
    label: Label = dataclasses.field(default_factory=dict)
    ref: str | None = None
    list: str | None = None
    creates: tuple[str, ...] = ()
    only: bool = False
    min: int = 0


@dataclass(frozen=True, slots=True, weakref_slot=True)
class FormDef:
    """A page that makes or edits a record of `entity` with its parts in one act. `only`: records of it are entered nowhere else."""

    key: str
    label: Label
    entity: str
    fields: tuple[str, ...]
    parts: tuple[FormPartDef, ...] = ()
    description: Label = field(default_factory=dict)
    only: bool = False
    roles: tuple[str, ...] = ()

    def part(self, key: str) -> FormPartDef | None:
        return next((p for p in self.parts if p.key == key), None)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PricingDef:
    """Price of a line of `entity`. Of the line are product, quantity, list_price, suggested, price, explanation, deviates; of the product
    standard; of the records of price lists (`prices`) what begins so; the rest of the discounts (`strategies`). `match` and `prices_match`:
    field there -> expression over the line; an empty field fits everything."""

    key: str
    label: Label
    entity: str
    product: str
    quantity: str
    suggested: str
    price: str
    strategies: str
    discount: str
    description: Label = field(default_factory=dict)
    where: str | None = None  # other lines keep what they were given
    standard: str | None = None
    list_price: str | None = None
    explanation: str | None = None
    deviates: str | None = None
    day: str | None = None
    prices: str | None = None
    prices_value: str | None = None
    prices_from: str | None = None
    prices_to: str | None = None
    prices_match: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None
    minimum: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    match: Mapping[str, str] = field(default_factory=dict)
    combine: str = "best"  # best sum best_then
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class StatementDef:
    """Records of `entity` counted, or their `measure` added up, by `party` and period of `date`, at the price of the day. `closings`:
    where closed periods are kept, one record a party and period."""

    key: str
    label: Label
    entity: str
    party: str
    date: str
    description: Label = field(default_factory=dict)
    where: str | None = None
    measure: str | None = None
    period: str = "month"  # month quarter year
    prices: str | None = None
    prices_value: str | None = None
    prices_from: str | None = None
    prices_party: str | None = None
    closings: str | None = None
    closed_party: str | None = None
    closed_period: str | None = None
    closed_count: str | None = None
    closed_amount: str | None = None
    columns: tuple[str, ...] = ()  # of the records that are counted, listed below the figures


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LedgerDef:
    """Entries of `entity`, each about a record its field `party` names; `balance` is the rollup over them there. The other names are
    fields too: of the entry direction, origin, origins, reversal, reason, account, expires; of the party never_negative, limit,
    minimum, main. adds, takes, holds, frees are options of the direction."""

    key: str
    label: Label
    entity: str
    party: str
    amount: str
    balance: str
    description: Label = field(default_factory=dict)
    direction: str | None = None
    adds: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    frees: tuple[str, ...] = ()
    deny_negative: bool = True
    never_negative: tuple[str, ...] = ()
    limit: str | None = None
    minimum: str | None = None
    origin: str | None = None
    origins: tuple[str, ...] = ()
    free_origins: tuple[str, ...] = ()
    approved: str | None = None  # the stage an entry starts in where `approved_if` holds
    approved_if: str | None = None
    reversal: str | None = None
    reason: str | None = None
    main: str | None = None
    account: str | None = None
    expires: str | None = None


TRISTATE = "tristate"  # widget of a pipeline field: a box that is grey, ticked or blank


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ChartDef:
    """A drawing. `gantt`: bars from planned and actual dates; `tree`: who stands below whom by the ref field `parent`; `graph`: who is linked
    with whom by records of the entity `links`. It draws the records of `list` on the page of a record of `entity`; without `list` the
    records of `entity` themselves, beside their list (gantt, tree) and around the record (tree, graph)."""

    key: str
    label: Label
    entity: str
    kind: str  # gantt tree graph
    description: Label = field(default_factory=dict)
    list: str | None = None
    shows: tuple[str, ...] = ()
    color_by: str | None = None
    planned_start: str | None = None
    planned_end: str | None = None
    actual_start: str | None = None
    actual_end: str | None = None
    parent: str | None = None
    links: str | None = None
    link_from: str | None = None
    link_to: str | None = None
    link_kind: str | None = None
    symmetric: tuple[str, ...] = ()  # options of `link_kind` without a direction
    link_shows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentPartDef:
    """`list`: the record's lines as a table with `totals`; `ref`: fields of the record it refers to; else its own `fields`, a `text` with
    {{ field }} in it, or the pictures of the field `image`."""

    key: str
    label: Label = field(default_factory=dict)
    ref: str | None = None
    list: str | None = None
    fields: tuple[str, ...] = ()
    totals: tuple[str, ...] = ()
    columns: int = 2
    text: Label = field(default_factory=dict)
    image: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DocumentDef:
    """What a record looks like on paper. `heading` and `signatures` (one a line) are texts with {{ field }} in them; `where`: which records
    have it; `file_field`: where a copy is kept by the action that makes one."""

    key: str
    label: Label
    entity: str
    parts: tuple[DocumentPartDef, ...]
    description: Label = field(default_factory=dict)
    heading: Label = field(default_factory=dict)
    where: str | None = None
    roles: tuple[str, ...] = ()
    paper: str = "a4"
    landscape: bool = False
    logo: bool = True
    page_numbers: bool = True
    signatures: Label = field(default_factory=dict)
    file_field: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ReviewDef:
    """Records of `entity` wait in `stage` and are compared with those its field `target` can name, and with others that wait. `exact` and
    `similar` are fields of it, each compared by itself with the one at the same place in `exact_there` and `similar_there`. What follows are
    transitions of its pipeline, by what was ticked; `each_source` is done with every other one that was ticked, whose field `source` names
    the record then."""

    key: str
    label: Label
    entity: str
    stage: str
    description: Label = field(default_factory=dict)
    target: str | None = None
    source: str | None = None
    target_if: str | None = None
    exact: tuple[str, ...] = ()
    exact_there: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    similar_there: tuple[str, ...] = ()
    threshold: int = 80
    exact_found: str | None = None
    both: str | None = None
    target_only: str | None = None
    sources_only: str | None = None
    nothing: str | None = None
    each_source: str | None = None


EXAMPLE_ACTS = ("create", "update", "transition", "delete", "read")
SYSTEM = "system"  # in the place of a role: no rights are asked


@dataclass(frozen=True, slots=True)
class ExampleRecord:
    """A record an example needs beside its own; others name it as "@key"."""

    key: str
    entity: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExampleDecision:
    role: str  # "as"
    act: str  # approve | reject


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ExampleDef:
    """One situation and what must happen in it. `act` is create update transition delete or read; `values` are what it is given; `decisions`
    are taken on the approval that begins by it."""

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
    decisions: tuple[ExampleDecision, ...] = ()
    message: str | None = None
    then: tuple[str, ...] = ()


CHANNELS = ("email", "sms", "in_app")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TemplateDef:
    """A message about a record. `to`: expressions giving addresses, numbers or people, or "role:key"; `language`: an expression giving a
    locale; `essential`: also sent to those who opted out."""

    key: str
    label: Label
    entity: str
    channels: tuple[str, ...]
    body: Label
    to: tuple[str, ...] = ()
    subject: Label = field(default_factory=dict)
    language: str | None = None
    essential: bool = False


@dataclass(frozen=True, slots=True, weakref_slot=True)
class WebFormDef:
    """A public page whose answers become records. `match`: fields in which a record is the same as one before; `on_match`: fill (what is
    empty), keep, refuse; `embed_on`: origins that may show it in a frame."""

    key: str
    label: Label
    entity: str
    fields: tuple[str, ...]
    required: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    match: tuple[str, ...] = ()
    on_match: str = "fill"
    owner_role: str | None = None
    intro: Label = field(default_factory=dict)
    button: Label = field(default_factory=dict)
    thanks: Label = field(default_factory=dict)
    redirect: str | None = None
    embed_on: tuple[str, ...] = ()
    answers_to: str | None = None  # a survey: the field that refers to the record it asks about
    days: int = 30
    question: bool = False
    per_hour: int = 200
    active: bool = True


@dataclass(frozen=True, slots=True, weakref_slot=True)
class WebhookDef:
    """Tells another system of what happens to records. Where, and the secret, belong to an installation (saas.tenants.integrations)."""

    key: str
    label: Label
    entity: str
    events: tuple[str, ...]
    condition: str | None = None  # "if"
    fields: tuple[str, ...] = ()  # none: all but sensitive and computed ones
    active: bool = True


@dataclass(frozen=True, slots=True, weakref_slot=True)
class InboundHookDef:
    """Takes what another system says, as records. `map`: {field: path in what is sent}; `lookup`: {link field: field of the linked record by
    which it is found}; `once`: the path of what makes a message the same."""

    key: str
    label: Label
    entity: str
    map: Mapping[str, str]
    values: Mapping[str, str] = field(default_factory=dict)
    match: tuple[str, ...] = ()
    on_match: str = "update"
    once: str | None = None
    signed: bool = False
    active: bool = True
    lookup: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ConnectorDef:
    """Another system. Its address and secret belong to an installation (saas.tenants.integrations, kind connector), which may also choose
    another mode. `samples`: what a stub answers, by path."""

    key: str
    label: Label
    description: Label = field(default_factory=dict)
    mode: str = "live"  # live stub
    samples: tuple[Mapping[str, Any], ...] = ()
    active: bool = True

    def sample(self, path: str) -> Mapping[str, Any]:
        return next((s for s in self.samples if s["path"] == path), {})


@dataclass(frozen=True, slots=True, weakref_slot=True)
class MirrorDef:
    """Records of `entity` that are another system's. `match`: the fields of the unique rule that finds one again; `map`: {field: path in a row}; `lookup`:
    {reference: field of what it refers to}; `since`: the parameter of a fetch that names the `mark` (a path in a row; without, the time)
    up to which everything is known; `next` and `page`: where an answer names the next page, and the parameter that asks for it."""

    key: str
    label: Label
    entity: str
    connector: str
    path: str
    match: tuple[str, ...]
    map: Mapping[str, str]
    rows: str | None = None
    lookup: Mapping[str, str] = field(default_factory=dict)
    minutes: int = 60
    since: str | None = None
    mark: str | None = None
    next: str | None = None
    page: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LiveColumnDef:
    key: str
    label: Label
    path: str
    type: str = "text"  # text number money date datetime


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LiveListDef:
    """Rows of another system that belong to a record of `entity`, asked for when somebody looks. `query`: {parameter: expression}; those
    that the path names in braces stand there."""

    key: str
    label: Label
    entity: str
    connector: str
    path: str
    query: Mapping[str, str]
    columns: tuple[LiveColumnDef, ...]
    rows: str | None = None
    roles: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True, weakref_slot=True)
class CallDef:
    """What a record of `entity` sends, and {field: path} of the answer. `lines`: a list of it that is sent along, each as `line`. `once`: a
    record sends it again only after it failed for good."""

    key: str
    label: Label
    entity: str
    connector: str
    path: str
    body: Mapping[str, str]
    method: str = "POST"
    lines: str | None = None
    lines_as: str = "lines"
    line: Mapping[str, str] = field(default_factory=dict)
    answer: Mapping[str, str] = field(default_factory=dict)
    once: bool = True
    active: bool = True


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
    approvals: tuple[ApprovalDef, ...] = ()
    templates: tuple[TemplateDef, ...] = ()
    web_forms: tuple[WebFormDef, ...] = ()
    webhooks: tuple[WebhookDef, ...] = ()
    inbound_hooks: tuple[InboundHookDef, ...] = ()
    connectors: tuple[ConnectorDef, ...] = ()
    mirrors: tuple[MirrorDef, ...] = ()
    live_lists: tuple[LiveListDef, ...] = ()
    calls: tuple[CallDef, ...] = ()
    forms: tuple[FormDef, ...] = ()
    pricing: tuple[PricingDef, ...] = ()
    statements: tuple[StatementDef, ...] = ()
    ledgers: tuple[LedgerDef, ...] = ()
    charts: tuple[ChartDef, ...] = ()
    documents: tuple[DocumentDef, ...] = ()
    reviews: tuple[ReviewDef, ...] = ()
    examples: tuple[ExampleDef, ...] = ()
