"""The JSON API under /api/v1: the same operations as the pages, with tokens and problem details."""

from litestar import Router

from saas.ui.api import (
    approvals,
    config,
    forms,
    invitations,
    ledgers,
    merging,
    operators,
    outbox,
    people,
    pools,
    records,
    reviews,
    runs,
    schema,
    shares,
    statements,
    system,
    tokens,
    usage,
    work,
)

routers = [
    Router(
        path="/api/v1",
        route_handlers=[
            *pools.HANDLERS, *shares.HANDLERS, *approvals.HANDLERS,
            *tokens.HANDLERS, *schema.HANDLERS, *records.HANDLERS, *merging.HANDLERS, *reviews.HANDLERS, *forms.HANDLERS, *ledgers.HANDLERS, *statements.HANDLERS, *work.HANDLERS, *invitations.HANDLERS, *people.HANDLERS, *config.HANDLERS, *system.HANDLERS, *usage.HANDLERS, *outbox.HANDLERS, *runs.HANDLERS, *operators.HANDLERS,
        ],
        include_in_schema=False,
    )
]

__all__ = ["routers"]
