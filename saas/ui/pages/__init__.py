"""One controller file per noun; `routers` lists them for the composition root."""

from saas.ui.pages import (
    accounts,
    api_keys,
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
    invitations,
    leaving,
    lists,
    mail,
    operator_accounts,
    packs,
    people,
    records,
    removed,
    second_factor,
    security,
    sessions,
    settings,
    simulator,
    single_sign_on,
    speed,
    stages,
    system,
    transfers,
)

routers = [
    system.router, sessions.router, home.router, lists.router, records.router, stages.router, figures.router, inbox.router, settings.router, people.router, accounts.router, invitations.router, mail.router,
    transfers.router, builder.router, brand.router, drafts.router, packs.router, simulator.router, examples.router, removed.router, speed.router,
<<<<<<< HEAD
    second_factor.router, api_keys.router, security.router, leaving.router, single_sign_on.router,
=======
    second_factor.router, api_keys.router, security.router, leaving.router,
    operator_accounts.router,
>>>>>>> main
    design_entities.router, design_entity_rules.router, design_fields.router, design_labels.router, design_numbering.router, design_options.router, design_relations.router, design_values.router,
    design_pipelines.router, design_roles.router, design_rules.router,
    design_views.router, design_layouts.router, design_figures.router, design_widgets.router, design_menus.router,
]  # fmt: skip

__all__ = ["routers"]
