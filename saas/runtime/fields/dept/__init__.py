"""A department of the company."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.ids import IdType


@field_types.register
class Dept(IdType):
    key = "dept"
    label = lazy("Department")
    description = lazy("One department of the company.")
    group = "people"
    icon = "building"
    expr_type = "dept"
    holds = "dept"
    expects = lazy("Choose a department")
