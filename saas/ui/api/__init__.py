"""The JSON API under /api/v1: the same operations as the pages, with tokens and problem details."""

from litestar import Router

<<<<<<< HEAD
from saas.ui.api import config, invitations, ledgers, operators, people, records, schema, system, tokens, usage, work
=======
from saas.ui.api import config, invitations, operators, outbox, people, records, schema, system, tokens, usage, work
>>>>>>> main

routers = [
    Router(
        path="/api/v1",
        route_handlers=[
<<<<<<< HEAD
            *tokens.HANDLERS, *schema.HANDLERS, *records.HANDLERS, *ledgers.HANDLERS, *work.HANDLERS, *invitations.HANDLERS, *people.HANDLERS, *config.HANDLERS, *system.HANDLERS, *usage.HANDLERS, *operators.HANDLERS,
=======
            *tokens.HANDLERS, *schema.HANDLERS, *records.HANDLERS, *work.HANDLERS, *invitations.HANDLERS, *people.HANDLERS, *config.HANDLERS, *system.HANDLERS, *usage.HANDLERS, *outbox.HANDLERS, *operators.HANDLERS,
>>>>>>> main
        ],
        include_in_schema=False,
    )
]

__all__ = ["routers"]
