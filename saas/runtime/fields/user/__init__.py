"""A person of the company."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.ids import IdType
from saas.runtime.fields._shared.schemas import KEY_PATTERN, control, options, prop


@field_types.register
class User(IdType):
    key = "user"
    label = lazy("Person")
    description = lazy("One colleague, such as the person responsible.")
    group = "people"
    icon = "user"
    expr_type = "user"
    holds = "user"
    expects = lazy("Choose a person")
    options_schema = options(
        {
            "roles": prop(
                N_("Roles"), N_("Only people with one of these roles can be chosen"), [],
                type="array", items={"type": "string", "pattern": KEY_PATTERN}, maxItems=100, uniqueItems=True, **control("roles"),
            ),
        }
    )  # fmt: skip
