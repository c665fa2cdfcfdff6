"""A person of the company."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.ids import IdType
from saas.runtime.fields._shared.schemas import KEY_PATTERN, control, options, prop

PERSON_FILTERS = {"dept": N_("Department"), "role": N_("Role")}


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
            "picker": prop(
                N_("Chosen in a window with filters"), N_("Nothing is typed into the field: people are found in a window by name and by these filters"), [],
                type="array", items={"type": "string", "enum": list(PERSON_FILTERS), "x-labels": PERSON_FILTERS}, maxItems=2, uniqueItems=True, **{"x-labels": PERSON_FILTERS}, **control("choices"),
            ),
        }
    )  # fmt: skip
