"""What a field type, widget, trigger and action must offer, and their registries (filled by saas.runtime.load_kinds).

Metadata checks definitions through these without knowing the engine. Contract: docs/howto/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from saas.i18n import LazyString, lazy
from saas.metadata.formats import fast_validator
from saas.registry import Registry

if TYPE_CHECKING:  # names for readers only
    from markupsafe import Markup

    from saas.metadata.config import Config
    from saas.metadata.models import FieldDef

# Where a value is stored. TEXT, INT, FLOAT, TIME and UUID are typed slot columns of the record row; DOC is a key of its
# JSONB document; STATE is the row's `state` column; LINKS are rows of the link table; NONE is computed when read.
Storage = Literal["text", "int", "float", "time", "uuid", "doc", "state", "links", "none"]

# Types of the expression language. ref and user compare as ids, option as its key, money as its amount.
ExprType = Literal["text", "number", "bool", "date", "datetime", "ref", "user", "dept", "option", "list", "any"]

# Where the gallery of types shows a type.
Group = Literal["text", "number", "choice", "time", "people", "link", "file", "computed", "special"]

# What the ids in a value are ids of; "" where the value holds none.
Held = Literal["", "record", "user", "dept", "file"]

_MISREAD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)  # what values of unknown origin may cause


@dataclass(frozen=True, slots=True)
class Source:
    """A value of another field that is to become one of this type: the JSON `value` and its displayed `text`. For a formula or
    rollup, `kind` and `field` are those of its result."""

    kind: FieldType
    field: FieldDef
    value: Any
    text: str

    def number(self, config: Config) -> Decimal | None:
        """Its number, where it has one."""
        return self.kind.to_number(self.field, self.value, config)

    def written(self, config: Config) -> str:
        """It as text; empty where no text says what it is."""
        return self.kind.to_text(self.field, self.value, self.text, config)

    def expr_type(self, config: Config) -> ExprType:
        return self.kind.expr_type_of(self.field, config)

    def points_like(self, kind: FieldType, field: FieldDef) -> bool:
        """Whether its ids are ids of the same things as those of `field`."""
        return self.kind.holds == kind.holds != "" and self.field.options.get("to") == field.options.get("to")


class FieldType:
    """Behaviour of one field type. Values are JSON values as the API shows them (docs/packs.md, section 5); null is never passed
    to the methods below unless said so. Methods are pure and synchronous.
    """

    key: ClassVar[str]
    label: ClassVar[LazyString]
    description: ClassVar[LazyString]  # when to use it, in one line
    group: ClassVar[Group]
    icon: ClassVar[str] = "text"
    storage: ClassVar[Storage]
    expr_type: ClassVar[ExprType]
    # JSON Schema (object) of the type's own properties in a bundle, `additionalProperties: false`, with `default`s and `title`s.
    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
    # Filter ops offered, in order; see saas.metadata.expressions.OPS.
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "is_empty")
    sortable: ClassVar[bool] = True
    groupable: ClassVar[bool] = False  # may be a report dimension or board column
    summable: ClassVar[bool] = False  # may be a measure other than count
    computed: ClassVar[bool] = False  # never written by people
    additive: ClassVar[bool] = False  # a sum or average is a value of the same type (money), not just a number
    spoken: ClassVar[bool] = False  # files carry the displayed text: the number behind it would be misread
    align_end: ClassVar[bool] = False  # right-aligned tabular figures
    holds: ClassVar[Held] = ""
    many: ClassVar[bool] = False  # the value is a list
    grouped: ClassVar[bool] = False  # its control is several inputs, named by the label's id `l-{id}` instead of <label for>
    # What to type; shown when a value does not have the shape value_schema wants.
    expects: ClassVar[LazyString] = lazy("This value cannot be understood")
    # For the contract tests: JSON values that must pass and must be refused for a field with EXAMPLE_OPTIONS.
    EXAMPLE_OPTIONS: ClassVar[Mapping[str, Any]] = {}
    EXAMPLES: ClassVar[tuple[Any, ...]] = ()
    BAD_EXAMPLES: ClassVar[tuple[Any, ...]] = ()

    def result_of(self, field: FieldDef, config: Config) -> tuple[FieldType, FieldDef]:
        """The type and definition that describe the values: itself; for formula and rollup those of their result
        (ask it for operators, align_end, …)."""
        return self, field

    def storage_of(self, field: FieldDef, config: Config) -> Storage:
        """Where this field is stored: `storage`, unless it depends on the field's options. Always ask this one."""
        return self.storage

    def expr_type_of(self, field: FieldDef, config: Config) -> ExprType:
        """Its type in expressions: `expr_type`, unless it depends on the field's options. Always ask this one."""
        return self.expr_type

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        """JSON Schema (2020-12) of a present, non-null value."""
        raise NotImplementedError

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        """The canonical JSON value ("+86…" for a phone, {"amount": "12.50", …} for 12.5). Called before validation against
        value_schema, with whatever the API got: leave what cannot be understood as it is. Empty text becomes None."""
        return value

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        """What a JSON Schema cannot say: [(code, message)]. Called with a normalised value that passed the schema."""
        return []

    def problems_among(
        self, field: FieldDef, value: Any, old: Any, values: Mapping[str, Any], config: Config
    ) -> list[tuple[str, LazyString]]:
        """What depends on the value before (`old`, None for a new record) or on the record's other values after the change
        (`values`): a retired option newly chosen, an option that does not belong to its parent. Called for changed fields."""
        return []

    def bound_expressions(self, field: FieldDef) -> Mapping[str, str]:
        """{"min": text, "max": text}: bounds that are expressions over the record, which the engine evaluates and compares."""
        return {}

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        """The JSON value of a form control's strings (all values posted under the field's key, possibly empty).
        Returns None for empty input; returns the text itself when it cannot be understood (validation then says why)."""
        text = raw[-1].strip() if raw else ""
        return text or None

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        """What input.html gets as `value`; the reverse of from_form. `value` may be None, or text that was not understood.
        Never raises."""
        return value

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        """JSON value -> what asyncpg wants for the storage kind (str, int, float, aware datetime, UUID; any JSON for doc).
        Pass `config`: money in the tenant's currency and rollups cannot do without."""
        return value

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        """The reverse of to_column."""
        return value

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        """JSON value -> Python value inside expressions: str, Decimal, bool, date, aware datetime, list, None.
        Pass `config`: rollups need it."""
        return value

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        """The reverse of to_expr: result of a default, formula or `set` -> JSON value."""
        return value

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        """Plain text for people, e.g. "¥12.50", "关键客户". Names of refs, users and departments are resolved by the caller."""
        return str(value)

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        """Safe HTML for a table cell where plain text is not enough (badge, link, stars), made without a template.
        None: show `text`, escaped. `text` is the displayed text, with names resolved."""
        return None

    # ---- when a field's type changes

    def convert(self, field: FieldDef, old_field: FieldDef, value: Any, text: str, config: Config) -> Any:
        """The canonical JSON value for a `value` of `old_field` that is displayed as `text`; None when it is lost. Whatever a type
        may mean by it (`readings`) is tried in turn; nothing is cut, rounded or guessed to make it fit. Never raises."""
        if value is None:
            return None
        try:
            source = Source(*_result(old_field, config), value, text)
            return next((found for reading in self.readings(field, source, config) if (found := self.taken(field, reading, config)) is not None), None)
        except _MISREAD:
            return None

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterable[Any]:
        """What a value of another type may mean here, the best first: JSON values, not yet normalised or validated."""
        yield source.value
        yield self.from_form(field, [source.text], config)

    def taken(self, field: FieldDef, value: Any, config: Config) -> Any:
        """The canonical value, or None where it is empty or would be refused."""
        value = None if value is None else self.normalise(field, value, config)
        if value is None:
            return None
        # The entry keeps the field, so its id is never reused within this configuration.
        validator = config.cached(("kinds.validator", id(field)), lambda: (field, fast_validator(self.value_schema(field, config))))[1]
        return value if validator.is_valid(value) and not self.problems(field, value, config) else None

    def to_number(self, field: FieldDef, value: Any, config: Config) -> Decimal | None:
        """The number a value stands for when a field becomes numeric; None where it stands for none."""
        return self.to_expr(field, value, config) if self.expr_type_of(field, config) == "number" else None

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        """What becomes of a value when a field becomes text: what people see (`text`), unless that depends on who looks."""
        return text


@dataclass(frozen=True, slots=True)
class WidgetParts:
    """What a widget can be put together from. `orders` says what it can be sorted by: "figures" (value, label), "records" (fields) or
    "" (nothing); `over_time`: periods make the better picture."""

    dimensions: int = 0  # at most
    measures: int = 0  # at most
    orders: Literal["figures", "records", ""] = ""
    over_time: bool = False


def _result(field: FieldDef, config: Config) -> tuple[FieldType, FieldDef]:
    """What describes the values of a field of another revision: what it is computed from may be gone from this one."""
    kind = field_types.get(field.type)
    try:
        return kind.result_of(field, config)
    except _MISREAD:
        return kind, field


class WidgetType:
    """One kind of figure or chart; the runtime loads it, a template in its folder draws it."""

    key: ClassVar[str]
    label: ClassVar[LazyString]
    icon: ClassVar[str] = "chart-bar"
    about: ClassVar[LazyString | str] = ""  # one line for those who choose
    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
    min_dimensions: ClassVar[int] = 0  # fewest dimensions it can draw

    def parts(self, options: Mapping[str, Any]) -> WidgetParts:
        """What the designer offers for it, given its own options."""
        return WidgetParts(dimensions=self.min_dimensions)

    async def load(self, ctx: Any, widget: Any, extra_filter: Any = None) -> Any:
        """Read what the template needs: a plain dict, JSON-serialisable (the API returns the same)."""
        raise NotImplementedError


class TriggerType:
    """When an automation runs."""

    key: ClassVar[str]
    label: ClassVar[LazyString]
    options_schema: ClassVar[Mapping[str, Any]]

    def matches(self, trigger: Any, change: Any) -> bool:
        """Whether it begins a run for the record it happened to."""
        raise NotImplementedError

    def relation(self, trigger: Any) -> str | None:
        """The relation whose children it looks at, for one that looks at children; else None."""
        return None

    def matches_child(self, trigger: Any, change: Any, field: str) -> bool:
        """Whether what happened to a child, linked by `field`, begins a run for its parent."""
        return False

    def expressions(self, options: Mapping[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
        """(path, text, entity or None for the automation's own, expected type) of its expressions."""
        return []


NESTS = ("then", "else", "do")  # properties of steps that hold steps


class ActionType:
    """What an effect or automation does, inside the caller's transaction.

    The designer draws its form from `options_schema`, by `x-control` and, for texts, `x-rows`. `formulas` names the options that hold
    expressions, with the type each must have (None: any): one, a list (where “role:…” is a role) or one for each key.
    """

    key: ClassVar[str]
    label: ClassVar[LazyString]
    icon: ClassVar[str] = "bolt"
    options_schema: ClassVar[Mapping[str, Any]]
    formulas: ClassVar[Mapping[str, Any]] = {}
    before_save: ClassVar[bool] = False  # possible while the record is not written yet
    nests: ClassVar[tuple[str, ...]] = ()  # lists of steps it holds, of NESTS
    waits: ClassVar[bool] = False  # it ends the caller's transaction: what follows runs later
    can_retry: ClassVar[bool] = True  # whether trying it again later may help
    internal: ClassVar[bool] = False  # follows from other definitions; nobody chooses it
    posts_entries: ClassVar[bool] = False  # its `entity` must be that of a ledger's entries
    foretold: ClassVar[bool] = False  # people are shown what it makes before they do it
    makes_record: ClassVar[bool] = False  # later actions may name what it made, by its `as`
    looks_among: ClassVar[bool] = False  # its `where` and `order` are about records of its `entity`, in the database; new.… is the record itself

    def expressions(self, options: Mapping[str, Any]) -> list[tuple[str, str, str | None, Any]]:
        """(path, text, entity or None for the record the action runs on, expected type or None) of each, for those who check them."""
        return [(path, text, None, expected) for name, expected in self.formulas.items() for path, text in _texts_of(name, options.get(name))]

    def relation(self, options: Mapping[str, Any]) -> str | None:
        """The relation whose children its steps, and its own `where`, are about; None: the record itself."""
        return None

    def problems(self, options: Mapping[str, Any]) -> list[tuple[str, str, LazyString, LazyString]]:
        """What a JSON Schema cannot say about its options: (property or "", code, message, hint)."""
        return []

    async def run(self, run: Any, options: Mapping[str, Any]) -> Any:
        raise NotImplementedError


def _texts_of(name: str, option: Any) -> list[tuple[str, str]]:
    if isinstance(option, Mapping):
        return [(f"{name}.{key}", text) for key, text in option.items()]
    if isinstance(option, list | tuple):
        return [(f"{name}[{i}]", text) for i, text in enumerate(option) if not text.startswith("role:")]
    return [(name, option)] if option else []


field_types: Registry[FieldType] = Registry("field type")
widget_types: Registry[WidgetType] = Registry("widget type")
trigger_types: Registry[TriggerType] = Registry("trigger")
action_types: Registry[ActionType] = Registry("action")
