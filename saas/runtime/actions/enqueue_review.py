"""Let the record, or one reached from it, wait in a review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime import reviews
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun


@action_types.register
class EnqueueReview(ActionType):
    key = "enqueue_review"
    label = lazy("Put into a review")
    icon = "list-details"
    options_schema = {
        "type": "object",
        "description": N_("Lets a record wait until somebody has compared it with what is there; an exact match may be taken at once."),
        "properties": {
            "review": {"type": "string", "maxLength": 48, "title": N_("Review"), "x-control": "review"},
            "target": TARGET,
        },
        "required": ["review"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        review = next((r for r in run.ctx.config.bundle.reviews if r.key == options["review"]), None)
        found = await run.target(options.get("target"))
        if review is not None and found is not None and found[0].key == review.entity:
            await reviews.enqueue(run.act, review, found[1])
