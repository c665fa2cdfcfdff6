"""What an API key must be allowed for each call: said here once, for all routes, before any of them begins.

The rights behind it (saas.runtime.permissions) are narrowed by the key as well, so that what a call reaches on its way, such as the
entity in a body, linked records or a search, stays within it.
"""

from __future__ import annotations

from litestar import Request

from saas.errors import KeyLimited
from saas.i18n import lazy
from saas.tenants import KeyScope

_ROOT = "/api/v1/"
_ALWAYS = ("me", "openapi.json")
_SETTINGS = ("config", "invitations", "archives", "usage", "people", "outbox", "runs", "automations", "clock", "timetable", "connectors", "option-lists", "log")  # what people do on pages of the settings, or what publishes a configuration
_READ_BY_POST = ("aggregate", "exports")  # the last part of the path
_ACROSS = ("reports", "notifications", "archives", "deputies", "log")  # answers made of several entities: not for keys of chosen ones


def require_scope(request: Request, key: KeyScope) -> None:
    """Errors: KeyLimited(scope=… or entity=…)."""
    parts = request.url.path.removeprefix(_ROOT).strip("/").split("/")
    if parts[0] in _ALWAYS:
        return
    scope = needed_scope(request.method, parts)
    if scope not in key.scopes:
        raise KeyLimited(lazy("This API key lacks the scope “%(scope)s”.", scope=scope), scope=scope)
    entity = request.path_params.get("entity")
    if entity is not None and not key.reaches(str(entity)):
        raise KeyLimited(lazy("This API key does not reach “%(entity)s”.", entity=entity), entity=str(entity))
    if key.entities is not None and parts[0] in _ACROSS:
        raise KeyLimited(lazy("This API key reaches chosen entities only, and this call asks several."))


def needed_scope(method: str, parts: list[str]) -> str:
    """`parts` of the path after /api/v1: read, write or config."""
    if parts[0] in _SETTINGS:
        return "config"
    return "read" if method in ("GET", "HEAD", "OPTIONS") or parts[-1] in _READ_BY_POST else "write"
