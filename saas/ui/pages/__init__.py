"""One controller file per noun; `routers` lists them for the composition root."""

from saas.ui.pages import (
    brand,
    builder,
    drafts,
    figures,
    home,
    inbox,
    lists,
    people,
    records,
    sessions,
    settings,
    simulator,
    stages,
    system,
    transfers,
)

routers = [
    system.router, sessions.router, home.router, lists.router, records.router, stages.router, figures.router, inbox.router, settings.router, people.router,
    transfers.router, builder.router, brand.router, drafts.router, simulator.router,
]  # fmt: skip

__all__ = ["routers"]
