"""What a question makes the database read: which of its conditions and orders an index serves, which do not, and why. Pure:
says it from the configuration alone; `saas.runtime.advisor` measures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from saas.errors import BadRequest, TooSlow
from saas.i18n import gettext as _
from saas.i18n import listed, pick
from saas.metadata.config import Config, Entity
from saas.metadata.expressions import nodes
from saas.metadata.models import FieldDef
from saas.metadata.slots import SLOTS
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.query import filter_node
from saas.runtime.sql import SYSTEM_COLUMNS, column_of

# Columns of every record that have an index for all entities.
GENERAL = {"owner_id", "state", "created_at", "updated_at", "deleted_at", "id"}
# With fewer records a list sorts and counts in some 25 ms without any index (docs/configuration.md).
FEW = 20_000
RANGES = ("==", "<", "<=", ">", ">=")
TEXT_CALLS = ("contains", "starts_with", "ends_with")


@dataclass(frozen=True, slots=True)
class Burden:
    """One part of a question that makes the database look at every record.

    `why`: unindexed (an index for `field` would serve it), text (a piece of text looked for inside others), computed (worked out
    when read), crowded (the entity has more fields than columns), linked (stands in other records), other.
    """

    why: str
    use: str  # filter, sort, search
    field: FieldDef | None = None
    entity: str = ""

    @property
    def can_be_indexed(self) -> bool:
        return self.why == "unindexed"


def is_served(config: Config, entity: Entity, field: FieldDef) -> bool:
    """Does an index serve comparisons with the field's value and lists sorted by it?"""
    column = column_of(config, entity, field)
    if column is None:
        return False
    return column in GENERAL or is_general(column) or (field.key in entity.declared and field.indexed)


def is_general(column: str) -> bool:
    """Whether every entity's values in this column are in an index anyway."""
    return column[1:].isdigit() and any(letter == column[0] and int(column[1:]) <= low for letter, _n, low in SLOTS.values())


def burden_of(config: Config, entity: Entity, field: FieldDef, use: str) -> Burden | None:
    """What comparing with, or sorting by, the field costs; None where an index serves it."""
    if is_served(config, entity, field):
        return None
    column = column_of(config, entity, field)
    if column is not None and not field.system:
        return Burden("unindexed", use, field, entity.key)
    if field.type == "formula":
        return Burden("computed", use, field, entity.key)
    return Burden("other" if field.key in SYSTEM_COLUMNS else "crowded", use, field, entity.key)


def of_sort(config: Config, entity: Entity, sorts: Sequence[str]) -> list[Burden]:
    """The first key decides: what it leaves equal is little."""
    key = sorts[0].removeprefix("-") if sorts else "created_at"
    field = entity.fields.get(key)
    found = burden_of(config, entity, field, "sort") if field else None
    return [found] if found else []


def of_filter(ctx: Context, entity: Entity, filter_: Any) -> list[Burden]:
    """The conditions of a filter that no index serves, each field once. One that cannot be understood burdens nobody."""
    try:
        node = filter_node(ctx, entity, filter_)
    except BadRequest:
        return []
    if node is None:
        return []
    found: dict[tuple[str, str], Burden] = {}
    for burden in _below(ctx.config, entity, node):
        found.setdefault((burden.why, burden.field.key if burden.field else ""), burden)
    return list(found.values())


def served_fields(ctx: Context, entity: Entity, filter_: Any) -> list[FieldDef]:
    """Fields of conditions that all records must meet and an index serves: what narrows a list quickly."""
    try:
        node = filter_node(ctx, entity, filter_)
    except BadRequest:
        return []
    if node is None:
        return []
    items = node.items if isinstance(node, nodes.Logic) and node.op == "and" else (node,)
    keys = [p.parts[0] for item in items if (p := _compared(item)) is not None and len(p.parts) == 1]
    return [entity.fields[k] for k in keys if k in entity.fields and is_served(ctx.config, entity, entity.fields[k])]


def _compared(node: Any) -> nodes.Path | None:
    """The field of a condition that an index could serve."""
    if isinstance(node, nodes.Binary) and node.op in RANGES and isinstance(node.left, nodes.Path):
        return node.left
    if isinstance(node, nodes.In) and not node.negated and isinstance(node.item, nodes.Path):
        return node.item
    if isinstance(node, nodes.Call) and node.name == "in_period" and node.args and isinstance(node.args[0], nodes.Path):
        return node.args[0]
    return None


def _below(config: Config, entity: Entity, node: Any) -> Iterable[Burden]:
    """Every part of a condition that no index serves."""
    if isinstance(node, nodes.Logic) or (isinstance(node, nodes.Unary) and node.op == "not"):
        for item in node.parts_below():
            yield from _below(config, entity, item)
        return
    if isinstance(node, nodes.Call) and node.name in TEXT_CALLS:
        field = _field(entity, node.args[0])
        yield Burden("text", "filter", field, entity.key)
        return
    if (path := _compared(node)) is not None:
        field = _field(entity, path)
        if field is not None and len(path.parts) == 1:
            burden = burden_of(config, entity, field, "filter")
            if burden is not None:
                yield burden
            return
    for part in _paths(node):
        field = _field(entity, part)
        yield Burden("linked" if len(part.parts) > 1 else "other", "filter", field, entity.key)


def _paths(node: Any) -> list[nodes.Path]:
    return [n for n in nodes.walk(node, into_children=False) if isinstance(n, nodes.Path)]


def _field(entity: Entity, node: Any) -> FieldDef | None:
    return entity.fields.get(node.parts[0]) if isinstance(node, nodes.Path) else None


# ---- in words -----------------------------------------------------------------------------------------------------------


def burden_words(locale: str, burden: Burden) -> str:
    """Why this part takes long, as a sentence."""
    name = pick(burden.field.label, locale) if burden.field else ""
    if burden.why == "text":
        return _("“%(field)s” is searched for a piece of text in every record.", field=name)
    if burden.why == "computed":
        return _("“%(field)s” is computed for every record while reading.", field=name)
    if burden.why == "linked":
        return _("“%(field)s” leads to other records, which are read, too.", field=name)
    if burden.why == "crowded":
        return _("“%(field)s” has no column of its own, because this entity has more fields than columns.", field=name)
    if burden.why == "unindexed" and burden.use == "sort":
        return _("All records are sorted by “%(field)s”, which has no index.", field=name)
    return _("“%(field)s” is compared in every record, because it has no index.", field=name)


def advice(ctx: Context, burdens: Sequence[Burden]) -> str:
    """What the reader can do about it, and what an administrator can."""
    parts = []
    if any(b.why == "text" for b in burdens):
        parts.append(_("Use the search above the list instead of “contains”: it has an index of words."))
    parts += index_advice(ctx, burdens)
    parts.append(_("Narrow it down with one more condition, such as a period or a person."))
    return " ".join(parts)


def index_advice(ctx: Context, burdens: Sequence[Burden]) -> list[str]:
    """Who can make the fields fast that an index would serve, as a sentence; none where there are none."""
    indexable = list(dict.fromkeys(pick(b.field.label, ctx.locale) for b in burdens if b.can_be_indexed and b.field))
    if not indexable:
        return []
    names = listed(f"“{f}”" for f in indexable)
    if permissions.may_configure(ctx, "config"):
        return [_("Make %(fields)s fast to sort and filter: Settings → Speed.", fields=names)]
    return [_("Ask an administrator to make %(fields)s fast to sort and filter.", fields=names)]


def too_slow(ctx: Context, entity: Entity, operation: Any, seconds: float) -> TooSlow:
    """The error for an operation the database stopped: names what takes long, and what to do."""
    burdens = [b for b in of_operation(ctx, entity, operation) if b.field is None or permissions.static_access(ctx, entity).get(b.field.key, "hidden") != "hidden"]
    said = [_("This was stopped after %(seconds)s seconds: there are too many records for it.", seconds=f"{seconds:g}")]
    said += [burden_words(ctx.locale, b) for b in burdens[:3]]
    fields = [b.field.key for b in burdens if b.field]
    return TooSlow(" ".join([*said, advice(ctx, burdens)]), seconds=seconds, fields=fields, reason=burdens[0].why if burdens else "many")


def of_operation(ctx: Context, entity: Entity, operation: Any) -> list[Burden]:
    """What an operation makes the database look through: its own filters and order, and its view's."""
    view = next((v for v in ctx.config.views(entity.key) if v.key == getattr(operation, "view", None)), None)
    found = [b for f in (getattr(operation, "filter", None), getattr(operation, "within", None), view.filter if view else None) for b in of_filter(ctx, entity, f)]
    if isinstance(operation, ops.List):
        found += of_sort(ctx.config, entity, tuple(operation.sort or (view.sort if view else ()) or ()))
    return found


__all__ = ["FEW", "Burden", "advice", "burden_of", "burden_words", "index_advice", "is_served", "of_filter", "of_operation", "of_sort", "served_fields", "too_slow"]
