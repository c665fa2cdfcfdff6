"""Several people of the company."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.ids import IdListType
from saas.runtime.fields.user import User


@field_types.register
class Users(IdListType):
    """Kept as links, so that "records I take part in" is found by an index."""

    key = "users"
    label = lazy("Several people")
    description = lazy("Several colleagues, such as everybody who takes part in a meeting.")
    group = "people"
    icon = "users-group"
    storage = "links"
    holds = "user"
    operators = ("contains", "in", "not_in", "is_empty")
    expects = lazy("Choose people")
    options_schema = User.options_schema
    most = 100
