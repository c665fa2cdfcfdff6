"""Steps in steps in the designer: opening and saving changes nothing, steps are put, moved and removed, mistakes are said at their step."""

from __future__ import annotations

from typing import Any

from saas.metadata import drafts, edits

RULE = "/settings/automations/chase"


def name(text: str) -> dict[str, str]:
    return {"en": text, "zh_CN": text}


def chase() -> dict[str, Any]:
    """A rule with everything that a flow can have."""
    return {
        "key": "chase", "label": name("Chase"), "entity": "opportunity", "on": {"trigger": "child_change", "of": "tasks", "kinds": ["create", "update"]}, "if": "probability > 10", "stop": True, "overlap": "skip",
        "do": [
            {"action": "branch", "if": "probability > 50",
             "then": [
                 {"action": "create", "entity": "task", "values": {"subject": "name", "opportunity": "id"}, "as": "made"},
                 {"action": "wait", "condition": "probability > 80", "days": 3, "on_timeout": "end"},
                 {"action": "set", "target": "result.made", "values": {"subject": "concat(name, '!')"}, "retry": {"times": 3, "minutes": 5}},
             ],
             "else": [{"action": "wait", "until": "expected_close", "days": -1}]},
            {"action": "each", "of": "tasks", "where": "subject != 'x'", "do": [{"action": "warn", "message": name("Look")}]},
            {"action": "tag", "target": "customer", "field": "tags", "add": ["hot", "new"]},
            {"action": "score", "target": "campaign", "field": "sent", "by": "1"},
            {"action": "relink", "of": "tasks", "target": "customer"},
            {"action": "http", "url": "https://erp.example/orders", "headers": {"X-Key": "k"}, "query": {"n": "name"}, "body": {"name": "name", "odds": "probability + 1"}},
        ],
    }  # fmt: skip


async def test_opened_and_saved_it_is_what_it_was(admin):
    rule = chase()
    rule["do"] = [s for s in rule["do"] if s["action"] not in ("score", "relink")]

    def change(raw: Any, data: Any) -> Any:
        return edits.put(raw, "automations[chase]", rule), data

    await drafts.edit(admin.tenant.id, admin.tenant.admin_id, "Flow", change)
    shown = await admin.get(RULE)
    assert shown.status_code == 200, shown.text[:3000]
    assert shown.text.count('data-node="') == 9 and 'data-way="do.0.else"' in shown.text
    assert (await admin.fill(RULE, {})).status_code == 303
    assert await admin.find("automations[chase]") == rule
    put = await admin.fill(RULE, {"_gesture": "do.0.else|put|0|notify"})
    assert put.status_code == 200 and 'name="do.0.else.0.to.0.who"' in put.text and 'data-node="do.0.else.1"' in put.text
    assert await admin.find("automations[chase]") == rule  # a gesture saves nothing
    wrong = await admin.fill(RULE, {"do.1.do.0.if.mode": "text", "do.1.do.0.if.text": "nothing > 1"})
    assert wrong.status_code == 422 and "has-error" in wrong.text.partition('data-node="do.1.do.0"')[2][:300]
