"""The access simulator: look at the pages as a role or person, compare what they may, and ask why somebody can or cannot.

Who: an admin who is told "I can't see my customer", or who wants to be sure before a changed role goes live. What next: the role's
page where the rule stands, or publishing the draft.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post

from saas.db import tenant_transaction
from saas.errors import AppError, NotFound, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, listed, pick
from saas.metadata.drafts import Draft, open_draft
from saas.runtime import Context, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.context import User
from saas.runtime.explain import Verdict, explain
from saas.runtime.explain_words import ACCESS, RIGHTS
from saas.runtime.simulation import (
    AccessChange,
    EntityAccess,
    Flip,
    Sample,
    as_person,
    as_role,
    compare_access,
    person_of,
    require_simulation,
)
from saas.runtime.trial import trial
from saas.tenants import list_users, record_audit, set_view_as
from saas.ui import settings_views
from saas.ui.builder.conditions import in_words
from saas.ui.builder.desk import Desk
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.shell import navigation
from saas.ui.views import Choice, Toast

PATH = "/settings/simulator"
OFFERED = 20
ON_FIELDS, ON_RECORDS = ("see_field", "change_field"), ("read", "update", "delete", "restore", "export", "transition", "see_field", "change_field")


# ---- who ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Who:
    """A person, or somebody with these roles. Written "user:id" or "role:key,key"."""

    user: User | None = None
    roles: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"user:{self.user.id}" if self.user else f"role:{','.join(self.roles)}"

    @property
    def role_keys(self) -> tuple[str, ...]:
        return self.user.role_keys if self.user else self.roles

    def name(self, ctx: Context) -> str:
        if self.user:
            return self.user.name
        return listed(pick(ctx.config.roles[k].label, ctx.locale) if k in ctx.config.roles else k for k in self.roles) or _("somebody without a role")

    def context(self, ctx: Context) -> Context:
        """`ctx` through their eyes; a made-up person is called by the roles."""
        return as_person(ctx, self.user) if self.user else as_role(ctx, self.roles)

    def person(self, ctx: Context) -> User:
        assert ctx.user is not None
        return self.user or replace(ctx.user, name=self.name(ctx), role_keys=self.roles)


async def who_of(ctx: Context, text: str) -> Who | None:
    """Errors: NotFound."""
    kind, _colon, rest = text.partition(":")
    if kind == "user":
        return Who(user=await person_of(ctx, _uuid(rest)))
    if kind == "role":
        keys = tuple(k for k in rest.split(",") if k)
        if any(k not in ctx.config.roles for k in keys):
            raise NotFound(lazy("There is no such role here."))
        return Who(roles=keys)
    return None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound() from error


def may_look(ctx: Context, role_keys: Iterable[str], *, draft: bool = False) -> bool:
    try:
        require_simulation(ctx, role_keys, draft=draft)
    except PermissionDenied:
        return False
    return True


# ---- the page ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Simulator:
    """One request of the page. `draft` is the asker's own; `uses_draft` whether it is tried."""

    ask: Ask
    draft: Draft
    who: Who | None
    query: Mapping[str, str]
    uses_draft: bool = False
    errors: list[str] = field(default_factory=list)

    @property
    def ctx(self) -> Context:
        return self.ask.ctx

    @property
    def draft_state(self) -> str:
        """none, ready or problems; closed to those who may not try it."""
        if self.draft.is_empty or not permissions.is_admin(self.ctx):
            return "none"
        return "problems" if self.draft.examined.problems else "ready"

    @asynccontextmanager
    async def tried(self, *, write: bool = False) -> AsyncIterator[Context]:
        """The asker under the draft, or as they are; inside one transaction."""
        if self.uses_draft:
            async with trial(self.ctx, self.draft.examined.bundle, write=write, timeout_seconds=20) as ctx:
                yield ctx
        else:
            async with tenant_transaction(self.ctx.tenant_id, timeout_seconds=20):
                yield self.ctx


async def open_simulator(request: Request, given: Mapping[str, str]) -> Simulator:
    """Errors: PermissionDenied, NotFound."""
    ask = await signed_in(request, myself=True)
    permissions.require_setting(ask.ctx, "config")
    assert ask.ctx.user_id is not None
    draft = await open_draft(ask.ctx.tenant_id, ask.ctx.user_id)
    found = Simulator(ask, draft, None, given)
    text = given.get("who") or (f"user:{given['person']}" if given.get("person") else f"role:{given['role']}" if given.get("role") else "")
    found.who = await who_of(ask.ctx, text)
    found.uses_draft = bool(given.get("draft")) and found.draft_state == "ready"
    if found.who:
        require_simulation(ask.ctx, found.who.role_keys)
    return found


@get(PATH)
async def simulator(request: Request) -> Response[Any]:
    query = {**dict(request.query_params), "role": ",".join(request.query_params.getall("role", []))}
    return await _page(await open_simulator(request, query))


async def _page(page: Simulator, *, status: int = 200) -> Response[Any]:
    ask, who = page.ask, page.who
    users = await list_users(page.ctx.tenant_id, only_active=True)
    shown: dict[str, Any] = {"comparison": None, "why": None}
    if who:
        shown["comparison"] = await _comparison(page, who)
        shown["why"] = await _why(page, who)
    async with ask.work():
        pass
    return ask.page(
        "settings/simulator.html", status=status, nav=settings_views.navigation(page.ctx, "simulator"), current="simulator", desk=Desk(ask, page.draft).bar(),
        who=who.text if who else "", name=who.name(page.ctx) if who else "", roles=_role_choices(page, who), people=_people_choices(page, users, who),
        against=_role_choices(page, None, page.query.get("with", "")), against_people=_people_choices(page, users, None, page.query.get("with", "")),
        draft=page.draft_state, uses_draft=page.uses_draft, errors=page.errors, **shown,
    )  # fmt: skip


def _role_choices(page: Simulator, who: Who | None, chosen: str = "") -> list[Choice]:
    text = who.text if who else chosen
    found = [Choice(f"role:{r.key}", pick(r.label, page.ctx.locale), f"role:{r.key}" == text) for r in page.ctx.config.bundle.roles if may_look(page.ctx, [r.key])]
    if who and not who.user and not any(c.on for c in found):
        found.append(Choice(who.text, who.name(page.ctx), True))
    return found


def _people_choices(page: Simulator, users: Sequence[Mapping[str, Any]], who: Who | None, chosen: str = "") -> list[Choice]:
    text = who.text if who else chosen
    return [Choice(f"user:{u['id']}", u["name"], f"user:{u['id']}" == text) for u in users if may_look(page.ctx, u["role_keys"])]


# ---- comparing ---------------------------------------------------------------------------------------------------------


async def _comparison(page: Simulator, who: Who) -> dict[str, Any] | None:
    """What `who` may: against somebody else, against now when the draft is tried, else as it stands."""
    ctx = page.ctx
    try:
        other = await who_of(ctx, page.query.get("with", ""))
        if other:
            require_simulation(ctx, other.role_keys)
        async with page.tried() as tried:
            after = who.context(tried).replace(viewer=ctx)
            before = (other or who).context(ctx)
            change = await compare_access(before, after, asker=ctx)
            menus = [{(link.text, link.url) for group in navigation(c, "/") for link in group.items} for c in (before, after)]
    except AppError as error:
        page.errors.append(str(error.message))
        return None
    compares = other is not None or page.uses_draft
    name = who.name(ctx)
    if other and page.uses_draft:
        title = _("%(name)s with your changes, compared with %(other)s now", name=name, other=other.name(ctx))
    elif other:
        title = _("%(name)s, compared with %(other)s", name=name, other=other.name(ctx))
    else:
        title = _("%(name)s with your changes, compared with now", name=name) if page.uses_draft else _("What %(name)s may", name=name)
    return {
        "title": title, "compares": compares, "note": "" if who.user else _("Counted as if you had this role yourself: own records are yours."), "rows": _rows(change, all_=not compares), "same": [e.label for e in change.entities if compares and not e.differs],
        "sets": _sets(change, menus, all_=not compares),
    }  # fmt: skip


def _rows(change: AccessChange, *, all_: bool) -> list[dict[str, Any]]:
    rows = []
    for entity in change.entities:
        if not (all_ or entity.differs):
            continue
        gained = [a.label for a in entity.actions if a.after and (all_ or not a.before)]
        lost = [a.label for a in entity.actions if a.before and not a.after and not all_]
        rows.append(
            {
                "label": entity.label, "icon": entity.icon, "key": entity.key, "exact": entity.exact, "rights": entity.rights, "fields": _fields(entity, all_=all_),
                "gained": gained, "lost": lost, "samples": [] if all_ else _samples(entity),
            }
        )  # fmt: skip
    return rows


def _fields(entity: EntityAccess, *, all_: bool) -> list[dict[str, Any]]:
    """Fields that fare alike together: “editable → read-only: Name, Code”."""
    found: dict[tuple[str, bool], list[str]] = {}
    for f in entity.fields:
        after = _access(f.after, f.after_if)
        if all_ and f.after in ("hidden", "masked"):
            found.setdefault((after, False), []).append(f.label)
        elif not all_ and f.differs:
            found.setdefault((f"{_access(f.before, f.before_if)} → {after}", _level(f.after) > _level(f.before)), []).append(f.label)
    return [{"text": text, "gains": gains, "names": names} for (text, gains), names in found.items()]


def _samples(entity: EntityAccess) -> list[tuple[str, Sequence[Sample], str]]:
    """(“Read, lost”, records, css) of each right that reaches other records than before."""
    names = {"read": _("Read"), "update": _("Edit"), "delete": _("Delete")}
    found = [(_("%(right)s, gained", right=names[r.right]), r.gained_samples, "gains") for r in entity.rights]
    found += [(_("%(right)s, lost", right=names[r.right]), r.lost_samples, "loses") for r in entity.rights]
    return [(title, some, css) for title, some, css in found if some]


def _level(access: str) -> int:
    return {"none": 0, "hidden": 1, "masked": 2, "read": 3, "write": 4}[access]


def _access(level: str, condition: str) -> str:
    name = _("no access") if level == "none" else str(ACCESS[level])
    return _("%(access)s, if %(condition)s", access=name, condition=condition) if condition else name


def _sets(change: AccessChange, menus: Sequence[set[tuple[str, str]]], *, all_: bool) -> list[dict[str, Any]]:
    """Menu, reports, dashboards and settings: what comes and what goes."""
    before, after = menus
    entries = [Flip(url, text, (text, url) in before, (text, url) in after) for text, url in sorted(before | after)]
    parts = [replace(f, label=settings_views.part_name(f.key)) for f in change.settings]
    found = []
    for title, flips in ((_("Menu"), entries), (_("Reports"), change.reports), (_("Dashboards"), change.dashboards), (_("Settings"), parts)):
        gained = [f.label for f in flips if f.after and (all_ or not f.before)]
        lost = [f.label for f in flips if f.before and not f.after and not all_]
        if gained or lost:
            found.append({"title": title, "gained": gained, "lost": lost})
    return found


# ---- why ---------------------------------------------------------------------------------------------------------------


async def _why(page: Simulator, who: Who) -> dict[str, Any]:
    """The question's form and, once it is complete, its answer."""
    query = page.query
    config = Desk(page.ask, page.draft).config if page.uses_draft else page.ctx.config
    entity = config.entities.get(query.get("entity", ""))
    if query.get("was", query.get("entity")) != query.get("entity"):  # another entity was chosen: the rest of the question is about the one before
        query = {k: v for k, v in query.items() if k not in ("record", "right", "field", "transition", "q")}
    right = query.get("right", "read") if query.get("right", "read") in RIGHTS else "read"
    found: dict[str, Any] = {
        "entities": [Choice(e.key, pick(e.defn.plural, page.ctx.locale), entity is e) for e in config.entities.values()], "entity": entity.key if entity else "",
        "rights": [Choice(key, str(label), key == right) for key, label in RIGHTS.items() if key != "transition" or (entity and entity.pipeline)], "right": right,
        "fields": [], "transitions": [], "records": [], "record": query.get("record", ""), "verdict": None, "q": query.get("q", ""),
    }  # fmt: skip
    if entity is None:
        return found
    found["fields"] = [Choice(f.key, pick(f.label, page.ctx.locale) or f.key, f.key == query.get("field")) for f in entity.fields.values()]
    found["transitions"] = [Choice(t.key, pick(t.label, page.ctx.locale), t.key == query.get("transition")) for t in (entity.pipeline.transitions if entity.pipeline else ())]
    found["records"] = await _records(page.ctx, entity.key, found["q"], found["record"])
    incomplete = (right in ON_FIELDS and not query.get("field")) or (right == "transition" and not query.get("transition"))
    if ("right" in query or found["record"]) and not incomplete:
        found["verdict"] = await _verdict(page, who, entity.key, right, query)
        found["question"] = _question(who.name(page.ctx), right, found)
    return found


async def _records(ctx: Context, entity: str, q: str, chosen: str) -> list[Choice]:
    """Records to ask about: those that match, the newest without words; the chosen one always."""
    if entity not in ctx.config.entities or not permissions.may(ctx, "read", entity):
        return []
    page = await execute(ctx, ops.List(entity=entity, q=q or None, fields=[ctx.config.entity(entity).defn.title], sort=["-updated_at"], limit=OFFERED))
    found = [Choice(str(r.id), r.title, str(r.id) == chosen) for r in page.records]
    if chosen and not any(c.on for c in found):
        for deleted in (False, True):
            try:
                record = await execute(ctx, ops.Get(entity=entity, id=_uuid(chosen), deleted=deleted))
            except AppError:
                continue
            return [Choice(chosen, record.title, True), *found]
    return found


async def _verdict(page: Simulator, who: Who, entity: str, right: str, query: Mapping[str, str]) -> Verdict | None:
    record = _uuid(query["record"]) if query.get("record") else None
    try:
        async with page.tried(write=True) as tried:
            return await explain(tried, who.person(tried), entity, record, right, query.get("field") or None, query.get("transition") or None, say=lambda of, text: in_words(tried, of, text))
    except AppError as error:
        page.errors.append(str(error.message))
        return None


def _question(name: str, right: str, shown: Mapping[str, Any]) -> str:
    about = next((c.text for key in ("fields", "transitions") for c in shown[key] if c.on and ((key == "fields") == (right in ON_FIELDS)) and (right in ON_FIELDS or right == "transition")), "")
    record = next((c.text for c in shown["records"] if c.on), "") if right in ON_RECORDS else ""
    entity = next((c.text for c in shown["entities"] if c.on), "")
    return " · ".join(t for t in (name, str(RIGHTS[right]), about, record or entity) if t)


@get(f"{PATH}/records")
async def records(request: Request) -> Response[Any]:
    """Candidates of the record search, as JSON."""
    page = await open_simulator(request, {})
    async with page.ask.work():
        found = await _records(page.ctx, request.query_params.get("entity", ""), request.query_params.get("q", "")[:100], "")
    return Response({"items": [{"value": c.key, "text": c.text, "note": ""} for c in found]}, headers={"cache-control": "no-store"})


# ---- looking -----------------------------------------------------------------------------------------------------------


@post(PATH, status_code=200)
async def start(request: Request) -> Response[Any]:
    """From now on this session's pages are those of the chosen role or person."""
    form = await request.form()
    page = await open_simulator(request, {"who": str(form.get("who") or ""), "draft": "1" if form.get("draft") else ""})
    if page.who is None:
        page.errors.append(_("Choose a role or a person first."))
        return await _page(page, status=422)
    if form.get("draft") and not page.uses_draft:
        page.errors.append(_("Your draft has problems, so it cannot be tried. Solve them, or look without the draft.") if page.draft_state == "problems" else _("There are no unpublished changes of yours to try."))
        return await _page(page, status=422)
    view_as = {"roles": list(page.who.roles), "user_id": str(page.who.user.id) if page.who.user else None, "draft": page.uses_draft}
    await _note(page.ask, "simulation.started", view_as)
    return page.ask.redirect(local_path(str(form.get("next") or ""), "/"))


@post(f"{PATH}/leave", status_code=200)
async def leave(request: Request) -> Response[Any]:
    """One's own eyes again; possible always, whatever rights are left."""
    ask = await signed_in(request, myself=True)
    if ask.session.view_as:
        await _note(ask, "simulation.ended", None)
    ask.viewing = None
    url = PATH if permissions.may_configure(ask.ctx, "config") else "/"
    return ask.redirect(url, Toast(_("You see everything with your own eyes again.")))


async def _note(ask: Ask, kind: str, view_as: Mapping[str, Any] | None) -> None:
    ctx, data = ask.ctx, view_as or ask.session.view_as or {}
    async with tenant_transaction(ctx.tenant_id) as conn:
        await set_view_as(ctx.tenant_id, ask.session.id, view_as)
        await record_audit(conn, ctx.tenant_id, kind, actor_id=ctx.user_id, target=data.get("user_id") or ",".join(data.get("roles", ())), request_id=ctx.request_id, data=data)


router = Router("", route_handlers=[simulator, records, start, leave])
