"""Frozen dataclasses handed to templates. They hold what is shown, decided and formatted: no template computes anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

Text = str | Markup


@dataclass(frozen=True, slots=True)
class Link:
    """A choice in a menu, tab bar, palette or button row."""

    text: str
    url: str
    icon: str = ""
    current: bool = False
    danger: bool = False
    dialog: bool = False
    download: bool = False
    back: bool = False
    count: str = ""
    go: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class NavGroup:
    title: str
    items: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame around every page of a signed-in person."""

    tenant_name: str
    mark: str
    user_name: str
    user_email: str
    user_mark: str
    user_color: str
    nav: tuple[NavGroup, ...] = ()
    bottom: tuple[Link, ...] = ()
    creates: tuple[Link, ...] = ()
    unread: int = 0
    unread_text: str = ""
    settings: bool = False
    in_settings: bool = False
    keys: bool = True
    logo: str = ""
    is_portal: bool = False  # somebody outside: their own menu, and little else
    approvals: tuple[Link, ...] = ()  # approvals and forms, where there are any
    is_support: bool = False  # an operator looks in: nothing here is theirs


@dataclass(frozen=True, slots=True)
class Toast:
    text: str
    kind: str = "good"  # good warn error


@dataclass(frozen=True, slots=True)
class Empty:
    icon: str
    title: str
    text: str = ""
    actions: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a select, check list or operator list."""

    key: str
    text: str
    on: bool = False
    color: str = "gray"


@dataclass(frozen=True, slots=True)
class Cell:
    html: Text
    css: str = ""
    tip: str = ""
    link: bool = False  # the cell that names the row and opens it
    url: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    num: bool = False
    key: str = ""
    sort_url: str = ""
    direction: str = ""  # up down


@dataclass(frozen=True, slots=True)
class RowView:
    id: str
    url: str
    title: str
    cells: tuple[Cell, ...]
    restore_url: str = ""
    group: Text = ""  # what this row and those below it have in common
    beside: bool = False  # it opens beside the list
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class FilterEditor:
    field: str
    label: str
    kind: str  # options picker date bool number text
    op: str
    ops: tuple[Choice, ...]
    params: tuple[tuple[str, str], ...]
    options: tuple[Choice, ...] = ()
    value: str = ""
    value2: str = ""
    lookup: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    field: str
    label: str
    op_text: str
    value_text: str
    remove_url: str
    editor: FilterEditor | None = None


Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SourceView:
    """How fresh what another system keeps is. `url`: where that can be looked into."""

    text: str
    full: str = ""
    late: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListView:
    """A list or, with `columns` holding BoardColumnViews, a board."""

    title: str
    icon: str
    url: str
    columns: tuple[Any, ...] = ()
    rows: tuple[RowView, ...] = ()
    tabs: tuple[Link, ...] = ()
    modes: tuple[Link, ...] = ()
    more: tuple[Link, ...] = ()
    chips: tuple[Chip, ...] = ()
    filter_fields: tuple[Link, ...] = ()
    adding: FilterEditor | None = None
    column_choices: tuple[Choice, ...] = ()
    column_params: Params = ()
    search_params: Params = ()
    limit_params: Params = ()
    clear_url: str = ""
    reset_columns_url: str = ""
    q: str = ""
    new_url: str = ""
    new_text: str = ""
    bulk_url: str = ""
    can_select: bool = False
    can_bulk: bool = False
    can_merge: bool = False
    can_send: bool = False
    can_delete: bool = False
    bulk_moves: tuple[Choice, ...] = ()
    pool_acts: tuple[Choice, ...] = ()  # with ticked records
    limit: int = 50
    limits: tuple[int, ...] = (25, 50, 100)
    count_text: str = ""
    exact_url: str = ""
    prev_url: str = ""
    next_url: str = ""
    empty: Empty | None = None
    hint: str = ""  # why it took long
    claim_url: str = ""  # takes the next one of the pool that is shown
    claim_pool: str = ""
    standing: str = ""  # how many one holds, and may hold
    has_panel: bool = False
    panel: PanelView | None = None
    sources: tuple[SourceView, ...] = ()  # where mirrored records come from


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field with its value, read-only."""

    key: str
    label: str
    html: Text
    tip: str = ""
    help: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    id: str
    version: int
    url: str
    move_url: str
    title: str
    fields: tuple[ShownField, ...] = ()
    targets: str = ""
    locked: bool = False
    age: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardColumnView:
    key: str
    label: str
    color: str
    count: int
    sum: str
    cards: tuple[CardView, ...]
    more_url: str = ""


@dataclass(frozen=True, slots=True)
class StageView:
    key: str
    label: str
    color: str
    css: str = ""  # past current next
    current: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """A transition on offer. `direct`: nothing to ask, a click posts it."""

    key: str
    label: str
    url: str
    css: str = ""
    direct: bool = False
    to: str = ""
    color: str = "gray"


@dataclass(frozen=True, slots=True)
class ShownSection:
    label: str
    fields: tuple[ShownField, ...]
    columns: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedView:
    key: str
    entity: str
    label: str
    icon: str
    columns: tuple[Column, ...]
    rows: tuple[RowView, ...]
    count_text: str = ""
    new_url: str = ""
    new_text: str = ""
    all_url: str = ""


@dataclass(frozen=True, slots=True)
class ChangeView:
    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    kind: str
    icon: str
    actor: str
    text: str
    iso: str
    time: str
    full: str
    url: str = ""
    changes: tuple[ChangeView, ...] = ()


@dataclass(frozen=True, slots=True)
class DayView:
    label: str
    entries: tuple[EventView, ...]


@dataclass(frozen=True, slots=True)
class TimelineView:
    days: tuple[DayView, ...]
    kinds: tuple[Link, ...]
    kind_text: str
    more_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    id: str
    entity: str
    entity_plural: str
    icon: str
    title: str
    version: int
    url: str
    absolute_url: str
    list_url: str
    edit_url: str = ""
    menu: tuple[Link, ...] = ()
    stage: StageView | None = None
    age: str = ""
    late: bool = False
    header: tuple[ShownField, ...] = ()
    path: tuple[StageView, ...] = ()
    transitions: tuple[Button, ...] = ()
    buttons: tuple[Button, ...] = ()
    pool_acts: tuple[Button, ...] = ()
    tabs: tuple[Any, ...] = ()
    sections: tuple[ShownSection, ...] = ()
    related: tuple[RelatedView, ...] = ()
    boxes: Any = None  # the stage as a three-state box
    drawing: Any = None  # of the tab that is open
    timeline: TimelineView | None = None
    side_timeline: bool = False
    deleted_text: str = ""
    restore_url: str = ""
    starts: tuple[Link, ...] = ()  # approvals that can be started
    approval: Any = None  # the newest one, while it is under way or has just ended
    approval_url: str = ""
    sources: tuple[SourceView, ...] = ()  # where a mirrored record comes from
    live: tuple[Link, ...] = ()  # lists of other systems that are asked for now


@dataclass(frozen=True, slots=True)
class TabView:
    label: str
    url: str
    current: bool = False
    count: str = ""


@dataclass(frozen=True, slots=True)
class FormField:
    key: str
    html: Markup


@dataclass(frozen=True, slots=True)
class FormSection:
    label: str
    fields: tuple[FormField, ...]
    columns: int = 2


@dataclass(frozen=True, slots=True)
class Problem:
    label: str
    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    label: str
    now: str
    yours: str


@dataclass(frozen=True, slots=True)
class ConflictView:
    title: str
    text: str
    changes: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class TwinView:
    """A record that may be the same. Without `id` the reader may not see it, and `lines` are what the rule reveals all the same."""

    title: str
    id: str = ""
    url: str = ""
    owner: str = ""
    score: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    usable: bool = False  # may be taken instead of making a new one


@dataclass(frozen=True, slots=True)
class AlikeView:
    """Records that may be the same as what is being typed. `action`: what saving would say of it, block or warn; "" where only names are alike."""

    text: str
    action: str = ""
    matches: tuple[TwinView, ...] = ()


@dataclass(frozen=True, slots=True)
class DuplicatesView:
    text: str
    matches: tuple[TwinView, ...] = ()
    may_confirm: bool = True
    needs_reason: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """A form for a record or a transition."""

    title: str
    action: str
    submit: str
    cancel_url: str
    entity_plural: str = ""
    list_url: str = ""
    record_url: str = ""
    record_title: str = ""
    id: str = "form"
    version: int | None = None
    sections: tuple[FormSection, ...] = ()
    hidden: Params = ()
    enctype: str = "application/x-www-form-urlencoded"
    guard: bool = False
    dialog: bool = False
    panel: bool = False  # it stands beside a list
    depends: str = ""  # keys of the fields others depend on
    refresh_url: str = ""
    confirm: str = ""
    lines: tuple[str, ...] = ()  # what follows, below the question
    foretold_url: str = ""  # what it would make is asked for here
    foretold: ForetoldView | None = None
    submit_css: str = "primary"
    pool_text: str = ""  # a second button: saved without an owner
    problem_title: str = ""
    problems: tuple[Problem, ...] = ()
    more: Link | None = None  # the way to more than the plan allows
    conflict: ConflictView | None = None
    duplicates: DuplicatesView | None = None
    alike_url: str = ""  # where it is asked, while somebody types, what there may be already
    alike_fields: str = ""
    alike_now: bool = False


@dataclass(frozen=True, slots=True)
class PanelView:
    """A record beside its list; without an id a new one."""

    id: str
    title: str
    icon: str
    url: str
    close_url: str
    here: str  # the list with this record open
    form: FormView | None = None
    sections: tuple[ShownSection, ...] = ()
    transitions: tuple[Button, ...] = ()
    version: int | None = None
    stage: StageView | None = None
    delete_url: str = ""
    dialog_query: str = ""


@dataclass(frozen=True, slots=True)
class MadeList:
    """Lines of a record that would be made; cells are (text, whether it is a number)."""

    label: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]


@dataclass(frozen=True, slots=True)
class MadeView:
    """A record that would be made: what it is, its figures, its lines."""

    label: str
    icon: str
    fields: tuple[tuple[str, str], ...]
    lists: tuple[MadeList, ...]


@dataclass(frozen=True, slots=True)
class ForetoldView:
    """What would be made, or why nothing would."""

    made: tuple[MadeView, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class MoveView:
    title: str
    transitions: tuple[Button, ...]
    record_url: str
    next: str
    dialog: bool = False


@dataclass(frozen=True, slots=True)
class DeleteView:
    title: str
    text: str
    action: str
    cancel_url: str
    version: int
    hint: str = ""
    error: str = ""
    next: str = ""  # where it goes on afterwards; else the list
    along: tuple[str, ...] = ()  # what goes with it, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkView:
    title: str
    text: str
    action: str
    act: str
    ids: tuple[str, ...]
    cancel_url: str
    submit: str = ""
    submit_css: str = "primary"
    fields: tuple[Choice, ...] = ()
    field: str = ""
    control: Markup | None = None
    asked: tuple[tuple[str, tuple[str, ...]], ...] = ()  # questions, each with what follows
    failures: tuple[Any, ...] = ()
    failure_text: str = ""


@dataclass(frozen=True, slots=True)
class TableView:
    columns: tuple[Column, ...]
    rows: tuple[RowView, ...]
    totals: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class ChartView:
    id: str
    label: str
    json: Markup
    tall: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    text: str
    note: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    text: str
    percent: int


@dataclass(frozen=True, slots=True)
class NumberView:
    text: str
    url: str = ""
    delta: Delta | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WidgetView:
    key: str
    title: str
    width: int
    html: Markup | str = ""
    help: str = ""
    url: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ParamView:
    key: str
    label: str
    options: tuple[Choice, ...]
    dates: bool = False  # two days of one's own may be given instead
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    title: str
    icon: str
    url: str
    widgets: tuple[WidgetView, ...]
    description: str = ""
    params: tuple[ParamView, ...] = ()
    actions: tuple[Link, ...] = ()
    charts: bool = False
    empty: Empty | None = None


@dataclass(frozen=True, slots=True)
class NoteView:
    id: str
    url: str
    title: str
    body: str
    iso: str
    time: str
    full: str
    read: bool


@dataclass(frozen=True, slots=True)
class Hit:
    id: str
    url: str
    text: str
    icon: str
    note: str
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    email: str
    roles: str
    department: str = ""
    errors: dict[str, str] = field(default_factory=dict)
