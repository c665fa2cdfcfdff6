"""A record's page: header, stage path, transitions, tabs of the layout, related lists, timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urlencode

from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.metadata.models import SectionDef, TabDef, TimelineSource
from saas.runtime import Context, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.files import describe
from saas.runtime.forms import form_state, may_create
from saas.runtime.present import names_for
from saas.runtime.views import default_columns
from saas.ui import formats, values
from saas.ui.forms import PICKED, layout_of
from saas.ui.views import (
    Button,
    ChangeView,
    DayView,
    EventView,
    Link,
    RecordView,
    RelatedView,
    RowView,
    ShownField,
    ShownSection,
    StageView,
    TabView,
    TimelineView,
)

RELATED_ROWS, TIMELINE_ROWS, SOURCE_ROWS = 10, 30, 20
EVENT_ICONS = {"created": "plus", "updated": "pencil", "deleted": "trash", "restored": "restore", "transition": "arrow-right"}
CSS = {"primary": "primary", "danger": "danger", "default": ""}


class RecordPage:
    def __init__(self, ctx: Context, entity: Entity, record: ops.Record, query: Mapping[str, str], origin: str) -> None:
        self.ctx, self.entity, self.record, self.query, self.origin = ctx, entity, record, query, origin
        self.url = f"/r/{entity.key}/{record.id}"
        self.tabs = self._tabs()
        wanted = query.get("tab")
        self.tab = next((t for t in self.tabs if t.key == wanted), self.tabs[0])

    def _tabs(self) -> list[TabDef]:
        """The layout's tabs; those that hold the timeline only are left out, as it stands beside every tab."""
        layout = layout_of(self.ctx, self.entity)
        tabs = [t for t in layout.tabs if t.sections or t.related] if layout else []
        if tabs:
            return tabs
        fields = [f.key for f in self.entity.defn.fields if not f.hidden]
        system = ["owner", "department"] if self.entity.defn.owned else []
        sections = (SectionDef("main", tuple(fields)), SectionDef("system", (*system, "created_by", "created_at", "updated_at")))
        return [TabDef("details", {"en": "Details", "zh_CN": "详情"}, sections), *self._relation_tabs()]

    def _relation_tabs(self) -> list[TabDef]:
        from saas.metadata.models import RelatedDef

        return [
            TabDef(r.key, r.label, related=(RelatedDef(r.key),)) for r in self.entity.children.values() if permissions.may(self.ctx, "read", r.child)
        ]

    async def view(self, conn: Any) -> RecordView:
        ctx, entity, record = self.ctx, self.entity, self.record
        deleted = record.deleted_at is not None
        stage, path = self._stages()
        age = late = None
        if record.state_since and stage and entity.pipeline:
            current = entity.pipeline.stage(stage.key)
            if current and not current.is_final:
                days, age = formats.age(ctx, record.state_since)
                late = bool(current.age_alert_days and days >= current.age_alert_days)
        layout = layout_of(ctx, entity)
        timeline = not deleted and (layout is None or layout.timeline)
        header_keys = [k for k in (layout.header if layout and layout.header else ("owner",)) if not entity.pipeline or k != entity.pipeline.field]
        header = [values.shown(ctx, entity, key, record) for key in header_keys]
        may = record.can or ops.Can()
        plural = pick(entity.defn.plural, ctx.locale)
        return RecordView(
            id=str(record.id), entity=entity.key, entity_plural=plural, icon=entity.defn.icon, title=record.title, version=record.version, url=self.url,
            absolute_url=self.origin + self.url, list_url=f"/r/{entity.key}", edit_url=f"{self.url}/edit" if may.update else "", menu=self._menu(may), stage=stage,
            age=age or "", late=bool(late), header=tuple(f for f in header if f and f.html != values.EMPTY), path=path,
            transitions=() if deleted else one_primary([button(ctx, entity, record, offer) for offer in may.transitions]),
            tabs=tuple(TabView(pick(t.label, ctx.locale), self.url + (f"?tab={quote(t.key)}" if i else ""), t is self.tab) for i, t in enumerate(self.tabs)),
            sections=await self._sections(conn), related=tuple([r for d in self.tab.related if (r := await self._related(d.key, d.columns))]) if not deleted else (),
            timeline=await self._timeline() if timeline else None, side_timeline=timeline,
            deleted_text=_("This record is in the recycle bin.") if deleted else "",
            restore_url=f"{self.url}/restore" if deleted and permissions.may(ctx, "delete", entity.key) else "",
        )  # fmt: skip

    def _stages(self) -> tuple[StageView | None, tuple[StageView, ...]]:
        pipeline, state = self.entity.pipeline, self.record.state
        if pipeline is None or pipeline.field not in self.record.display:
            return None, ()
        shown = [s for s in pipeline.stages if s.kind == "open" or s.key == state or s.kind in ("won", "done")]
        at = next((i for i, s in enumerate(shown) if s.key == state), -1)
        path = tuple(
            StageView(s.key, pick(s.label, self.ctx.locale), s.color, "current" if i == at else "past" if i < at else "", i == at) for i, s in enumerate(shown)
        )
        current = pipeline.stage(state or "")
        return (StageView(current.key, pick(current.label, self.ctx.locale), current.color) if current else None), path if len(path) > 1 else ()

    def _menu(self, may: ops.Can) -> tuple[Link, ...]:
        found = []
        if permissions.may(self.ctx, "create", self.entity.key):
            found.append(Link(_("New %(name)s", name=pick(self.entity.defn.label, self.ctx.locale)), f"/r/{self.entity.key}/new", "plus"))
        if may.delete:
            found.append(Link(_("Delete …"), f"{self.url}/delete", "trash", danger=True, dialog=True))
        return tuple(found)

    async def _sections(self, conn: Any) -> tuple[ShownSection, ...]:
        options, away = await self._options(conn), await self._out_of_place()
        found = []
        for section in self.tab.sections:
            keys = [key for key in section.fields if key not in away]
            fields = [values.shown(self.ctx, self.entity, key, self.record, block=True, options=options.get(key, ())) for key in keys]
            kept: tuple[ShownField, ...] = tuple(f for f in fields if f is not None)
            if kept:
                found.append(ShownSection(pick(section.label, self.ctx.locale), kept, section.columns))
        return tuple(found)

    async def _out_of_place(self) -> set[str]:
        """Fields whose condition says that they mean nothing for this record now."""
        keys = [k for section in self.tab.sections for k in section.fields if k in self.entity.fields]
        if self.record.deleted_at is not None or not any(self.entity.fields[k].visible_if for k in keys):
            return set()
        state = await form_state(self.ctx, self.entity.key, record_id=self.record.id)
        return {k for k in keys if not state.fields[k].visible}

    async def _options(self, conn: Any) -> dict[str, list[dict[str, str]]]:
        """Names of the records, people and files that list fields hold, for links."""
        found: dict[str, list[dict[str, str]]] = {}
        keys = [k for s in self.tab.sections for k in s.fields if isinstance(self.record.values.get(k), list)]
        links = [(self.entity.fields[k], self.record.values[k]) for k in keys if field_types.get(self.entity.fields[k].type).holds in PICKED]
        names = await names_for(conn, self.ctx, links) if links else None
        files = [str(i) for k in keys if "max_mb" in self.entity.fields[k].options for i in self.record.values[k]]
        described = await describe(self.ctx, files) if files else {}
        for key in keys:
            field, items = self.entity.fields[key], self.record.values[key]
            if names is not None and field_types.get(field.type).holds in PICKED:
                found[key] = [{"key": i, "label": names.of(field, i) or ""} for i in items]
            elif "max_mb" in field.options:
                found[key] = [{"key": i, "label": described[i].name if i in described else _("File")} for i in items]
            else:
                found[key] = [{"key": o.key, "label": pick(o.label, self.ctx.locale), "color": o.color} for o in self.ctx.config.options(self.entity.key, key)]
        return found

    # ---- related lists

    async def _related(self, key: str, columns: tuple[str, ...]) -> RelatedView | None:
        ctx = self.ctx
        relation = self.entity.children.get(key)
        if relation is None or not permissions.may(ctx, "read", relation.child):
            return None
        child = ctx.config.entity(relation.child)
        access = permissions.static_access(ctx, child)
        wanted = columns or tuple(k for k in default_columns(child) if k != relation.field)[:5]
        keys = [k for k in wanted if access.get(k, "hidden") != "hidden"]
        where = {"field": relation.field, "op": "contains" if relation.many else "eq", "value": str(self.record.id)}
        if access.get(relation.field) not in ("read", "write"):
            return None
        sort = ("created_at",) if relation.detail else ("-created_at",)
        page = await execute(ctx, ops.List(entity=child.key, filter=where, fields=keys, limit=RELATED_ROWS, count="capped", sort=sort))
        condition = f"{relation.field}:{where['op']}:{self.record.id}"
        return RelatedView(
            key=key, entity=child.key, label=pick(relation.label, ctx.locale), icon=child.defn.icon, columns=tuple(values.column(ctx, child.fields[k]) for k in keys),
            rows=tuple(self._related_row(child, keys, r) for r in page.records), count_text=self._count(page), new_url=await self._new_url(relation, child),
            new_text=_("New"), all_url=f"/r/{child.key}?{urlencode({'f': condition})}" if page.next else "",
        )  # fmt: skip

    def _count(self, page: ops.Page) -> str:
        if page.count is None or not page.count.value:
            return ""
        return formats.number(self.ctx, page.count.value) + ("" if page.count.exact else "+")

    def _related_row(self, child: Entity, keys: list[str], record: ops.Record) -> RowView:
        name_at = keys.index(child.defn.title) if child.defn.title in keys else 0
        cells = tuple(values.cell(self.ctx, child, k, record, link=i == name_at) for i, k in enumerate(keys))
        return RowView(str(record.id), f"/r/{child.key}/{record.id}", record.title, cells)

    async def _new_url(self, relation: Relation, child: Entity) -> str:
        """The create form with the parent filled in, where such a record may be created."""
        if relation.many or not await may_create(self.ctx, child.key, {relation.field: str(self.record.id)}):
            return ""
        return f"/r/{child.key}/new?" + urlencode({relation.field: str(self.record.id), "next": self.url + (f"?tab={self.tab.key}" if self.tab is not self.tabs[0] else "")})

    # ---- timeline

    async def _timeline(self) -> TimelineView:
        kind = self.query.get("kind", "")
        before = self.query.get("before") or None
        sources = [s for s in self.entity.defn.timeline if permissions.may(self.ctx, "read", s.entity)]
        events: list[tuple[datetime, EventView]] = []
        more = ""
        if kind in ("", "changes"):
            history = await execute(self.ctx, ops.History(entity=self.entity.key, id=self.record.id, limit=TIMELINE_ROWS, before=before))
            events += [(e.at, self._event(e)) for e in history]
            if len(history) == TIMELINE_ROWS:
                more = self._here(kind=kind, before=history[-1].id)
        if not before:
            for source in sources:
                if kind in ("", source.kind or source.entity):
                    events += await self._source(source)
        events.sort(key=lambda item: item[0], reverse=True)
        days: dict[date, list[EventView]] = {}
        for at, event in events:
            days.setdefault(at.astimezone(self.ctx.zone).date(), []).append(event)
        kinds = [Link(_("Everything"), self._here(), "list", kind == ""), Link(_("Changes"), self._here(kind="changes"), "history", kind == "changes")]
        for source in sources:
            child = self.ctx.config.entity(source.entity)
            name = source.kind or source.entity
            kinds.append(Link(pick(child.defn.plural, self.ctx.locale), self._here(kind=name), child.defn.icon, kind == name))
        chosen = next((k.text for k in kinds if k.current), kinds[0].text)
        shown = tuple(DayView(formats.day(self.ctx, on), tuple(entries)) for on, entries in days.items())
        return TimelineView(shown, tuple(kinds), chosen, more)

    def _here(self, **params: str) -> str:
        pairs = {**({"tab": self.tab.key} if self.tab is not self.tabs[0] else {}), **{k: v for k, v in params.items() if v}}
        return self.url + (f"?{urlencode(pairs)}" if pairs else "")

    def _event(self, entry: ops.HistoryEntry) -> EventView:
        changes = tuple(ChangeView(c["label"], c["old"], c["new"]) for c in entry.changes)
        count = len(changes)
        text = {
            "created": _("created this record"),
            "updated": ngettext("changed %(count)s field", "changed %(count)s fields", count),
            "deleted": _("deleted this record"),
            "restored": _("restored this record"),
            "transition": _("did “%(label)s”", label=entry.transition or ""),
        }.get(entry.kind, entry.kind)
        if entry.kind == "created":
            changes = ()
        return EventView(
            kind=entry.kind, icon=EVENT_ICONS.get(entry.kind, "circle-dot"), actor=entry.actor, text=text, iso=entry.at.isoformat(), time=formats.clock(self.ctx, entry.at),
            full=formats.full(self.ctx, entry.at), changes=changes,
        )  # fmt: skip

    async def _source(self, source: TimelineSource) -> list[tuple[datetime, EventView]]:
        child = self.ctx.config.entity(source.entity)
        access = permissions.static_access(self.ctx, child)
        if access.get(source.via) not in ("read", "write"):
            return []
        at = source.at if field_types.get(child.fields[source.at].type).sortable and access.get(source.at) in ("read", "write") else "created_at"
        fields = [key for key in (child.defn.title, at) if access.get(key, "hidden") != "hidden"]
        page = await execute(self.ctx, ops.List(entity=child.key, filter={"field": source.via, "op": "eq", "value": str(self.record.id)}, sort=(f"-{at}",), fields=fields, limit=SOURCE_ROWS))
        found = []
        for record in page.records:
            when = _moment(values.raw_value(record, at), self.ctx) or record.created_at
            found.append(
                (when, EventView(kind="record", icon=child.defn.icon, actor=pick(child.defn.label, self.ctx.locale), text=record.title, iso=when.isoformat(), time=formats.clock(self.ctx, when), full=formats.full(self.ctx, when), url=f"/r/{child.key}/{record.id}"))
            )
        return found


def _moment(value: Any, ctx: Context) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=ctx.zone if len(value) == 10 else UTC)


def one_primary(buttons: list[Button]) -> tuple[Button, ...]:
    """Where several transitions are meant to stand out, only the first does."""
    first = next((b.key for b in buttons if b.css == "primary"), None)
    return tuple(replace(b, css="") if b.css == "primary" and b.key != first else b for b in buttons)


def button(ctx: Context, entity: Entity, record: ops.Record, offer: ops.TransitionOffer) -> Button:
    """A transition on offer; it can be posted at once when it asks for nothing."""
    direct = not offer.missing and not offer.ask and not offer.confirm
    url = f"/r/{entity.key}/{record.id}/transitions/{quote(offer.key)}"
    stage = entity.pipeline.stage(offer.to) if entity.pipeline and offer.to else None
    return Button(offer.key, offer.label, url, CSS.get(offer.style, ""), direct, pick(stage.label, ctx.locale) if stage else "", stage.color if stage else "gray")
