"""The frame of a page: menu groups from the person's roles, the tenant's mark, what the palette can create."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from saas.i18n import gettext as _
from saas.i18n import pick, titled
from saas.metadata.config import Entity
from saas.metadata.models import MenuGroup
from saas.runtime import Context, dictionaries, permissions, user_forms
from saas.runtime.composing import forms_of
from saas.runtime.portal import is_portal
from saas.runtime.reviews import may_review
from saas.runtime.statements import statements_of
from saas.runtime.views import configured_views
from saas.ui.guards import Ask
from saas.ui.views import Link, NavGroup, Shell

COLOURS = ("blue", "teal", "purple", "orange", "pink", "green", "indigo", "red")
SETTINGS_PARTS = ("config", "users", "audit", "jobs", "brand", "import", "export", "api", "security")


def colour_of(text: str) -> str:
    """A colour that stays with a name."""
    return COLOURS[hashlib.sha256(text.encode()).digest()[0] % len(COLOURS)]


def shell_of(ask: Ask) -> Shell:
    ctx, path = ask.ctx, ask.request.url.path
    groups = navigation(ctx, ask.here)
    flat = [item for group in groups for item in group.items]
    user = ctx.user
    assert user is not None
    return Shell(
        tenant_name=ctx.tenant.name, mark=ctx.tenant.name[:1].upper(), user_name=user.name, user_email=user.email, user_mark=user.name[:1],
        user_color=colour_of(user.name), nav=groups, bottom=tuple(flat[:4]), creates=tuple(creates(ctx)), unread=ask.unread,
        unread_text="99+" if ask.unread > 99 else str(ask.unread), settings=any(permissions.may_configure(ctx, part) for part in SETTINGS_PARTS),
        in_settings=path.startswith("/settings"), keys=ask.request.scope["state"]["cookies"].get("keys") != "off",
        logo=f"/brand/logo?v={ctx.tenant.brand['logo']}" if ctx.tenant.brand.get("logo") else "",
        approvals=_own(ask), is_support=ctx.support is not None, is_portal=is_portal(ctx),
    )  # fmt: skip


def _own(ask: Ask) -> tuple[Link, ...]:
    """Where approvals are used at all, with the number of decisions that wait; and forms."""
    found, path = [], ask.request.url.path
    if ask.ctx.support is None and (ask.ctx.config.bundle.approvals or ask.waiting):
        count = "99+" if ask.waiting > 99 else str(ask.waiting or "")
        found.append(Link(_("Approvals"), "/approvals", "shield", path.startswith("/approvals"), count=count))
    if user_forms.forms(ask.ctx) or (ask.ctx.support is None and user_forms.may_make(ask.ctx)):
        found.append(Link(_("Forms"), "/forms", "forms", path.startswith("/forms")))
    if dictionaries.kept(ask.ctx):
        found.append(Link(_("Lists"), "/option-lists", "list", path.startswith("/option-lists")))
    return tuple(found)


def navigation(ctx: Context, here: str) -> tuple[NavGroup, ...]:
    """The menus of the person's roles, without what they may not see; entities without a menu when there is none."""
    letters: set[str] = set()
    seen: set[str] = set()
    groups = []
    for group in _menus(ctx):
        items = []
        for text in group.items:
            link = _item(ctx, text, here)
            if link is None or link.url in seen:
                continue
            seen.add(link.url)
            letter = next((c for c in text.rpartition(":")[2] if c not in letters and c.isalpha()), "")
            letters.add(letter)
            items.append(replace(link, go=letter))
        if items:
            groups.append(NavGroup(pick(group.label, ctx.locale), tuple(items)))
    if queues := [r for r in ctx.config.bundle.reviews if r.entity in ctx.config.entities and may_review(ctx, r)]:
        links = tuple(Link(pick(r.label, ctx.locale), f"/reviews/{r.key}", "list-details", here.startswith(f"/reviews/{r.key}")) for r in queues)
        groups.append(NavGroup(_("Reviews"), links))
    return _only_best_current([NavGroup(g.title, tuple(_clear(i, groups) for i in g.items)) for g in groups])


def _clear(item: Link, groups: list[NavGroup]) -> Link:
    """A view's own name may be the same for two entities ("All"): then the entity's name goes before it."""
    same = sum(other.text == item.text for group in groups for other in group.items)
    return replace(item, text=titled(item.note, item.text) if same > 1 else item.text, note="")


def _only_best_current(groups: list[NavGroup]) -> tuple[NavGroup, ...]:
    """Where several items match, the one with the longest address is the current one."""
    matches = [item.url for group in groups for item in group.items if item.current]
    best = max(matches, key=len, default=None)
    return tuple(
        NavGroup(g.title, tuple(Link(i.text, i.url, i.icon, i.current and i.url == best, go=i.go) for i in g.items)) for g in groups
    )


def _menus(ctx: Context) -> Iterable[MenuGroup]:
    menus = [group for role in permissions.roles(ctx) for group in role.menu]
    if menus:
        return menus
    readable = [e for e in ctx.config.entities.values() if permissions.may(ctx, "read", e.key) and not is_detail(ctx, e) and not e.defn.form]
    return [
        MenuGroup({}, tuple(f"dashboard:{d}" for d in ctx.config.dashboards)),
        MenuGroup({"en": "Records", "zh_CN": "数据"}, tuple(e.key for e in readable)),
        MenuGroup({"en": "Reports", "zh_CN": "报表"}, tuple(f"report:{r}" for r in ctx.config.reports)),
    ]


def is_detail(ctx: Context, entity: Entity) -> bool:
    """Records that live inside another one (order lines): no menu entry of their own."""
    return any(f.options.get("detail") for f in entity.defn.fields)


def _item(ctx: Context, text: str, here: str) -> Link | None:
    kind, colon, key = text.partition(":")
    path = here.partition("?")[0]
    if kind == "dashboard" and colon:
        found = ctx.config.dashboards.get(key)
        return Link(pick(found.label, ctx.locale), f"/dashboards/{key}", "dashboard", path == f"/dashboards/{key}") if found and permissions.may_dashboard(ctx, key) else None
    if kind == "report" and colon:
        report = ctx.config.reports.get(key)
        return Link(pick(report.label, ctx.locale), f"/reports/{key}", "chart-bar", path == f"/reports/{key}") if report and permissions.may_report(ctx, key) else None
    if kind == "form" and colon and "form" not in ctx.config.entities:
        form = next((f for f in forms_of(ctx) if f.key == key), None)
        return Link(pick(form.label, ctx.locale), f"/entry/{key}", ctx.config.entity(form.entity).defn.icon, path == f"/entry/{key}") if form else None
    if kind == "statement" and colon and "statement" not in ctx.config.entities:
        statement = next((s for s in statements_of(ctx) if s.key == key), None)
        return Link(pick(statement.label, ctx.locale), f"/statements/{key}", "file-text", path == f"/statements/{key}") if statement else None
    if kind == "new" and colon:
        made = ctx.config.entities.get(key)
        return Link(_("New %(name)s", name=pick(made.defn.label, ctx.locale)), f"/r/{key}/new", "plus", path == f"/r/{key}/new") if made and permissions.may(ctx, "create", key) else None
    entity_key, view = (key, "") if kind == "board" else (kind, key)
    entity = ctx.config.entities.get(entity_key)
    if entity is None or not permissions.may(ctx, "read", entity_key):
        return None
    url = f"/r/{entity_key}/board" if kind == "board" else f"/r/{entity_key}" + (f"?view={view}" if view else "")
    name = pick(entity.defn.plural, ctx.locale)
    if view:
        found_view = next((v for v in configured_views(ctx, entity) if v.key == view), None)  # those of pools among them
        if found_view is None:
            return None
        name = pick(found_view.label, ctx.locale)
        if sum(1 for v in ctx.config.bundle.views if v.label == found_view.label) > 1:
            # "All" or "Mine" says nothing in a menu of many kinds of records
            name = _("%(kind)s · %(view)s", kind=pick(entity.defn.plural, ctx.locale), view=name)
        return Link(name, url, entity.defn.icon, here.startswith(url), note=pick(entity.defn.plural, ctx.locale))
    if kind == "board" and any(item.partition(":")[0] == entity_key for group in _menus(ctx) for item in group.items):
        name = _("%(kind)s · %(view)s", kind=name, view=_("Board"))  # beside lists of the same records
    return Link(name, url, entity.defn.icon, path == f"/r/{entity_key}" or path.startswith(f"/r/{entity_key}/"))


def creates(ctx: Context) -> list[Link]:
    return [
        *(Link(pick(f.label, ctx.locale), f"/entry/{f.key}", "plus") for f in forms_of(ctx)),
        *(Link(_("New %(name)s", name=pick(e.defn.label, ctx.locale)), f"/r/{e.key}/new", "plus")
        for e in ctx.config.entities.values()
        if permissions.may(ctx, "create", e.key) and not is_detail(ctx, e)),
    ]


def home_url(ctx: Context) -> str:
    """Where "/" leads: the role's home dashboard, else the first item of the menu."""
    if any(role.tiles for role in permissions.roles(ctx)):
        return "/start"
    for role in permissions.roles(ctx):
        if role.home and role.home in ctx.config.dashboards:
            return f"/dashboards/{role.home}"
    groups = navigation(ctx, "/")
    return groups[0].items[0].url if groups else "/search"
