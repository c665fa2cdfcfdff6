"""Looking at the pages through somebody else's eyes: who is looked as, what is refused meanwhile, and the context of it.

The session keeps {"roles": […], "user_id": …|null, "draft": bool}. Every request asks anew whether its person may still do that.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from saas.db import only_read
from saas.errors import InvalidDefinition, NotFound, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, listed, pick
from saas.metadata.config import Config
from saas.metadata.drafts import open_draft
from saas.runtime import Context
from saas.runtime.simulation import as_person, as_role, person_of, require_simulation
from saas.runtime.trial import trial
from saas.ui import settings_views

# Whoever looks as somebody does not read their messages, downloads or settings of their own, nor the changes they have not published.
PERSONAL = re.compile(r"/(profile|notifications|jobs|approvals)(/|\Z)")
DESIGNER = re.compile(rf"/settings/(?!({'|'.join(settings_views.parts_without('config'))})(/|\Z))")
_RECORD = re.compile(r"/r/(?P<entity>[a-z][a-z0-9_]*)(/(?P<record>[0-9a-f]{8}-[0-9a-f-]{27}))?(/|\Z)")
KEPT = 16
_drafts: OrderedDict[Any, Config] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Viewing:
    """The banner above every page. `why_url` leads to the explanation for the record at hand."""

    name: str
    draft: bool
    why_url: str


async def describe(ctx: Context, view_as: Mapping[str, Any], path: str) -> Viewing:
    """Whom somebody looks as, in words."""
    user_id = _id(view_as)
    if user_id is None:
        name = listed(pick(ctx.config.roles[k].label) if k in ctx.config.roles else k for k in view_as.get("roles", ())) or _("somebody without a role")
    else:
        try:
            name = (await person_of(ctx, user_id)).name
        except NotFound:
            name = _("somebody who is gone")
    return Viewing(name, bool(view_as.get("draft")), _why_url(view_as, path))


def _why_url(view_as: Mapping[str, Any], path: str) -> str:
    found = _RECORD.match(path)
    query: list[tuple[str, str]] = [("person", view_as["user_id"])] if view_as.get("user_id") else [("role", k) for k in view_as.get("roles", ())]
    query += [("draft", "1")] if view_as.get("draft") else []
    if found:
        query += [("entity", found["entity"]), *([("record", found["record"])] if found["record"] else [])]
    return f"/settings/simulator?{urlencode(query)}#why"


def refuse(viewing: Viewing, path: str, *, safe: bool) -> None:
    """Nothing is changed through another's eyes, and what is theirs alone is not opened. Errors: PermissionDenied."""
    if not safe:
        raise PermissionDenied(lazy("You are looking at this as %(name)s, so nothing can be changed. Leave that first.", name=viewing.name), reason="simulation")
    if PERSONAL.match(path):
        raise PermissionDenied(lazy("Messages, downloads and the profile are personal: they are not shown through somebody else's eyes."), reason="simulation")
    if DESIGNER.match(path):
        raise PermissionDenied(lazy("The configuration and its drafts are not shown through somebody else's eyes. Leave that first."), reason="simulation")


async def look(ctx: Context, view_as: Mapping[str, Any]) -> Context:
    """The context of whom `ctx` looks as; from here on this request cannot write. Errors: PermissionDenied, NotFound, InvalidDefinition."""
    user_id, draft = _id(view_as), bool(view_as.get("draft"))
    person = await person_of(ctx, user_id) if user_id else None
    roles = person.role_keys if person else tuple(view_as.get("roles", ()))
    require_simulation(ctx, roles, draft=draft)
    config = await _draft_config(ctx) if draft else ctx.config
    only_read()
    seen = as_person(ctx, person) if person else as_role(ctx, roles)
    return seen.replace(config=config)


async def _draft_config(ctx: Context) -> Config:
    """The configuration of one's own draft, its new columns only imagined."""
    assert ctx.user_id is not None
    draft = await open_draft(ctx.tenant_id, ctx.user_id)
    if draft.is_empty:
        return ctx.config
    if draft.examined.problems:
        raise InvalidDefinition(draft.examined.problems, lazy("Your draft has problems, so it cannot be tried. Solve them, or look without the draft."))
    key = (ctx.tenant_id, draft.text, ctx.config.revision, ctx.tenant.currency, ctx.tenant.country, ctx.tenant.time_zone)
    found = _drafts.get(key)
    if found is None:
        async with trial(ctx, draft.examined.bundle) as tried:
            found = tried.config
        _drafts[key] = found
        while len(_drafts) > KEPT:
            _drafts.popitem(last=False)
    return found


def _id(view_as: Mapping[str, Any]) -> UUID | None:
    return UUID(view_as["user_id"]) if view_as.get("user_id") else None
