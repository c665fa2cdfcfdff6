"""What the designer's pages of entities and fields show: rows, marks and heads, from the draft's JSON and what can be understood of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saas.i18n import gettext as _
from saas.i18n import listed, titled
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.counts import ENOUGH
from saas.ui import formats
from saas.ui.builder.desk import Desk
from saas.ui.views import Choice, Link

Raw = Mapping[str, Any]


def entity_words(desk: Desk, key: str) -> str:
    """What people call one record of an entity; its key where it has no name."""
    found = next((e for e in desk.raw.get("entities", ()) if e.get("key") == key), {})
    return desk.words(found.get("label"), key)


def field_words(desk: Desk, entity: str, key: str) -> str:
    found = desk.config.entities.get(entity)
    return desk.words(found.fields[key].label, key) if found and key in found.fields else key


def entity_rows(desk: Desk, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [_entity_row(desk, e, counts) for e in desk.raw.get("entities", ())]


def _entity_row(desk: Desk, raw: Raw, counts: Mapping[str, int]) -> dict[str, Any]:
    key, found = raw["key"], counts.get(raw["key"])
    problems = desk.problems_at(f"entities[{key}]")
    return {
        "key": key, "url": f"/settings/entities/{key}", "icon": raw.get("icon", "box"), "plural": desk.words(raw.get("plural") or raw.get("label"), key), "fields": len(raw.get("fields", ())),
        "records": "–" if found is None else count_words(desk, found), "description": desk.words(raw.get("description")), "is_new": key not in desk.ask.ctx.config.entities,
        "problems": "; ".join(str(p.message) for p in problems[:3]),
    }  # fmt: skip


def count_words(desk: Desk, count: int) -> str:
    number = formats.number(desk.ask.ctx, count)
    return _("%(number)s or more", number=number) if count >= ENOUGH else number


def head(desk: Desk, key: str, current: str) -> dict[str, Any]:
    """The head of an entity's pages, with its tabs."""
    raw = desk.find(f"entities[{key}]")
    url, entity = f"/settings/entities/{key}", desk.config.entities.get(key)
    rules = sum(len(raw.get(name, ())) for name in ("rules", "unique", "duplicates"))
    links = sum(f.get("type") in ("ref", "m2m") for f in raw.get("fields", ())) + (len(entity.children) if entity else 0)
    tabs = [
        Link(_("Fields"), url, "forms", current == "fields", count=str(len(raw.get("fields", ())))),
        Link(_("Relations"), f"{url}/relations", "relations", current == "relations", count=str(links or "")),
        Link(_("Rules"), f"{url}/rules", "circle-check", current == "rules", count=str(rules or "")),
        Link(_("Properties"), f"{url}/properties", "adjustments", current == "properties"),
        Link(_("Views"), f"/settings/views?entity={key}", "list-details"),
        Link(_("Layouts"), f"/settings/layouts?entity={key}", "layout"),
    ]  # fmt: skip
    if pipeline := next((p for p in desk.raw.get("pipelines", ()) if p.get("entity") == key), None):
        tabs.append(Link(_("Pipeline"), f"/settings/pipelines/{pipeline['key']}", "pipeline"))
    return {
        "key": key, "url": url, "icon": raw.get("icon", "box"), "plural": desk.words(raw.get("plural") or raw.get("label"), key), "label": desk.words(raw.get("label"), key),
        "description": desk.words(raw.get("description")), "is_new": key not in desk.ask.ctx.config.entities, "tabs": tabs, "problems": len(desk.problems_at(f"entities[{key}]")),
    }  # fmt: skip


# ---- fields -------------------------------------------------------------------------------------------------------------


def field_rows(desk: Desk, key: str) -> list[dict[str, Any]]:
    raw, live = desk.find(f"entities[{key}]"), desk.ask.ctx.config.entities.get(key)
    return [_field_row(desk, key, f, raw, live) for f in raw.get("fields", ())]


def _field_row(desk: Desk, entity: str, raw: Raw, owner: Raw, live: Entity | None) -> dict[str, Any]:
    kind = field_types.find(str(raw.get("type")))
    key = raw.get("key", "")
    return {
        "key": key, "url": f"/settings/entities/{entity}/fields/{key}", "label": desk.words(raw.get("label"), key), "type": str(kind.label) if kind else raw.get("type", ""),
        "icon": kind.icon if kind else "alert", "detail": field_detail(desk, entity, raw), "marks": field_marks(raw, owner), "is_new": live is not None and key not in live.declared,
        "problems": "; ".join(str(p.message) for p in desk.problems_at(f"entities[{entity}].fields[{key}]")[:3]),
    }  # fmt: skip


def field_marks(raw: Raw, owner: Raw) -> list[tuple[str, str]]:
    """What matters about a field: (text, colour)."""
    key = raw.get("key")
    marks = [
        (key == owner.get("title"), _("names the record"), "blue"), (raw.get("required"), _("required"), "red"), (raw.get("required_if"), _("required if …"), "orange"),
        (raw.get("unique"), _("unique"), "purple"), (raw.get("indexed"), _("fast to sort"), "teal"), (raw.get("visible_if"), _("shown if …"), "gray"),
        (raw.get("hidden"), _("hidden"), "gray"), (raw.get("read_only"), _("read-only"), "gray"), (raw.get("read_only_if"), _("read-only if …"), "gray"),
        (raw.get("set_once"), _("set once"), "gray"), (raw.get("sensitive"), _("sensitive"), "yellow"),
    ]  # fmt: skip
    return [(text, color) for on, text, color in marks if on]


def field_detail(desk: Desk, entity: str, raw: Raw) -> str:
    """What a field holds beyond its type: the list it chooses from, where it leads, how it is computed."""
    if raw.get("to"):
        return f"→ {entity_words(desk, raw['to'])}"
    if raw.get("set"):
        found = next((s for s in desk.raw.get("option_sets", ()) if s.get("key") == raw["set"]), {})
        return desk.words(found.get("label"), raw["set"])
    if raw.get("options"):
        names = [desk.words(o.get("label"), o.get("key", "")) for o in raw["options"] if isinstance(o, Mapping)]
        return listed(names[:4]) + (" …" if len(names) > 4 else "")
    if raw.get("expr"):
        return f"= {raw['expr']}"
    if raw.get("of"):
        return rollup_words(desk, entity, raw)
    return str(raw.get("pattern") or "") if raw.get("type") == "auto" else ""


def function_words(fn: str) -> str:
    return {
        "count": _("Number"), "sum": _("Sum"), "min": _("Smallest"), "max": _("Largest"), "avg": _("Average"), "latest": _("Latest"),
    }.get(fn, fn)  # fmt: skip


def rollup_words(desk: Desk, entity: str, raw: Raw) -> str:
    """“Sum: Lines → Amount”."""
    found = desk.config.entities.get(entity)
    relation = found.children.get(str(raw.get("of"))) if found else None
    name = desk.words(relation.label, relation.key) if relation else str(raw.get("of"))
    inner = f" → {field_words(desk, relation.child, raw['field'])}" if raw.get("field") and relation else ""
    return titled(function_words(str(raw.get("fn", "count"))), name + inner)


def system_rows(desk: Desk, key: str) -> list[dict[str, str]]:
    """Fields every record has without declaring them."""
    found = desk.config.entities.get(key)
    return [{"label": desk.words(f.label, f.key), "type": str(field_types.get(f.type).label), "icon": field_types.get(f.type).icon, "key": f.key} for f in (found.fields.values() if found else ()) if f.system]


# ---- choices ------------------------------------------------------------------------------------------------------------


def field_choices(desk: Desk, entity: Entity | None, *, of: Iterable[str] = (), declared: bool = False) -> tuple[Choice, ...]:
    """Fields to choose from; `of` limits their types."""
    if entity is None:
        return ()
    wanted = set(of)
    fields: Iterable[FieldDef] = (entity.declared if declared else entity.fields).values()
    return tuple(Choice(f.key, desk.words(f.label, f.key)) for f in fields if not wanted or f.type in wanted)


def role_choices(desk: Desk) -> tuple[Choice, ...]:
    return tuple(Choice(r["key"], desk.words(r.get("label"), r["key"])) for r in desk.raw.get("roles", ()) if r.get("key"))


def entity_choices(desk: Desk) -> tuple[Choice, ...]:
    return tuple(Choice(e["key"], desk.words(e.get("label"), e["key"])) for e in desk.raw.get("entities", ()) if e.get("key"))


def group_words(group: str) -> str:
    """Groups of field types as the gallery names them."""
    return {
        "text": _("Text"), "number": _("Numbers and money"), "choice": _("Choices"), "time": _("Date and time"), "people": _("People"), "link": _("Links to records"),
        "file": _("Files"), "computed": _("Computed by itself"), "special": _("Special"),
    }.get(group, group)  # fmt: skip


def layout_words(desk: Desk, raw: Raw) -> str:
    """Layouts have no names: whose it is says it."""
    roles = [c.text for c in role_choices(desk) if c.key in (raw.get("roles") or ())]
    return listed(roles) if roles else _("everybody")
