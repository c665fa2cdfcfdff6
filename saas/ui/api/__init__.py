"""The JSON API under /api/v1: the same operations as the pages, with tokens and problem details."""

from litestar import Router

from saas.ui.api import config, invitations, operators, people, records, schema, system, tokens, usage, work

routers = [
    Router(
        path="/api/v1",
        route_handlers=[
            *tokens.HANDLERS, *schema.HANDLERS, *records.HANDLERS, *work.HANDLERS, *invitations.HANDLERS, *people.HANDLERS, *config.HANDLERS, *system.HANDLERS, *usage.HANDLERS, *operators.HANDLERS,
        ],
        include_in_schema=False,
    )
]

__all__ = ["routers"]
