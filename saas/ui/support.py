"""An operator who looks into a tenant (saas.tenants.support): which paths are open to them, and the refusal of all others.

What is not named here is closed, so that a new page is closed until somebody thinks about it. In read-only mode the context itself may
not write (`permissions.require_active`), and the database refuses whatever forgot to ask (`saas.db.only_read`).
"""

from __future__ import annotations

import re

from litestar import Request

from saas.db import only_read
from saas.errors import PermissionDenied
from saas.i18n import lazy
from saas.tenants import SessionInfo, find_support_session
from saas.tenants.support import is_support
from saas.ui.middleware import SAFE_METHODS

LEAVE = "/support/leave"
# Parts of the settings a look may go to. Not: people's accounts, keys, security, messages' texts, exports, deletion.
SETTINGS = (
    "entities", "relations", "option-sets", "numbering", "values", "labels", "views", "layouts", "menus", "reports", "dashboards", "pipelines", "automations", "approvals", "schedules", "timetable", "ledgers", "reviews", "forms", "pricing", "statements", "connectors", "mirrors", "live-lists", "calls",
    "examples", "roles", "draft", "revisions", "data-changes", "speed", "audit", "jobs",
)  # fmt: skip
_UUID = r"[0-9a-fA-F-]{32,36}"
_SEEN = re.compile(
    rf"/\Z|/r/[a-z][a-z0-9_]*(?:/(?:board|bin|new|form|twins|merge|merges/{_UUID}|{_UUID}(?:/(?:edit|move|delete|transitions/[^/]+(?:/form)?|ledgers/[^/]+|reverse))?))?\Z|/reports(?:/[^/]+)?\Z|/dashboards/[^/]+\Z"
    rf"|/statements/[a-z][a-z0-9_]*\Z|/entry/[a-z][a-z0-9_]*(?:/{_UUID})?\Z|/search\Z|/lookup/[^/]+/[^/]+\Z|/files/{_UUID}\Z|/settings\Z|/settings/(?:users|mail)\Z|/settings/(?:{'|'.join(SETTINGS)})(?:/.*)?\Z"
    rf"|/api/v1/(?:me|forms|users|reports(?:/[^/]+)?|search|schema(?:/[^/]+)?|views/[^/]+|files/{_UUID}|config|config/revisions(?:/.*)?|openapi\.json|records/[^/]+(?:/{_UUID}(?:/history|/ledgers(?:/[^/]+)?)?|/merges/{_UUID}|/twins)?)\Z"
)
_ASKED_BY_POST = re.compile(r"/api/v1/records/[^/]+/aggregate\Z|/r/[^/]+/form\Z|/entry/[^/]+/live\Z|/r/[^/]+/[^/]+/transitions/[^/]+/form\Z")  # these only read
_CHANGED = re.compile(
    rf"/entry/[a-z][a-z0-9_]*(?:/{_UUID})?\Z|/api/v1/forms/[^/]+\Z|/r/[a-z][a-z0-9_]*/(?:new|bulk|merge|merges/{_UUID}/undo|twins/dismiss|{_UUID}/(?:edit|delete|restore|move|reverse|transitions/[^/]+|buttons/[^/]+))\Z|/api/v1/records/[^/]+(?:/bulk|/merge|/merges/{_UUID}/undo|/twins/dismiss|/{_UUID}(?:/restore|/reverse|/(?:transitions|buttons)/[^/]+)?)?\Z"
)


async def look_in(request: Request, token: str) -> SessionInfo | None:
    """The session behind such a token; the audit log knows of this request before anything of it is done."""
    tenant = request.scope["state"]["site"].tenant
    ip = request.client.host if request.client else ""
    return await find_support_session(tenant.id, token, method=request.method, path=request.url.path, ip=ip, request_id=request.scope["state"]["request_id"])


def limit(session: SessionInfo, request: Request) -> None:
    """What support may not is refused; a look makes every transaction of this request read-only. After the CSRF check, outside any
    transaction. Errors: PermissionDenied."""
    support, path = session.support, request.url.path
    if support is None:
        return
    if request.method in SAFE_METHODS or _ASKED_BY_POST.match(path):
        if not (_SEEN.match(path) or _ASKED_BY_POST.match(path)):
            raise PermissionDenied(lazy("This part of a workspace is closed to support."), reason="support")
        only_read()  # also in write mode: what only reads writes nothing
    elif not support.may_write:
        raise PermissionDenied(lazy("Support may look, not change anything."), reason="support")
    elif not _CHANGED.match(path):
        raise PermissionDenied(lazy("Support may change records here, and nothing else."), reason="support")


def may_open(path: str) -> bool:
    """Whether a link to this page leads anywhere for support."""
    return bool(_SEEN.match(path))


__all__ = ["LEAVE", "SETTINGS", "is_support", "limit", "look_in", "may_open"]
