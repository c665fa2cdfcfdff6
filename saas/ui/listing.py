"""Lists and boards: from the address's state and the door's answer to what the templates show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata.config import Entity
from saas.metadata.expressions.filters import OPS
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, PoolDef, ViewDef
from saas.runtime import Context, advisor, charts, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.composing import forms_of
from saas.runtime.pools.moves import standings
from saas.runtime.pools.rights import assigns, claims, releases
from saas.runtime.present import names_for
from saas.runtime.purging import may_purge
from saas.runtime.query import MAX_SORTS
from saas.runtime.views import ALL_KEY, POOL_VIEW, all_views, default_columns, everything
from saas.ui import filters, formats, values
from saas.ui.panel import NEW, beside, panel_of
from saas.ui.sources import sources_of
from saas.ui.tristate import any_tristate
from saas.ui.values import put_into
from saas.ui.views import (
    BoardColumnView,
    CardView,
    Chip,
    Choice,
    Column,
    Empty,
    FilterEditor,
    Link,
    ListView,
    PanelView,
    RowView,
    ShownField,
)


class Listing:
    """One entity's list as one person sees it, under one view."""

    def __init__(self, ctx: Context, entity: Entity, views: Sequence[ViewDef], view: ViewDef, state: filters.State) -> None:
        self.ctx, self.entity, self.views, self.view, self.state = ctx, entity, views, view, state
        self.access = permissions.static_access(ctx, entity)
        self.url = f"/r/{entity.key}"
        self.opened = ""  # the record that stands beside the list

    @property
    def plural(self) -> str:
        return pick(self.entity.defn.plural, self.ctx.locale)

    def visible(self, key: str) -> bool:
        return self.access.get(key, "hidden") != "hidden"

    def columns(self) -> list[str]:
        """The title first, then what the address or the view says."""
        wanted = self.state.columns or self.view.columns or default_columns(self.entity)
        title = self.entity.defn.title
        keys = [title, *(k for k in wanted if k != title and k in self.entity.fields)] if self.visible(title) else [k for k in wanted if k in self.entity.fields]
        return [k for k in keys if self.visible(k)]

    def sort(self) -> tuple[str, ...]:
        """What the address says, else the view's order as far as the person may know it."""
        return self.state.sort or tuple(s for s in self.view.sort if self.access.get(s.removeprefix("-")) in ("read", "write"))

    def limit(self) -> int:
        return self.state.limit or self.view.page_size

    def group(self) -> str:
        """The field by whose values the rows stand together, as far as the person may know it; "" for none."""
        key = self.view.group or ""
        readable = key in self.entity.fields and self.access.get(key) in ("read", "write")
        return key if readable and field_types.get(self.entity.fields[key].type).sortable else ""

    def order(self) -> tuple[str, ...] | None:
        """What the rows are read by: the group first, in the direction asked for."""
        asked, group = self.sort(), self.group()
        if not group:
            return asked or None
        first = next((s for s in asked if s.removeprefix("-") == group), group)
        return (first, *(s for s in asked or ("-created_at",) if s.removeprefix("-") != group))[:MAX_SORTS]

    @property
    def here(self) -> str:
        """This list as it is: its view, search, filters, page."""
        return self.state.url(after=self.state.after, trail=self.state.trail)

    # ---- parts both lists and boards have

    def tabs(self) -> tuple[Link, ...]:
        found = []
        drawn = "/charts/" in self.state.path
        for view in self.views:
            if drawn and view.kind == "board":
                continue
            path = f"{self.url}/board" if view.kind == "board" else self.state.path if drawn else self.url
            found.append(Link(pick(view.label, self.ctx.locale), f"{path}?view={quote(view.key)}", "board" if view.kind == "board" else "", view.key == self.view.key))
        return tuple(found) if len(found) > 1 else ()

    def modes(self) -> tuple[Link, ...]:
        """The list, the board and the drawings there are; () where there is the list only."""
        found = [Link(_("List"), self.url, "list", self.state.path == self.url)]
        if self.entity.pipeline is not None and self.visible(self.entity.pipeline.field):
            board = f"{self.url}/board"
            found.append(Link(_("Board"), board, "board", self.state.path == board))
        for chart in charts.beside_list(self.ctx, self.entity):
            url = f"{self.url}/charts/{chart.key}"
            found.append(Link(pick(chart.label, self.ctx.locale), url, "sitemap" if chart.kind == "tree" else "calendar-time", self.state.path == url))
        return tuple(found) if len(found) > 1 else ()

    def new(self) -> dict[str, str]:
        if not permissions.may(self.ctx, "create", self.entity.key):
            form = next((f for f in forms_of(self.ctx) if f.entity == self.entity.key), None)
            return {"new_url": f"/entry/{form.key}", "new_text": pick(form.label, self.ctx.locale)} if form else {}
        url = beside(self.here, NEW) if self.view.panel else f"{self.url}/new"
        return {"new_url": url, "new_text": _("New %(name)s", name=pick(self.entity.defn.label, self.ctx.locale))}

    async def chips(self, conn: Any) -> tuple[Chip, ...]:
        names = await self._names(conn)
        found = []
        for index, c in enumerate(self.state.conditions):
            field = self.entity.fields.get(c.field)
            if field is None or not self.visible(c.field):
                continue
            others = filters.without(self.state.conditions, index)
            op_text = _("is not empty") if c.op == "is_empty" and c.values[:1] == ("false",) else str(OPS[c.op].label)
            text = "" if c.op == "is_empty" else filters.value_text(self.ctx, self.entity, c, names)
            found.append(Chip(c.field, pick(field.label, self.ctx.locale), op_text, text, self.state.url(conditions=others), self.editor(field, c, others, names)))
        if self.state.advanced:
            found.append(Chip("", _("From a report"), "", "", self.state.url(advanced="")))
        return tuple(found)

    async def _names(self, conn: Any) -> dict[str, str]:
        """Names of the people and records that filters mention."""
        pairs = []
        for c in self.state.conditions:
            field = self.entity.fields.get(c.field)
            if field is not None and self.visible(c.field) and filters.editor_kind(self.ctx, field) == "picker":
                pairs += [(field, [v] if field_types.get(field.type).many else v) for v in c.values if is_uuid(v)]
        if not pairs:
            return {}
        names = await names_for(conn, self.ctx, pairs)
        return {**names.users, **names.departments, **{record_id: title for (_entity, record_id), title in names.records.items()}}

    def editor(self, field: FieldDef, c: filters.Condition | None = None, others: tuple[filters.Condition, ...] | None = None, names: dict[str, str] | None = None) -> FilterEditor:
        state = self.state if others is None else filters.replace(self.state, conditions=others)
        kind = filters.editor_kind(self.ctx, field)
        chosen = c.values if c else ()
        op = c.op if c else ""
        if c and c.op == "is_empty":
            op, chosen = ("not_empty" if c.values[:1] == ("false",) else "is_empty"), ()
        choices = filters.op_choices(self.ctx, field)
        if op == "eq" and all(o.key != "eq" for o in choices):
            op = "in"
        op = op or choices[0].key
        options: tuple[Choice, ...] = ()
        if kind == "options":
            options = tuple(Choice(o.key, pick(o.label, self.ctx.locale), o.key in chosen, o.color) for o in self.ctx.config.options(self.entity.key, field.key) if o.active or o.key in chosen)
        elif kind == "picker":
            options = tuple(Choice(v, filters.value_text(self.ctx, self.entity, filters.Condition(field.key, "eq", (v,)), names or {}), True) for v in chosen)
            if not chosen and field_types.get(field.type).holds == "user":
                options = (Choice("me()", _("me"), True),)
        elif kind == "date":
            options = filters.period_choices(chosen)
        plain = [v for v in chosen if kind != "date" or op != "relative"]
        return FilterEditor(
            field.key, pick(field.label, self.ctx.locale), kind, op, choices, state.params("after", "trail"), options,
            plain[0] if plain else "", plain[1] if len(plain) > 1 else "", f"/lookup/{self.entity.key}/{field.key}?filter=1",
        )  # fmt: skip

    def filter_fields(self) -> tuple[Link, ...]:
        found = []
        for key, field in self.entity.fields.items():
            if self.access.get(key) in ("read", "write") and filters.filterable(self.ctx, field):
                icon = field_types.get(field.type).icon
                found.append(Link(pick(field.label, self.ctx.locale), f"{self.state.url()}{'&' if '?' in self.state.url() else '?'}adding={quote(key)}", icon))
        return tuple(found)

    async def common(self, conn: Any, adding: str | None) -> dict[str, Any]:
        field = self.entity.fields.get(adding or "")
        return {
            "title": self.plural, "icon": self.entity.defn.icon, "url": self.state.path, "tabs": self.tabs(), "modes": self.modes(),
            "chips": await self.chips(conn), "filter_fields": self.filter_fields(), "adding": self.editor(field) if field and self.visible(field.key) else None,
            "q": self.state.q, "search_params": self.state.params("q", "after", "trail"), "clear_url": self.state.url(conditions=(), advanced=""), **self.new(),
        }  # fmt: skip

    # ---- the list

    def head(self) -> tuple[Column, ...]:
        first = (self.sort() or ("-created_at",))[0]
        found = []
        for key in self.columns():
            field = self.entity.fields[key]
            kind = field_types.get(field.type)
            url = direction = ""
            if kind.sortable and self.access.get(key) in ("read", "write"):
                url = self.state.url(sort=(f"-{key}",) if first == key else (key,))
                direction = {key: "up", f"-{key}": "down"}.get(first, "")
            found.append(values.column(self.ctx, field, sort_url=url, direction=direction))
        return tuple(found)

    def row(self, record: ops.Record, keys: Sequence[str], *, deleted: bool = False) -> RowView:
        title = self.entity.defn.title
        name_at = keys.index(title) if title in keys else 0
        cells = []
        position = 0
        for index, key in enumerate(keys):
            if index != name_at:
                position += 1
            cells.append(values.cell(self.ctx, self.entity, key, record, position=position, link=index == name_at))
        if self.view.panel and not deleted:
            return RowView(str(record.id), beside(self.here, record.id), record.title, tuple(cells), beside=True, is_open=self.opened == str(record.id))
        url = f"{self.url}/{record.id}" + ("?deleted=1" if deleted else "")
        return RowView(str(record.id), url, record.title, tuple(cells), f"{self.url}/{record.id}/restore" if deleted else "")

    def grouped(self, rows: Sequence[RowView], records: Sequence[ops.Record]) -> tuple[RowView, ...]:
        """The first row of each group says what its records have in common."""
        group = self.group()
        if not group:
            return tuple(rows)
        field, found, before = self.entity.fields[group], [], None
        for row, record in zip(rows, records, strict=True):
            text = record.display.get(group, "")
            head = values.value_html(self.ctx, field, values.raw_value(record, group), text) if text else _("Not set")
            found.append(replace(row, group=head) if text != before else row)
            before = text
        return tuple(found)

    async def panel(self, conn: Any) -> PanelView | None:
        """The record that is open beside the list."""
        return await panel_of(conn, self.ctx, self.entity, self.opened, self.here) if self.view.panel and self.opened else None

    async def list_view(self, conn: Any, *, adding: str | None = None) -> ListView:
        keys, group, filter_, started = self.columns(), self.group(), filters.filter_json(self.ctx, self.entity, self.state), time.perf_counter()
        page: ops.Page = await execute(
            self.ctx,
            ops.List(
                entity=self.entity.key, view=self.view.key, filter=filter_, q=self.state.q or None,
                sort=self.order(), fields=list(dict.fromkeys((*keys, *([group] if group else [])))), limit=self.limit(), after=self.state.after, count="exact" if self.state.exact else "capped",
                can=any_tristate(self.entity, keys),
            ),
        )  # fmt: skip
        hint = await advisor.hint(self.ctx, self.entity, time.perf_counter() - started, (self.view.filter, filter_), self.order() or ())
        rows = self.grouped([self.row(record, keys) for record in page.records], page.records)
        common = await self.common(conn, adding)
        may = {right: permissions.may(self.ctx, right, self.entity.key) for right in ("update", "delete", "bulk", "export", "import", "merge")}
        # Whoever moves many at once need not be able to edit them: a reviewer approves what others wrote.
        moves = self.bulk_moves() if any(r.bulk for r in permissions.entity_rights(self.ctx, self.entity.key)) else ()
        pooled = self.pool_acts(may)
        return ListView(
            columns=self.head(), rows=rows, column_choices=self.column_choices(keys), column_params=self.state.params("cols", "after", "trail"),
            reset_columns_url=self.state.url(columns=()), limit_params=self.state.params("limit", "after", "trail"), limit=self.limit(),
            limits=tuple(sorted({25, 50, 100, self.limit()})), can_select=may["bulk"] or may["delete"] or may["merge"] or bool(pooled) or bool(moves), pool_acts=pooled, can_bulk=may["bulk"], can_merge=may["merge"], can_send=may["bulk"] and any(t.entity == self.entity.key for t in self.ctx.config.bundle.templates), can_delete=may["delete"],
            bulk_moves=moves, bulk_url=f"{self.url}/bulk", more=self.more(may), empty=None if rows else self.empty(common, may), hint=hint, has_panel=self.view.panel, panel=await self.panel(conn),
            sources=await sources_of(conn, self.ctx, self.entity), **common, **self.paging(page), **await self.claiming(conn),
        )  # fmt: skip

    def pool(self) -> PoolDef | None:
        """The pool whose view this is."""
        return next((p for p in self.entity.defn.pools if self.view.key == f"{POOL_VIEW}{p.key}"), None)

    def pool_acts(self, may: dict[str, bool]) -> tuple[Choice, ...]:
        """What can be done with ticked records: in a pool's view claiming, elsewhere giving back; handing out in both."""
        if not self.entity.defn.owned or not permissions.is_open(self.ctx):
            return ()
        pool = self.pool()
        found = [Choice("transfer", _("Hand over"), color="exchange")] if may["bulk"] and pool is None else []
        if pool is not None and claims(self.ctx, pool, may_update=may["update"]):
            found.append(Choice("claim", _("Claim"), color="user-circle"))
        if may["bulk"] and any(assigns(self.ctx, p, may_update=may["update"]) for p in self.entity.defn.pools):
            found.append(Choice("assign", _("Assign"), color="user"))
        if pool is None and any(releases(self.ctx, p, may_update=may["update"]) for p in self.entity.defn.pools):
            found.append(Choice("release", put_into(self.entity.defn.pools, self.ctx.locale), color="inbox"))
        return tuple(found)

    async def claiming(self, conn: Any) -> dict[str, str]:
        """The button for the next record of the pool, and how many one holds already."""
        pool = self.pool()
        if pool is None or not permissions.is_open(self.ctx):
            return {}
        mine = next((s for s in await standings(conn, self.ctx, self.entity) if s.key == pool.key), None)
        if mine is None or not mine.may_claim:
            return {}
        text = _("You hold %(held)s of %(most)s", held=formats.number(self.ctx, mine.held), most=formats.number(self.ctx, mine.most)) if mine.most is not None else ""
        return {"claim_url": f"{self.url}/claim", "claim_pool": pool.key, "standing": text}

    def paging(self, page: ops.Page) -> dict[str, str]:
        state = self.state
        found = {"count_text": "", "exact_url": "", "prev_url": "", "next_url": ""}
        if page.count is not None:
            shown = formats.number(self.ctx, page.count.value) + ("" if page.count.exact else "+")
            found["count_text"] = ngettext("%(shown)s record", "%(shown)s records", page.count.value if page.count.exact else 2, shown=shown)
            if not page.count.exact:
                found["exact_url"] = state.url(exact=True, after=state.after, trail=state.trail)
        if state.after:
            previous = state.trail[-1] if state.trail else ""
            found["prev_url"] = state.url(after=previous if previous != "-" else None, trail=state.trail[:-1])
        if page.next:
            found["next_url"] = state.url(after=page.next, trail=(*state.trail, state.after or "-")[-filters.MAX_TRAIL :])
        return found

    def column_choices(self, shown: Sequence[str]) -> tuple[Choice, ...]:
        keys = [*shown, *(k for k in self.entity.fields if k not in shown and self.visible(k))]
        return tuple(Choice(k, pick(self.entity.fields[k].label, self.ctx.locale), k in shown) for k in keys if not self.entity.fields[k].hidden or k in shown)

    def bulk_moves(self) -> tuple[Choice, ...]:
        """Transitions that can run without asking for anything."""
        pipeline = self.entity.pipeline
        if pipeline is None:
            return ()
        return tuple(
            Choice(t.key, pick(t.label, self.ctx.locale)) for t in pipeline.transitions
            if not t.require and permissions.transition_roles(self.ctx, pipeline, t) is not False
        )  # fmt: skip

    def more(self, may: dict[str, bool]) -> tuple[Link, ...]:
        found = []
        query = urlencode(self.state.params("after", "trail", "limit", "count"))
        if may["import"]:
            found.append(Link(_("Import"), f"{self.url}/import", "upload"))
        if may["export"]:
            found.append(Link(_("Export"), f"{self.url}/export" + (f"?{query}" if query else ""), "download", dialog=True))
            found.append(Link(_("Print"), f"{self.url}/print" + (f"?{query}" if query else ""), "printer"))
        if may["bulk"] and any(t.entity == self.entity.key for t in self.ctx.config.bundle.templates):
            found.append(Link(_("Send a message …"), f"{self.url}/messages" + (f"?{query}" if query else ""), "mail"))
        if self.entity.defn.owned and may["bulk"] and permissions.is_open(self.ctx):
            found.append(Link(_("Hand over all of these …"), f"{self.url}/transfer" + (f"?{query}" if query else ""), "exchange"))
        found.append(Link(_("Save as view …"), f"{self.url}/views/new" + (f"?{query}" if query else ""), "bookmark"))
        if self.view.key.startswith("u_"):
            found.append(Link(_("Delete this view …"), f"{self.url}/views/{quote(self.view.key)}/delete", "x"))
        if may["merge"] and self.entity.defn.duplicates:
            found.append(Link(_("Possible duplicates"), f"{self.url}/twins", "copy"))
        if may["delete"]:
            found.append(Link(_("Recycle bin"), f"{self.url}/bin", "trash"))
        if may_purge(self.ctx, self.entity.key) and permissions.is_open(self.ctx):
            found.append(Link(_("Purge …"), f"{self.url}/purge", "alert", danger=True))
        return tuple(found)

    def empty(self, common: dict[str, Any], may: dict[str, bool]) -> Empty:
        defn = self.entity.defn
        if self.state.q or self.state.conditions or self.state.advanced:
            actions = (Link(_("Clear search and filters"), self.state.url(q="", conditions=(), advanced="")),)
            return Empty("search", _("Nothing matches"), _("No records fit this search and these filters."), actions)
        actions = []
        if "new_url" in common:
            actions.append(Link(common["new_text"], common["new_url"], "plus"))
        if may["import"]:
            actions.append(Link(_("Import from a file"), f"{self.url}/import", "upload"))
        text = pick(defn.description, self.ctx.locale) or (_("Create the first one to get started.") if actions else _("What you may see will appear here."))
        return Empty(defn.icon, _("Nothing here yet"), text, tuple(actions))

    # ---- the board

    async def board_view(self, conn: Any, *, adding: str | None = None) -> ListView:
        columns: list[ops.BoardColumn] = await execute(
            self.ctx,
            ops.Board(entity=self.entity.key, view=(self.view.key or None) if self.view.kind == "board" else None, filter=filters.filter_json(self.ctx, self.entity, self.state), q=self.state.q or None),
        )
        shown = tuple(self._board_column(column) for column in columns)
        return ListView(columns=shown, **await self.common(conn, adding))

    def _board_column(self, column: ops.BoardColumn) -> BoardColumnView:
        pipeline = self.entity.pipeline
        by = (self.view.board or {}).get("by") or (pipeline.field if pipeline else "")
        more = f"{self.url}?f={quote(f'{by}:in:{column.key}')}" if column.more else ""
        return BoardColumnView(key=column.key, label=column.label, color=column.color, count=column.count, sum=self._sum(column), cards=tuple(self._card(column, r) for r in column.records), more_url=more)

    def _sum(self, column: ops.BoardColumn) -> str:
        key = (self.view.board or {}).get("sum")
        if column.sum in (None, "") or key not in self.entity.fields:
            return ""
        kind, field = field_types.get(self.entity.fields[key].type).result_of(self.entity.fields[key], self.ctx.config)
        return kind.display(field, column.sum, self.ctx.config, self.ctx.locale)

    def _card(self, column: ops.BoardColumn, record: ops.Record) -> CardView:
        title = self.entity.defn.title
        fields = [values.shown(self.ctx, self.entity, key, record) for key in record.display if key != title]
        offers = record.can.transitions if record.can else ()
        targets = dict.fromkeys(stage for offer in offers for stage in self.stages_of(offer))
        stage = self.entity.pipeline.stage(column.key) if self.entity.pipeline else None
        age, late = "", False
        if record.state_since and stage is not None and not stage.is_final:
            days, words = formats.age(self.ctx, record.state_since)
            late = bool(stage.age_alert_days and days >= stage.age_alert_days)
            age = words if late or days >= 7 else ""
        return CardView(
            id=str(record.id), version=record.version, url=f"{self.url}/{record.id}", move_url=f"{self.url}/{record.id}/move", title=record.title,
            fields=tuple(f for f in fields if f is not None and f.html != values.EMPTY), targets=" ".join(targets), locked=not targets, age=age, late=late,
        )  # fmt: skip

    def stages_of(self, offer: ops.TransitionOffer) -> list[str]:
        """The stages a transition can lead to: one, or those of its branches."""
        transition = self.entity.pipeline.transition(offer.key) if self.entity.pipeline else None
        if offer.to:
            return [offer.to]
        return [b.to for b in transition.branches] if transition else []


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def shown_fields(fields: Sequence[ShownField | None]) -> tuple[ShownField, ...]:
    return tuple(f for f in fields if f is not None)


async def open_listing(conn: Any, ctx: Context, entity: Entity, path: str, query: Any, *, kind: str) -> Listing:
    """The list or board the address asks for, under the view it names or the default one."""
    views = await all_views(conn, ctx, entity)
    wanted = query.get("view")
    of_kind = [v for v in views if v.kind == kind]
    view = next((v for v in views if v.key == wanted), None) or next((v for v in of_kind if v.default), None) or (of_kind[0] if of_kind else None)
    if kind == "list" and (wanted == ALL_KEY or (not wanted and query.get("filter"))) and (view is None or view.filter or view.key != wanted):
        # A link from a figure shows exactly its records: no view may narrow them further.
        view = next((v for v in of_kind if v.filter is None and not v.key.startswith("u_")), None) or everything(entity)
        wanted, views = view.key, views if view in views else [*views, view]
    if view is None:
        view = ViewDef(key="", entity=entity.key, label={}, kind=kind)
    state = filters.read_state(path, query, entity, view=wanted if any(v.key == wanted for v in views) else None)
    return Listing(ctx, entity, views, view, state)
