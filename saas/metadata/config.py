"""`Config`: one compiled, immutable tenant configuration at one revision; what the runtime and the pages look things up in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from saas.metadata import models as m
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.pools import pool_schedules


@dataclass(frozen=True, slots=True)
class Relation:
    """Children seen from their parent: `child.field` (a ref or m2m) points to `parent`."""

    parent: str
    key: str  # inverse key on the parent
    label: m.Label
    child: str
    field: str
    on_delete: str = "restrict"
    detail: bool = False
    many: bool = False  # m2m


@dataclass(frozen=True, slots=True)
class Entity:
    """An EntityDef with its look-up tables. `number` and `columns` come from the database (saas.metadata.slots)."""

    defn: m.EntityDef
    number: int = 0  # entity_id of the record table
    columns: Mapping[str, str] = field(default_factory=dict)  # field key -> record column for typed storage ("t1", "d3", …)
    places: Mapping[str, str] = field(default_factory=dict)  # field key -> key in the document or link table, where it is another
    pipeline: m.PipelineDef | None = None
    children: Mapping[str, Relation] = field(default_factory=dict)  # by inverse key

    @property
    def key(self) -> str:
        return self.defn.key

    @property
    def fields(self) -> dict[str, m.FieldDef]:
        """Declared, then system fields, by key."""
        return self.defn.all_fields

    @property
    def declared(self) -> dict[str, m.FieldDef]:
        return self.defn.declared

    def type_of(self, field_key: str) -> FieldType:
        return field_types.get(self.fields[field_key].type)

    def place(self, field_key: str) -> str:
        """The key under which the document or the link table keeps the field's values."""
        return self.places.get(field_key, field_key)


class Config:
    """Look-ups over a Bundle. Immutable; shared by all requests of a (tenant, revision). Compiles expressions lazily."""

    def __init__(
        self,
        bundle: m.Bundle,
        *,
        revision: int = 0,
        hash: str = "",
        raw: Mapping[str, Any] | None = None,
        numbers: Mapping[str, int] | None = None,
        columns: Mapping[str, Mapping[str, str]] | None = None,
        currency: str = "CNY",
        country: str = "CN",
        time_zone: str = "Asia/Shanghai",
    ) -> None:
        self.bundle, self.revision, self.hash, self.raw = bundle, revision, hash, raw or {}
        self.currency, self.country, self.time_zone = currency, country, time_zone
        self.option_sets = {s.key: s for s in bundle.option_sets}
        self.settings = {s.key: s for s in bundle.settings}
        self.roles = {r.key: r for r in bundle.roles}
        self.reports = {r.key: r for r in bundle.reports}
        self.dashboards = {d.key: d for d in bundle.dashboards}
        self.pipelines = {p.key: p for p in bundle.pipelines}
        relations = list(_relations(bundle))
        pipelines = {p.entity: p for p in bundle.pipelines}
        self.entities = {
            e.key: Entity(
                defn=e,
                number=(numbers or {}).get(e.key, 0),
                **_places((columns or {}).get(e.key, {})),
                pipeline=pipelines.get(e.key),
                children={r.key: r for r in relations if r.parent == e.key},
            )
            for e in bundle.entities
        }
        self._cache: dict[Any, Any] = {}  # compiled expressions, filters, validators; filled by the modules that own them

    def cached(self, key: Any, make: Any) -> Any:
        """The cached value under `key`, made once by `make()`. Keys start with the owning module's name."""
        try:
            return self._cache[key]
        except KeyError:
            value = self._cache[key] = make()
            return value

    def forget(self) -> None:
        """Leave what was compiled, which refers back to this configuration: nobody else need look for it to be gone. Who still uses
        it compiles anew."""
        self._cache = {}

    def entity(self, key: str) -> Entity:
        return self.entities[key]

    def relation(self, entity_key: str, name: str) -> Relation | None:
        """The children `name` of an entity: by inverse key, else by the child's entity key where only one relation has it."""
        children = self.entities[entity_key].children
        if name in children:
            return children[name]
        same = [r for r in children.values() if r.child == name]
        return same[0] if len(same) == 1 else None

    def views(self, entity_key: str) -> list[m.ViewDef]:
        return [v for v in self.bundle.views if v.entity == entity_key]

    def layouts(self, entity_key: str) -> list[m.LayoutDef]:
        return [x for x in self.bundle.layouts if x.entity == entity_key]

    def automations(self, entity_key: str) -> list[m.AutomationDef]:
        return self.cached(
            ("config.automations", entity_key),
            lambda: [a for a in self.bundle.automations if a.entity == entity_key and a.active],
        )

    def approvals(self, entity_key: str) -> list[m.ApprovalDef]:
        return self.cached(
            ("config.approvals", entity_key),
            lambda: [a for a in self.bundle.approvals if a.entity == entity_key and a.active],
        )

    @property
    def schedules(self) -> tuple[m.ScheduleDef, ...]:
        """The scheduled rules that are written, then those that follow from pools."""
        return self.cached("config.schedules", lambda: (*self.bundle.schedules, *(s for e in self.bundle.entities for s in pool_schedules(e))))

    def options(self, entity_key: str, field_key: str) -> tuple[m.OptionDef, ...]:
        """The options of an option, multi or tags field, or the stages of a pipeline field as options."""
        return self.cached(("config.options", entity_key, field_key), lambda: self._options(self.entities[entity_key].fields[field_key]))

    def _options(self, fld: m.FieldDef) -> tuple[m.OptionDef, ...]:
        if fld.type == "pipeline":
            pipeline = self.pipelines[fld.options["pipeline"]]
            return tuple(m.OptionDef(key=s.key, label=s.label, color=s.color) for s in pipeline.stages)
        return self.field_options(fld)

    def field_options(self, fld: m.FieldDef) -> tuple[m.OptionDef, ...]:
        if fld.options.get("set"):
            return self.option_sets[fld.options["set"]].options
        return tuple(
            o if isinstance(o, m.OptionDef) else m.OptionDef(o["key"], o["label"], o.get("color", "gray"), o.get("active", True), o.get("parent"))
            for o in fld.options.get("options") or ()
        )


def _places(columns: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Columns of the row, and keys elsewhere ("doc:notes", "link:tags")."""
    elsewhere = {key: name.partition(":")[2] for key, name in columns.items() if ":" in name}
    return {"columns": {key: name for key, name in columns.items() if key not in elsewhere}, "places": elsewhere}


def _relations(bundle: m.Bundle) -> Iterator[Relation]:
    for entity in bundle.entities:
        for fld in entity.fields:
            if fld.type in ("ref", "m2m"):
                inverse = fld.options.get("inverse") or {}
                yield Relation(
                    parent=fld.options["to"],
                    key=inverse.get("key") or f"{entity.key}_{fld.key}",
                    label=inverse.get("label") or entity.plural,
                    child=entity.key,
                    field=fld.key,
                    on_delete=fld.options.get("on_delete", "restrict"),
                    detail=bool(fld.options.get("detail")),
                    many=fld.type == "m2m",
                )
