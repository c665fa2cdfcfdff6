"""The composition root of the web application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp

from saas import i18n
from saas.db import close_database, open_database
from saas.db.scope import is_database_open
from saas.provision import open_workspace, provision_tenant
from saas.runtime import load_kinds
from saas.settings import Settings
from saas.tenants import rates, slow, traffic
from saas.ui import pages
from saas.ui.api import routers as api_routers
from saas.ui.attention import AbandonedReads, choose_limit
from saas.ui.errors import HANDLERS
from saas.ui.middleware import SiteMiddleware
from saas.ui.transport import Transport

MAX_BODY_BYTES = 10_000_000


def create_app(settings: Settings) -> ASGIApp:
    """The ASGI application. Opens the database on start-up unless the process has it open already, and then leaves it open."""
    return SiteMiddleware(Transport(AbandonedReads(routes(settings))), settings)


def routes(settings: Settings) -> Litestar:
    """All pages and calls, without what is wrapped around each request."""
    load_kinds()
    i18n.load()

    @asynccontextmanager
    async def database(_app: Litestar) -> AsyncIterator[None]:
        opened = not is_database_open()
        if opened:
            await open_database(settings)
        helpers = [asyncio.create_task(helper) for helper in (rates.keep_telling(), slow.keep_storing(), traffic.keep_storing())]
        try:
            yield
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if opened:
                await close_database()

    return Litestar(
        route_handlers=[*pages.routers, *api_routers],
        lifespan=[database],
        before_request=choose_limit,
        exception_handlers=HANDLERS,
        state=State({"settings": settings, "provision": provision_tenant, "open_workspace": open_workspace}),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        debug=False,
        logging_config=None,
    )
