"""The JSON API under /api/v1: the same operations as the pages, with tokens and problem details."""

from litestar import Router

from saas.ui.api import (
    approvals,
    charts,
    clock,
    config,
    connectors,
    dictionaries,
    documents,
    forms,
    invitations,
    ledgers,
    merging,
    operators,
    outbox,
    people,
    pools,
    portal_accounts,
    purging,
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
            *portal_accounts.HANDLERS, *purging.HANDLERS, *pools.HANDLERS, *shares.HANDLERS, *approvals.HANDLERS,
            *tokens.HANDLERS, *schema.HANDLERS, *records.HANDLERS, *merging.HANDLERS, *reviews.HANDLERS, *dictionaries.HANDLERS, *forms.HANDLERS, *ledgers.HANDLERS, *statements.HANDLERS, *charts.HANDLERS, *connectors.HANDLERS, *documents.HANDLERS, *work.HANDLERS, *invitations.HANDLERS, *people.HANDLERS, *config.HANDLERS, *system.HANDLERS, *usage.HANDLERS, *outbox.HANDLERS, *runs.HANDLERS, *clock.HANDLERS, *operators.HANDLERS,
        ],
        include_in_schema=False,
    )
]

__all__ = ["routers"]
