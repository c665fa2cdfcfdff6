"""One controller file per noun; `routers` lists them for the composition root."""

from saas.ui.pages import (
    brand,
    builder,
    design_entities,
    design_entity_rules,
    design_fields,
    design_figures,
    design_labels,
    design_layouts,
    design_menus,
    design_numbering,
    design_options,
    design_pipelines,
    design_relations,
    design_roles,
    design_rules,
    design_values,
    design_views,
    design_widgets,
    drafts,
    examples,
    figures,
    home,
    inbox,
    lists,
    packs,
    people,
    records,
    removed,
    sessions,
    settings,
    simulator,
    speed,
    stages,
    system,
    transfers,
)

routers = [
    system.router, sessions.router, home.router, lists.router, records.router, stages.router, figures.router, inbox.router, settings.router, people.router,
    transfers.router, builder.router, brand.router, drafts.router, packs.router, simulator.router, examples.router, removed.router, speed.router,
    design_entities.router, design_entity_rules.router, design_fields.router, design_labels.router, design_numbering.router, design_options.router, design_relations.router, design_values.router,
    design_pipelines.router, design_roles.router, design_rules.router,
    design_views.router, design_layouts.router, design_figures.router, design_widgets.router, design_menus.router,
]  # fmt: skip

__all__ = ["routers"]
