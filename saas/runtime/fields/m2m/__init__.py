"""References to several other records."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.ids import IdListType
from saas.runtime.fields._shared.schemas import options
from saas.runtime.fields.ref import INVERSE, PICKER, TO


@field_types.register
class ManyToMany(IdListType):
    key = "m2m"
    label = lazy("Several references")
    description = lazy("Links to several records of one kind, such as all products of an offer.")
    group = "link"
    icon = "link"
    storage = "links"
    holds = "record"
    operators = ("contains", "in", "not_in", "is_empty")
    expects = lazy("Choose records")
    options_schema = options({"to": TO, "picker": PICKER, "inverse": INVERSE}, required=("to",))
    EXAMPLE_OPTIONS = {"to": "thing"}
