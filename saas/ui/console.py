"""The operator's console: who is there, the frame of its pages, and its menu as data.

Who: somebody who runs the installation, at their desk, because a customer called or to see that all is well; next they open one
tenant, or go back to what they were doing. A page of the console:

    @get("/billing")
    async def billing(request): return (await opened(request)).page("operator/billing.html", "billing", rows=…)

with its entry in `MENU`. A handler that changes something calls `opened(request, change=True)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from babel.dates import format_datetime
from litestar import Request, Response

from saas.errors import NotAuthenticated, NotFound, PermissionDenied
from saas.i18n import LazyString, lazy
from saas.i18n import gettext as _
from saas.tenants import OperatorInfo, find_operator_session
from saas.ui.guards import (
    SESSION_COOKIE,
    SecondFactorDue,
    add_cookie,
    check_token,
    client_ip,
    cookies_of,
    html,
    page_data,
    read_toasts,
    redirect,
    refuse_foreign,
    site_of,
)
from saas.ui.middleware import SAFE_METHODS
from saas.ui.render import render
from saas.ui.views import Link, NavGroup, Toast

# (group, [(key, address, name, icon)]): other parts of the product add their pages here.
MENU: Sequence[tuple[LazyString, Sequence[tuple[str, str, LazyString, str]]]] = (
    (lazy("Workspaces"), (("tenants", "/", lazy("Workspaces"), "building"), ("billing", "/billing", lazy("Billing"), "credit-card"))),
    (
        lazy("Everybody"),
        (("announcements", "/announcements", lazy("Announcements"), "megaphone"), ("switches", "/switches", lazy("Feature switches"), "toggle")),
    ),
    (lazy("Watch"), (("jobs", "/monitor/jobs", lazy("Jobs"), "server"), ("mail", "/monitor/mail", lazy("Mail and events"), "mail"), ("slow", "/monitor/slow", lazy("Slow statements"), "gauge"))),
    (lazy("Operators"), (("operators", "/operators", lazy("Operators"), "users"), ("audit", "/operator-audit", lazy("Audit log"), "eye"))),
)
SETUP = "/account/second-factor"
# Every address of the console begins with one of these; tests know by them what is no tenant's page.
OPERATOR_PATHS = ("/api/v1/tenants", "/account/", "/operators", "/tenants", "/announcements", "/switches", "/monitor/", "/operator-audit", "/billing")


class Console:
    """One request of one operator."""

    def __init__(self, request: Request, operator: OperatorInfo) -> None:
        self.request, self.operator = request, operator

    @property
    def ip(self) -> str:
        return client_ip(self.request)

    @property
    def locale(self) -> str:
        return self.request.scope["state"]["locale"]

    def page(self, template: str, current: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **data: Any) -> Response[str]:
        """`current`: the key of the menu's entry this page belongs to."""
        toasts = read_toasts(self.request)
        shown = {**page_data(self.request, csrf=self.operator.csrf_secret), "brand_name": _("Operator console"), "operator": self.operator, "menu": menu(current), "toasts": toasts, **data}
        response = html(render(template, **shown), status=status, headers=headers)
        if toasts:
            add_cookie(self.request, response, "toasts", "", seconds=0)
        return response

    def redirect(self, url: str, *messages: Toast) -> Response[str]:
        return redirect(self.request, url, *messages)

    def moment(self, at: datetime | None) -> str:
        """Of the clock the console goes by, UTC."""
        return format_datetime(at.astimezone(UTC), "yyyy-MM-dd HH:mm", locale=self.locale) if at else ""


def menu(current: str) -> tuple[NavGroup, ...]:
    return tuple(NavGroup(str(title), tuple(Link(str(name), url, icon, key == current) for key, url, name, icon in pages)) for title, pages in MENU)


async def opened(request: Request, *, change: bool = False) -> Console:
    """The signed-in operator. `change`: the page changes something, which not every operator may.
    Errors: NotFound on any other host, NotAuthenticated, PermissionDenied (forged, or an operator who only looks)."""
    if site_of(request).kind != "operator":
        raise NotFound()
    token = cookies_of(request).get(SESSION_COOKIE)
    found = await find_operator_session(token) if token else None
    if found is None or found.kind != "web":  # a program's token opens no page: it may be older than the second factor
        raise NotAuthenticated()
    if request.method not in SAFE_METHODS:
        refuse_foreign(request)
        await check_token(request, found.csrf_secret)
        if change and not found.may_change:
            raise PermissionDenied(lazy("Your operator's account may look at everything and change nothing."))
    wanted = request.app.state.settings.operator_totp != "optional"
    if wanted and not found.has_totp and not request.url.path.startswith(SETUP):
        raise SecondFactorDue(lazy("Operators sign in with a second factor. Please set it up now."), reason="second_factor", setup=SETUP)
    console = Console(request, found)
    request.scope["state"]["console"] = console
    return console
