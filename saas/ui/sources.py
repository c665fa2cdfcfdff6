"""How fresh mirrored records are, said above their list and on their page."""

from __future__ import annotations

from typing import Any

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.config import Entity
from saas.runtime import Context, connectors, permissions
from saas.ui import formats
from saas.ui.views import SourceView


async def sources_of(conn: Any, ctx: Context, entity: Entity) -> tuple[SourceView, ...]:
    """Asks nothing where records are not mirrored."""
    if not connectors.is_fed(ctx, entity.key):
        return ()
    found = []
    for fresh in await connectors.freshness_of(conn, ctx, entity=entity.key):
        name = pick(fresh.connector.label, ctx.locale)
        if fresh.at is None:
            text = _("From %(system)s: not fetched yet", system=name)
        else:
            text = _("From %(system)s, as of %(time)s", system=name, time=formats.moment(ctx, fresh.at))
        if fresh.mode == "stub":
            text = _("%(text)s (sample answers)", text=text)
        if fresh.is_late and fresh.at is not None:
            text = _("%(text)s: should be newer", text=text)
        url = f"/settings/connections/connector/{fresh.connector.key}" if permissions.may_configure(ctx, "config") else ""
        found.append(SourceView(text, formats.full(ctx, fresh.at) if fresh.at else "", fresh.is_late, url))
    return tuple(found)
