"""A company that decides about purchases: every model of approval, every way to say who decides."""

from __future__ import annotations

import copy
from typing import Any

from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab


def step(key: str, *approvers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key.replace("_", " ").title()), "approvers": list(approvers), **more}


def role(key: str, **more: Any) -> dict[str, Any]:
    return {"by": "role", "role": key, **more}


PURCHASE = {
    "key": "purchase", "label": label("Purchase"), "plural": label("Purchases"), "title": "subject",
    "fields": [
        fld("subject", "text", required=True), fld("amount", "number"), fld("note", "text"), fld("buyer", "user"), fld("unit", "dept"),
        fld("stage", "pipeline", pipeline="purchase"), fld("parent", "ref", to="purchase", on_delete="cascade"),
    ],
}  # fmt: skip
ITEM = {
    "key": "item", "label": label("Item"), "plural": label("Items"), "title": "name", "owned": False,
    "fields": [fld("name", "text"), fld("of", "ref", to="purchase", required=True, on_delete="cascade", detail=True, inverse={"key": "items", "label": label("Items")})],
}  # fmt: skip
PIECE = {
    "key": "piece", "label": label("Piece"), "plural": label("Pieces"), "title": "name", "owned": False,
    "fields": [fld("name", "text"), fld("item", "ref", to="item", on_delete="cascade", detail=True, inverse={"key": "pieces", "label": label("Pieces")})],
}  # fmt: skip
PIPELINE = {
    "key": "purchase", "entity": "purchase", "field": "stage", "label": label("Purchase"),
    "stages": [
        {"key": "draft", "label": label("Draft")}, {"key": "asked", "label": label("Asked")}, {"key": "agreed", "label": label("Agreed"), "kind": "won"},
        {"key": "refused", "label": label("Refused"), "kind": "lost"},
    ],
    "transitions": [
        {"key": "submit", "label": label("Submit"), "from": ["draft"], "to": "asked"},
        {"key": "agree", "label": label("Agree"), "from": ["draft", "asked"], "to": "agreed", "guard": "subject != 'cursed'", "guard_message": label("Cursed")},
        {"key": "refuse", "label": label("Refuse"), "from": ["draft", "asked"], "to": "refused"},
        {"key": "reopen", "label": label("Reopen"), "from": ["asked"], "to": "draft"},
    ],
}  # fmt: skip
ALL = {"create": True, "read": "all", "update": "all", "delete": "all", "import": True, "bulk": True}


def _approval(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key.replace("_", " ").title()), "entity": "purchase", **more}


APPROVALS = [
    _approval(
        "buying", start={"transitions": ["submit"], "guards": ["agree"], "if": "amount != null"}, open_fields=["note"], shown=["subject", "amount"],
        steps=[
            step("lead", {"by": "superior"}, due_hours=24, remind_hours=4),
            step("money", role("finance"), role("legal"), **{"if": "amount > 1000"}),
            step("boss", role("boss"), **{"if": "amount > 100000"}),
        ],
        outcome={"approved": "agree", "rejected": "refuse", "withdrawn": "reopen", "returned": "reopen"},
    ),
    _approval("any_one", steps=[step("either", role("finance"), role("legal"), mode="any")]),
    _approval("two_of", steps=[step("some", role("finance", each=True), role("legal"), role("boss"), mode="count", count=2)]),
    _approval("by_field", steps=[step("buyer", {"by": "field", "field": "buyer"}), step("unit", {"by": "field", "field": "unit"}), step("head", {"by": "head"})]),
    _approval("skips", steps=[step("nobody", role("empty"), if_nobody="skip"), step("stand_in", role("empty"), if_nobody="fallback", fallback="boss")]),
    _approval("stuck", steps=[step("nobody", role("empty"))]),
    _approval("own", steps=[step("self", role("boss"), if_applicant="skip"), step("then", role("boss"), if_applicant="decide")]),
    _approval("pick", model="predefined", ways=[
        {"key": "short", "label": label("Short"), "steps": [step("one", role("boss"))], "if": "amount < 500"},
        {"key": "long", "label": label("Long"), "steps": [step("one", role("legal")), step("two", role("boss"))]},
    ]),
    _approval("named", model="adhoc", people={"roles": ["finance", "legal", "boss"], "least": 1, "most": 2}),
    _approval("bare", steps=[step("one", role("boss"))], may=[]),
]  # fmt: skip

AUTOMATIONS = [
    {"key": "begin", "label": label("Begin"), "entity": "purchase", "on": {"trigger": "create"}, "if": "subject == 'automatic'",
     "do": [{"action": "start_approval", "approval": "any_one"}]},
    {"key": "meddle", "label": label("Meddle"), "entity": "purchase", "on": {"trigger": "update", "fields": ["note"]}, "if": "note == 'meddle'",
     "do": [{"action": "set", "values": {"subject": "'meddled'"}}]},
]  # fmt: skip


def approval_bundle() -> dict[str, Any]:
    """A valid bundle; a fresh copy each time."""
    return copy.deepcopy({
        "format": 1,
        "pack": {"key": "buying", "version": "1.0.0", "label": label("Buying"), "icon": "briefcase"},
        "departments": [{"key": "company", "label": label("Company")}, {"key": "sales", "label": label("Sales"), "parent": "company"}],
        "entities": [PURCHASE, ITEM, PIECE], "pipelines": [PIPELINE], "approvals": APPROVALS, "automations": AUTOMATIONS,
        "roles": [
            {"key": "admin", "label": label("Administrator"), "admin": True},
            *({"key": key, "label": label(key.title()), "entities": {"purchase": ALL, "item": ALL, "piece": ALL}} for key in ("clerk", "lead", "finance", "legal", "boss", "empty")),
            {"key": "outside", "label": label("Outside"), "entities": {}},
            {"key": "carer", "label": label("Carer"), "entities": {}, "settings": ["users"]},
        ],
    })  # fmt: skip


async def buying_lab() -> Lab:
    """clerk -> lead -> boss; two of finance, one of legal; the boss leads the company, the lead the sales department."""
    from saas.tenants import update_department

    lab = await make_lab(approval_bundle(), people=False)
    await lab.person("boss", ["boss"], "company")
    await lab.person("lead", ["lead"], "sales", superior="boss")
    await lab.person("clerk", ["clerk"], "sales", superior="lead")
    await lab.person("legal", ["legal"], "company")
    await lab.person("finance", ["finance"], "company")
    await lab.person("finance2", ["finance"], "company")
    await lab.person("outside", ["outside"], "company")
    await update_department(lab.tenant_id, lab.departments["company"], head_id=lab.people["boss"], set_head=True)
    await update_department(lab.tenant_id, lab.departments["sales"], head_id=lab.people["lead"], set_head=True)
    return lab
