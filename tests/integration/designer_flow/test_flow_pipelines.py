"""Pipelines in the designer without scripts: stages, transitions, what is refused, where records go."""

from __future__ import annotations

import html
import re
from typing import Any

from saas.metadata import edits

URL = "/settings/pipelines"
SALE = f"{URL}/opportunity"


def said(answer: Any) -> str:
    """The words of a page."""
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text))


def at(answer: Any, name: str) -> str:
    """The message at a control."""
    found = re.search(rf'data-error-for="{re.escape(name)}">([^<]*)<', answer.text)
    return html.unescape(found[1]) if found else ""


async def test_a_new_pipeline_comes_with_its_field_in_one_step(admin):
    page = await admin.get(f"{URL}/new")
    assert "entity=contact" in page.text and "entity=opportunity" not in page.text, "one pipeline an entity"
    answer = await admin.fill(f"{URL}/new?entity=contact", {"label.en": "Onboarding", "label.zh_CN": "入职", "field_label.en": "Progress", "shape": "approval"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{URL}/onboarding")
    pipeline = await admin.find("pipelines[onboarding]")
    assert (pipeline["entity"], pipeline["field"], len(pipeline["stages"])) == ("contact", "progress", 4)
    assert await admin.find("entities[contact].fields[progress]") == {"key": "progress", "type": "pipeline", "label": {"en": "Progress", "zh_CN": "阶段"}, "pipeline": "onboarding"}
    assert await admin.last() == "Pipeline · Onboarding: added"
    assert len((await admin.draft()).steps) == 1


async def test_a_pipeline_without_a_name_is_asked_for_one(admin):
    answer = await admin.fill(f"{URL}/new?entity=contact", {"label.en": "", "label.zh_CN": "", "field_label.en": "Kept"})
    assert answer.status_code == 422
    assert at(answer, "label") == "Write something in at least one language."
    assert 'value="Kept"' in answer.text


async def test_the_diagram_links_to_everything_in_it(admin):
    page = await admin.get(SALE)
    raw = await admin.find("pipelines[opportunity]")
    for drawing in ("row", "column"):
        part = page.text.split(f'data-diagram="{drawing}"')[1].split("</svg>")[0]
        assert set(re.findall(r'data-stage="(\w+)"', part)) == {s["key"] for s in raw["stages"]}
        assert set(re.findall(r'data-move="(\w+)"', part)) == {t["key"] for t in raw["transitions"]}
        assert " style=" not in part
    for link in set(re.findall(r'href="(/settings/pipelines/opportunity/[^"]+)"', page.text)):
        assert (await admin.get(link)).status_code == 200, link


# ---- stages -------------------------------------------------------------------------------------------------------------


async def test_a_stage_is_added_where_it_belongs(admin):
    answer = await admin.fill(f"{SALE}/add-stage", {"label.en": "Legal review", "color": "orange", "probability": "55", "age_alert_days": "10", "after": "proposal"})
    assert answer.status_code == 303
    stages = await admin.find("pipelines[opportunity].stages")
    assert [s["key"] for s in stages] == ["new", "qualified", "proposal", "legal_review", "negotiation", "won", "lost"]
    assert stages[3] == {"key": "legal_review", "label": {"en": "Legal review"}, "color": "orange", "probability": 55, "age_alert_days": 10}
    assert await admin.last() == "Sales pipeline · Legal review: added"


async def test_what_makes_no_sense_of_a_stage_is_said_at_its_control(admin):
    answer = await admin.fill(f"{SALE}/add-stage", {"label.en": "", "probability": "120", "age_alert_days": "soon"})
    assert answer.status_code == 422
    assert at(answer, "label") and at(answer, "probability") and at(answer, "age_alert_days")
    assert 'value="120"' in answer.text and 'value="soon"' in answer.text
    assert (await admin.draft()).steps == ()


async def test_a_pipeline_keeps_a_final_stage(admin):
    assert (await admin.fill(f"{SALE}/stages/lost", {"kind": "open"})).status_code == 303
    before = await admin.raw()
    for path, changes in ((f"{SALE}/stages/won", {"kind": "open"}), (f"{SALE}/stages/won/remove", {"to": "new"})):
        answer = await admin.fill(path, changes)
        assert answer.status_code == 422
        assert "No stage ends this pipeline." in said(answer)
        assert await admin.raw() == before


async def test_a_change_made_meanwhile_in_another_window_is_not_lost(admin):
    page = f"{SALE}/stages/new"
    mark = re.search(r'name="_mark" value="(\w+)"', (await admin.get(page)).text)[1]
    assert (await admin.fill(page, {"label.en": "Fresh"})).status_code == 303
    answer = await admin.fill(page, {"label.en": "Late", "_mark": mark})
    assert answer.status_code == 422
    assert "changed in another window" in said(answer)
    assert (await admin.find("pipelines[opportunity].stages[new].label"))["en"] == "Fresh"


async def test_removing_a_stage_asks_where_its_records_go(admin):
    page = await admin.get(f"{SALE}/stages/proposal/remove")
    assert "Its records go to" in said(page) and "This refers to it" in said(page)
    assert (await admin.fill(f"{SALE}/stages/proposal/remove", {"to": "nowhere"})).status_code == 422
    more = {
        "to": "qualified", "rules.0.if.mode": "text", "rules.0.if.text": "expected_amount > 1000", "rules.0.to": "negotiation",
    }  # fmt: skip
    assert (await admin.fill(f"{SALE}/stages/proposal/remove", more)).status_code == 303
    assert (await admin.draft()).steps[0].title == "Sales pipeline · Proposal: removed"
    assert list((await admin.draft()).data) == [
        {"do": "replace", "entity": "opportunity", "field": "stage", "from": "proposal", "rules": [{"if": "expected_amount > 1000", "to": "negotiation"}], "to": "qualified"}
    ]
    moves = {t["key"]: t for t in await admin.find("pipelines[opportunity].transitions")}
    assert "proposal" not in str([(t["from"], t.get("to")) for t in moves.values()])
    assert moves["negotiate"]["from"] == ["qualified"] and moves["propose"]["to"] == "qualified"
    assert moves["propose"]["from"] == ["new"], "no move from a stage to itself that nobody asked for"


async def test_earlier_orders_for_records_lead_on(admin):
    await admin.fill(f"{SALE}/stages/qualified/remove", {"to": "proposal"})
    await admin.fill(f"{SALE}/stages/proposal/remove", {"to": "new"})
    assert {(s["from"], s["to"]) for s in (await admin.draft()).data} == {("qualified", "new"), ("proposal", "new")}


async def test_a_stage_made_in_the_draft_leaves_no_order_behind(admin):
    await admin.fill(f"{SALE}/add-stage", {"label.en": "Try"})
    assert (await admin.fill(f"{SALE}/stages/try/remove", {"to": "new"})).status_code == 303
    assert (await admin.draft()).data == ()


async def test_stages_and_transitions_are_put_in_another_order(admin):
    raw = await admin.find("pipelines[opportunity]")
    for part in ("stages", "transitions"):
        keys = [i["key"] for i in raw[part]][::-1]
        assert (await admin.post(f"{SALE}/{part}-order", {"key": keys})).status_code == 303
        assert [i["key"] for i in await admin.find(f"pipelines[opportunity].{part}")] == keys


# ---- transitions --------------------------------------------------------------------------------------------------------


async def test_a_transition_with_everything(admin):
    more = {
        "label.en": "Send to legal", "label.zh_CN": "送法务审核", "from": ["qualified", "proposal"], "to": "?", "otherwise": "negotiation", "roles": ["manager"],
        "branches.0.if.mode": "rows", "branches.0.if.0.field": "expected_amount", "branches.0.if.0.op": "gt", "branches.0.if.0.value": "1000", "branches.0.to": "won",
        "allow_if.mode": "text", "allow_if.text": "owner == me()", "guard.mode": "text", "guard.text": "expected_close != null", "guard_message.en": "Say when.",
        "asked.0.field": "expected_close", "asked.0.mode": "require", "asked.1.field": "next_step", "asked.1.mode": "ask", "asked.2.field": "competitor", "asked.2.mode": "both",
        "set.0.field": "probability", "set.0.how": "value", "set.0.value": "55", "set.1.field": "closed_on", "set.1.how": "today", "set.2.field": "next_step", "set.2.how": "empty",
        "effects.0.action": "notify", "effects.0.to.0.who": "owner", "effects.0.to.1.who": "role:manager", "effects.0.title.en": "{{ name }} is with legal",
        "effects.1.action": "set", "effects.1.target": "customer", "effects.1.values.0.field": "status", "effects.1.values.0.how": "value", "effects.1.values.0.value": "active",
        "confirm.en": "Really?", "done.en": "Sent.", "style": "primary", "after": "qualify",
    }  # fmt: skip
    answer = await admin.fill(f"{SALE}/add-transition", more)
    assert answer.status_code == 303, said(answer)[-3000:]
    assert await admin.find("pipelines[opportunity].transitions[send_to_legal]") == {
        "key": "send_to_legal", "label": {"en": "Send to legal", "zh_CN": "送法务审核"}, "from": ["qualified", "proposal"], "roles": ["manager"], "allow_if": "owner == me()",
        "guard": "expected_close != null", "guard_message": {"en": "Say when."}, "branches": [{"if": "expected_amount > 1000.00", "to": "won"}, {"to": "negotiation"}],
        "require": ["expected_close", "competitor"], "ask": ["next_step", "competitor"], "set": {"probability": "55", "closed_on": "today()", "next_step": "null"},
        "effects": [
            {"action": "notify", "to": ["owner", "role:manager"], "title": {"en": "{{ name }} is with legal"}},
            {"action": "set", "target": "customer", "values": {"status": "'active'"}},
        ],
        "confirm": {"en": "Really?"}, "done": {"en": "Sent."}, "style": "primary",
    }  # fmt: skip
    assert await admin.last() == "Sales pipeline · Send to legal: added"
    assert [t["key"] for t in await admin.find("pipelines[opportunity].transitions")][1] == "send_to_legal"
    page = await admin.get(f"{SALE}/transitions/send_to_legal")
    assert page.status_code == 200 and page.text.count("data-card=") == 3


async def test_a_check_needs_words_and_a_move_a_target(admin):
    answer = await admin.fill(f"{SALE}/add-transition", {"label.en": "Go", "from": [], "to": "", "guard.mode": "text", "guard.text": "expected_amount >"})
    assert answer.status_code == 422
    assert (at(answer, "from"), at(answer, "to")) == ("Tick at least one.", "Please fill this in.")
    assert at(answer, "guard_message")
    answer = await admin.fill(f"{SALE}/add-transition", {"label.en": "Go", "from": ["new"], "to": "won", "guard.mode": "text", "guard.text": "expected_amount > 0"})
    assert at(answer, "guard_message") == "Say what people read when the check refuses the move."
    assert (await admin.draft()).steps == ()


async def test_mistakes_in_steps_are_said_in_the_card(admin):
    more = {
        "label.en": "Go", "from": ["new"], "to": "won", "effects.0.action": "notify", "effects.0.title.en": "Hello {{ nobody }}", "effects.0.to.0.who": "owner",
        "effects.1.action": "create", "effects.1.entity": "task", "effects.1.values.0.field": "due", "effects.1.values.0.how": "formula", "effects.1.values.0.text": "name",
    }  # fmt: skip
    answer = await admin.fill(f"{SALE}/add-transition", more)
    assert answer.status_code == 422
    cards = answer.text.split("data-card=")[1:]
    assert "nobody" in at(answer, "effects.0.title")
    assert 'class="error-line"' in cards[1] and "a date" in cards[1]
    answer = await admin.fill(f"{SALE}/add-transition", {**more, "effects.0.to.0.who": "", "effects.0.title.en": "Hello"})
    assert at(answer, "effects.0.to") == "Say who is told."


async def test_buttons_of_cards_change_the_form_and_nothing_else(admin):
    before = await admin.raw()
    page = f"{SALE}/transitions/win"
    cards = [e["action"] for e in (await admin.find("pipelines[opportunity].transitions[win]"))["effects"]]

    async def pressed(gesture: str, **more: str) -> Any:
        answer = await admin.fill(page, {"_gesture": gesture, "label.en": "Typed", **more})
        assert answer.status_code == 200 and 'value="Typed"' in answer.text
        return re.findall(r'name="effects\.\d+\.action" value="(\w+)"', answer.text)

    assert await pressed("effects|add|", **{"effects.new": "warn"}) == [*cards, "warn"]
    assert await pressed("effects|remove|0") == cards[1:]
    assert await pressed("effects|down|2") == [*cards[:2], cards[3], cards[2], *cards[4:]]
    assert await pressed("effects|up|0") == cards
    assert await admin.raw() == before and (await admin.draft()).steps == ()


async def test_transitions_and_pipelines_are_removed_with_what_refers_to_them(admin):
    assert (await admin.fill(f"{SALE}/transitions/propose/remove", {"clean": "yes"})).status_code == 303
    assert (await admin.draft()).steps[0].title == "Sales pipeline · Send proposal: removed"
    assert await admin.find("pipelines[opportunity].transitions[propose]") is None
    assert (await admin.fill(f"{URL}/campaign/remove", {"clean": "yes"})).status_code == 303
    assert (await admin.draft()).steps[0].title == "Pipeline · Campaign: removed"
    raw = await admin.raw()
    assert edits.find(raw, "pipelines[campaign]") is None
    assert [f["key"] for f in edits.find(raw, "entities[campaign].fields") if f["type"] == "pipeline"] == []


async def test_only_those_who_configure_may_look(admin, companies, http):
    from saas.tenants import create_user
    from tests.conftest import PASSWORD
    from tests.integration.test_pages import Browser

    tenant = companies["baseline-crm"]
    await create_user(tenant.id, f"seller@{tenant.slug}.example", PASSWORD, "Seller", ["sales"])
    seller = Browser(http, f"{tenant.slug}.localhost")
    await seller.sign_in(f"seller@{tenant.slug}.example")
    for path in (URL, SALE, f"{SALE}/add-stage", "/settings/roles", "/settings/roles/sales", "/settings/automations", "/settings/schedules/new"):
        assert (await seller.get(path)).status_code == 403, path
    assert (await seller.post(f"{SALE}/stages/new", {"label.en": "Mine"})).status_code == 403
