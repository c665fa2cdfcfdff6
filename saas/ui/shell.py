"""The frame of a page: menu groups from the person's roles, the tenant's mark, what the palette can create."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from saas.i18n import gettext as _
from saas.i18n import pick, titled
from saas.metadata.config import Entity
from saas.metadata.models import MenuGroup
from saas.runtime import Context, permissions
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
        is_support=ctx.support is not None,
    )  # fmt: skip


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
    readable = [e for e in ctx.config.entities.values() if permissions.may(ctx, "read", e.key) and not is_detail(ctx, e)]
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
    entity_key, view = (key, "") if kind == "board" else (kind, key)
    entity = ctx.config.entities.get(entity_key)
    if entity is None or not permissions.may(ctx, "read", entity_key):
        return None
    url = f"/r/{entity_key}/board" if kind == "board" else f"/r/{entity_key}" + (f"?view={view}" if view else "")
    name = pick(entity.defn.plural, ctx.locale)
    if view:
        found_view = next((v for v in ctx.config.views(entity_key) if v.key == view), None)
        if found_view is None or (found_view.roles and not set(found_view.roles) & set(ctx.user.role_keys if ctx.user else ()) and not permissions.is_admin(ctx)):
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
        Link(_("New %(name)s", name=pick(e.defn.label, ctx.locale)), f"/r/{e.key}/new", "plus")
        for e in ctx.config.entities.values()
        if permissions.may(ctx, "create", e.key) and not is_detail(ctx, e)
    ]


def home_url(ctx: Context) -> str:
    """Where "/" leads: the role's home dashboard, else the first item of the menu."""
    for role in permissions.roles(ctx):
        if role.home and role.home in ctx.config.dashboards:
            return f"/dashboards/{role.home}"
    groups = navigation(ctx, "/")
    return groups[0].items[0].url if groups else "/search"
