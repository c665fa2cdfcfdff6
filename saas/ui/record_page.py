"""A record's page: header, stage path, transitions, tabs of the layout, related lists, timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urlencode

from saas.db import tenant_transaction
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.metadata.models import ActionDef, SectionDef, TabDef, TimelineSource
from saas.metadata.property_words import CHANNELS
from saas.runtime import Context, charts, connectors, execute, permissions, run_log
from saas.runtime import operations as ops
from saas.runtime.approvals import reading as approvals
from saas.runtime.composing import forms_of
from saas.runtime.documents import fitting
from saas.runtime.files import describe
from saas.runtime.forms import form_state, may_create
from saas.runtime.messages import messages_of
from saas.runtime.pools.rights import name_of
from saas.runtime.portal_accounts import may_give
from saas.runtime.postings import reversible, visible
from saas.runtime.present import names_for
from saas.runtime.previews import foretells
from saas.runtime.views import default_columns
from saas.ui import approval_views, formats, tristate, values
from saas.ui.charts import drawing
from saas.ui.forms import PICKED, layout_of
from saas.ui.sources import sources_of
from saas.ui.values import put_into
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

LIVE = "live:"  # tabs whose rows another system has
DRAWN = "chart:"  # tabs of drawings, which stand behind those of the layout
RELATED_ROWS, TIMELINE_ROWS, SOURCE_ROWS = 10, 30, 20
EVENT_ICONS = {"created": "plus", "updated": "pencil", "deleted": "trash", "restored": "restore", "transition": "arrow-right", "claimed": "user-circle", "assigned": "user", "released": "inbox", "recycled": "inbox", "merged": "copy", "unmerged": "restore", "shared": "users", "unshared": "lock"}
CSS = {"primary": "primary", "danger": "danger", "default": ""}


class RecordPage:
    def __init__(self, ctx: Context, entity: Entity, record: ops.Record, query: Mapping[str, str], origin: str) -> None:
        self.ctx, self.entity, self.record, self.query, self.origin = ctx, entity, record, query, origin
        self.url = f"/r/{entity.key}/{record.id}"
        self.charts = {f"{DRAWN}{c.key}": c for c in charts.on_records(ctx, entity)}
        self.tabs = [*self._tabs(), *(TabDef(key, c.label) for key, c in self.charts.items())]
        wanted = query.get("tab")
        self.tab = next((t for t in self.tabs if t.key == wanted), self.tabs[0])

    def _tabs(self) -> list[TabDef]:
        """The layout's tabs, then lists of other systems, which are asked for when theirs is opened."""
        return [*self._own_tabs(), *(TabDef(f"{LIVE}{x.key}", x.label) for x in connectors.lists_of(self.ctx, self.entity.key))]

    def _live(self) -> tuple[Link, ...]:
        shown = [x for x in connectors.lists_of(self.ctx, self.entity.key) if self.tab.key == f"{LIVE}{x.key}"]
        return tuple(Link(pick(x.label, self.ctx.locale), f"{self.url}/live/{quote(x.key)}", go=x.key) for x in shown)

    def _own_tabs(self) -> list[TabDef]:
        """The layout's; those that hold the timeline only are left out, as it stands beside every tab."""
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
        boxed = tristate.covered(entity, record)
        boxes = tristate.control(ctx, entity, entity.pipeline.field, record, large=True) if entity.pipeline else None
        return RecordView(
            id=str(record.id), entity=entity.key, entity_plural=plural, icon=entity.defn.icon, title=record.title, version=record.version, url=self.url,
            absolute_url=self.origin + self.url, list_url=f"/r/{entity.key}", edit_url=self._edit_url(may), menu=(*await self._prints(), *self._menu(may)), stage=stage,
            age=age or "", late=bool(late), header=tuple(f for f in header if f and f.html != values.EMPTY), path=path if boxes is None else (), boxes=boxes,
            transitions=() if deleted else one_primary([button(ctx, entity, record, offer) for offer in may.transitions if offer.key not in boxed]),
            buttons=() if deleted else tuple(Button(b.key, b.label, f"{self.url}/buttons/{quote(b.key)}", CSS.get(b.style, ""), not b.confirm and not foretells(steps_of(ctx, b.key))) for b in may.buttons),
            pool_acts=() if deleted else self._pool_acts(may),
            tabs=tuple(TabView(pick(t.label, ctx.locale), self.url + (f"?tab={quote(t.key)}" if i else ""), t is self.tab) for i, t in enumerate(self.tabs)),
            sections=await self._sections(conn), related=tuple([r for d in self.tab.related if (r := await self._related(d.key, d.columns))]) if not deleted else (),
            drawing=await drawing(ctx, self.charts[self.tab.key], record.id) if self.tab.key in self.charts and not deleted else None,
            timeline=await self._timeline() if timeline else None, side_timeline=timeline,
            deleted_text=_("This record is in the recycle bin.") if deleted else "",
            restore_url=f"{self.url}/restore" if deleted and permissions.may(ctx, "delete", entity.key) else "",
            starts=await self._starts() if not deleted else (), approval=await self._approval() if not deleted else None, approval_url=f"{self.url}/approval",
            sources=await sources_of(conn, ctx, entity), live=self._live() if not deleted else (),
        )  # fmt: skip

    def _edit_url(self, may: ops.Can) -> str:
        """The entry form where such records are entered there alone."""
        form = next((f for f in forms_of(self.ctx) if f.entity == self.entity.key and f.only), None)
        if form is not None and self.record.deleted_at is None and permissions.may(self.ctx.replace(form=form.key), "update", self.entity.key):
            return f"/entry/{form.key}/{self.record.id}"
        return f"{self.url}/edit" if may.update else ""

    # ---- approvals

    @property
    def _has_approvals(self) -> bool:
        return self.record.in_approval or bool(self.ctx.config.approvals(self.entity.key))

    async def _starts(self) -> tuple[Link, ...]:
        if not self._has_approvals or self.record.in_approval:
            return ()
        found = await approvals.startable(self.ctx, self.entity.key, self.record.id)
        return tuple(Link(s.label, f"{self.url}/approval/start/{quote(s.key)}", "shield", dialog=True) for s in found)

    async def _approval(self) -> Any:
        """The newest approval; one that is over only as long as nothing came after it."""
        if not self._has_approvals:
            return None
        found = await approvals.record_flows(self.ctx, self.entity.key, self.record.id, 1)
        return approval_views.flow(self.ctx, found[0], f"{self.url}/approval") if found else None

    def _stages(self) -> tuple[StageView | None, tuple[StageView, ...]]:
        pipeline, state = self.entity.pipeline, self.record.state
        if pipeline is None or pipeline.field not in self.record.display:
            return None, ()
        away = self.record.can.away if self.record.can is not None else ()
        shown = [s for s in pipeline.stages if s.key == state or s.key not in away]
        shown = [s for s in shown if s.kind == "open" or s.key == state or s.kind in ("won", "done")]
        at = next((i for i, s in enumerate(shown) if s.key == state), -1)
        path = tuple(
            StageView(s.key, pick(s.label, self.ctx.locale), s.color, "current" if i == at else "past" if i < at else "", i == at) for i, s in enumerate(shown)
        )
        current = pipeline.stage(state or "")
        return (StageView(current.key, pick(current.label, self.ctx.locale), current.color) if current else None), path if len(path) > 1 else ()

    def _pool_acts(self, may: ops.Can) -> tuple[Button, ...]:
        """Claiming, giving to somebody, putting back; what a transition does anyway under its own name stands there as well."""
        found = []
        if may.claim:
            found.append(Button("claim", _("Claim"), f"{self.url}/claim", CSS["primary"], True))
        if may.assign:
            found.append(Button("assign", _("Assign …"), f"{self.url}/assign"))
        if may.release:
            found.append(Button("release", put_into([p for p in self.entity.defn.pools if p.key == may.home], self.ctx.locale), f"{self.url}/release"))
        return tuple(found)

    async def _prints(self) -> list[Link]:
        if self.record.deleted_at is not None:
            return []
        found = await fitting(self.ctx, self.entity, self.record.id)
        return [Link(_("Print: %(document)s", document=pick(d.label, self.ctx.locale)), f"{self.url}/documents/{quote(d.key)}", "printer") for d in found]

    def _menu(self, may: ops.Can) -> tuple[Link, ...]:
        found = []
        if permissions.may(self.ctx, "create", self.entity.key):
            found.append(Link(_("New %(name)s", name=pick(self.entity.defn.label, self.ctx.locale)), f"/r/{self.entity.key}/new", "plus"))
        if may.update and any(t.entity == self.entity.key for t in self.ctx.config.bundle.templates):
            found.append(Link(_("Send a message …"), f"/r/{self.entity.key}/messages?ids={self.record.id}", "mail"))
        if run_log.may_see(self.ctx) and any(a.entity == self.entity.key for a in self.ctx.config.bundle.automations):
            found.append(Link(_("Automations of this record"), f"/settings/runs?record={self.record.id}", "bolt"))
        for ledger in visible(self.ctx, self.entity):
            found.append(Link(_("Statement: %(ledger)s", ledger=ledger.label(self.ctx.locale)), f"{self.url}/ledgers/{ledger.defn.key}", "coins"))
        ledger = reversible(self.ctx, self.entity)
        if ledger is not None and self.record.deleted_at is None and not self.record.values.get(ledger.defn.reversal or "") and permissions.may(self.ctx, "create", self.entity.key):
            found.append(Link(_("Reverse …"), f"{self.url}/reverse", "undo", dialog=True))
        if may.update and may_give(self.ctx, self.entity):
            found.append(Link(_("Account …"), f"{self.url}/account", "key"))
        if self.entity.defn.sharing:
            found.append(Link(_("Sharing …"), f"{self.url}/shares", "users"))
        if may.update and self.entity.defn.owned and self.record.owner:
            found.append(Link(_("Hand over …"), f"/r/{self.entity.key}/transfer?ids={self.record.id}", "exchange"))
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
        page = await execute(ctx, ops.List(entity=child.key, filter=where, fields=keys, limit=RELATED_ROWS, count="capped", sort=sort, can=tristate.any_tristate(child, keys)))
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
            if not before and self._has_approvals:
                events += [(e.at, self._decision(e)) for e in await approvals.timeline(self.ctx, self.entity.key, self.record.id)]
        if kind in ("", "messages") and not before and any(t.entity == self.entity.key for t in self.ctx.config.bundle.templates):
            events += await self._messages()
        if not before:
            for source in sources:
                if kind in ("", source.kind or source.entity):
                    events += await self._source(source)
        events.sort(key=lambda item: item[0], reverse=True)
        days: dict[date, list[EventView]] = {}
        for at, event in events:
            days.setdefault(at.astimezone(self.ctx.zone).date(), []).append(event)
        kinds = [Link(_("Everything"), self._here(), "list", kind == ""), Link(_("Changes"), self._here(kind="changes"), "history", kind == "changes")]
        if any(t.entity == self.entity.key for t in self.ctx.config.bundle.templates):
            kinds.append(Link(_("Messages"), self._here(kind="messages"), "mail", kind == "messages"))
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
        text = act_text(self.entity, entry)
        if entry.kind == "created":  # but not why it was saved although there was one like it
            changes = tuple(ChangeView(c["label"], c["old"], c["new"]) for c in entry.changes if not c["field"])
        return EventView(
            kind=entry.kind, icon=EVENT_ICONS.get(entry.kind, "circle-dot"), actor=entry.actor, text=text, iso=entry.at.isoformat(), time=formats.clock(self.ctx, entry.at),
            full=formats.full(self.ctx, entry.at), changes=changes, url=f"/r/{self.entity.key}/merges/{entry.merge}" if entry.merge else "",
        )  # fmt: skip

    def _decision(self, event: approvals.EventInfo) -> EventView:
        told = approval_views.told(self.ctx, event)
        changes = (ChangeView(_("Comment"), "", told.comment),) if told.comment else ()
        return EventView(kind="approval", icon=told.icon, actor=told.actor, text=told.text, iso=told.iso, time=told.time, full=told.full, url=f"{self.url}/approval", changes=changes)

    async def _messages(self) -> list[tuple[datetime, EventView]]:
        """What was sent about the record: what and how, not to whom and with which words, which fields may tell that not everybody sees."""
        async with tenant_transaction(self.ctx.tenant_id) as conn:
            sent = await messages_of(conn, self.ctx, self.entity.number, self.record.id)
        labels = {t.key: pick(t.label, self.ctx.locale) for t in self.ctx.config.bundle.templates}
        states = {"queued": _("waiting"), "sent": _("sent"), "delivered": _("delivered"), "failed": _("not delivered"), "recorded": _("only recorded"), "left_out": _("left out: wants none")}
        return [
            (
                m.created_at,
                EventView(
                    kind="message", icon="phone" if m.channel == "sms" else "mail", actor=str(CHANNELS[m.channel]), iso=m.created_at.isoformat(), time=formats.clock(self.ctx, m.created_at),
                    text=_("“%(message)s”: %(state)s", message=labels.get(m.template_key, m.template_key), state=states[m.status]), full=formats.full(self.ctx, m.created_at),
                ),
            )
            for m in sent
        ]  # fmt: skip

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


def effects_of(entity: Entity, key: str) -> tuple[ActionDef, ...]:
    transition = entity.pipeline.transition(key) if entity.pipeline else None
    return transition.effects if transition else ()


def steps_of(ctx: Context, key: str) -> tuple[ActionDef, ...]:
    """What the automation behind a button does."""
    return next((a.do for a in ctx.config.bundle.automations if a.key == key), ())


def act_text(entity: Entity, entry: ops.HistoryEntry) -> str:
    """What somebody did, as the rest of a sentence that begins with their name."""
    count, pool = sum(1 for c in entry.changes if c["field"]), entity.defn.pools[0] if len(entity.defn.pools) == 1 else None
    return {
        "created": _("created this record"),
        "updated": ngettext("changed %(count)s field", "changed %(count)s fields", count),
        "deleted": _("deleted this record"),
        "restored": _("restored this record"),
        "claimed": _("claimed this record"),
        "assigned": _("assigned this record"),
        "released": _("put this record into “%(pool)s”", pool=name_of(pool)) if pool else _("put this record back"),
        "recycled": _("took this record back into “%(pool)s”", pool=name_of(pool)) if pool else _("took this record back"),
        "shared": _("shared this record"),
        "unshared": _("stopped sharing this record"),
        "transition": _("did “%(label)s”", label=entry.transition or ""),
        "merged": _("merged other records into this one"),
        "unmerged": _("undid a merge"),
    }.get(entry.kind, entry.kind)


def one_primary(buttons: list[Button]) -> tuple[Button, ...]:
    """Where several transitions are meant to stand out, only the first does."""
    first = next((b.key for b in buttons if b.css == "primary"), None)
    return tuple(replace(b, css="") if b.css == "primary" and b.key != first else b for b in buttons)


def button(ctx: Context, entity: Entity, record: ops.Record, offer: ops.TransitionOffer) -> Button:
    """A transition on offer; it can be posted at once when it asks for nothing and foretells nothing."""
    direct = not offer.missing and not offer.ask and not offer.confirm and not foretells(effects_of(entity, offer.key))
    url = f"/r/{entity.key}/{record.id}/transitions/{quote(offer.key)}"
    stage = entity.pipeline.stage(offer.to) if entity.pipeline and offer.to else None
    return Button(offer.key, offer.label, url, CSS.get(offer.style, ""), direct, pick(stage.label, ctx.locale) if stage else "", stage.color if stage else "gray")
