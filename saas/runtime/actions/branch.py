"""One way or the other, by a condition. Its steps are walked by saas.runtime.steps."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types


@action_types.register
class Branch(ActionType):
    key = "branch"
    label = lazy("Branch")
    icon = "git-fork"
    before_save = True
    nests = ("then", "else")
    can_retry = False
    options_schema = {
        "type": "object",
        "description": N_("Goes one way if the condition holds, else the other; behind it both go on together."),
        "properties": {},
        "additionalProperties": False,
    }
