"""The designer's forms of duplicate rules and reviews, as an admin without scripts sees them."""

from __future__ import annotations

from types import SimpleNamespace

from tests.factories import PASSWORD, make_lab
from tests.integration.designer.conftest import Designer
from tests.integration.twins.test_reviews import club_bundle

RULES = "/settings/entities/application/rules"


async def test_rules_and_reviews_are_made_and_changed_without_code(http, database):
    raw = club_bundle()
    raw["reviews"], raw["automations"] = [], []
    lab = await make_lab(raw, people=False)
    maker = Designer(http, SimpleNamespace(slug=lab.slug, id=lab.tenant_id, admin_id=lab.people["admin"]))
    assert (await maker.sign_in(f"admin@{lab.slug}.example", PASSWORD)).status_code == 303

    review = {"label.en": "Membership", "label.zh_CN": "会员审核", "stage": "pending", "target": "member", "source": "merged_into", "similar": ["name", "mobile"], "nothing": "admit", "each_source": "absorb"}
    answer = await maker.fill("/settings/reviews/new?entity=application", review, action="/settings/reviews/new")
    assert answer.status_code == 303, answer.text[-3000:]
    made = (await maker.raw())["reviews"][0]
    assert (made["stage"], made["target"], made["similar"], made["nothing"]) == ("pending", "member", ["name", "mobile"], "admit")
    await maker.last()
    page = await maker.get(f"/settings/reviews/{made['key']}")
    assert page.status_code == 200 and "New member" in page.text

    rule = {"match": ["name", "mobile"], "similar": ["name"], "threshold": "70", "action": "queue", "review": made["key"], "reveal": ["owner"], "reason": "on"}
    answer = await maker.fill(f"{RULES}/duplicates/new", rule)
    assert answer.status_code == 303, answer.text[-3000:]
    found = (await maker.find("entities[application]"))["duplicates"][0]
    assert (found["similar"], found["threshold"], found["action"], found["review"], found["reveal"]) == (["name"], 70, "queue", made["key"], ["owner"])
    await maker.last()
    other = await maker.fill(f"{RULES}/duplicates/{found['key']}", {"against_entity": "member"})
    assert other.status_code == 422 and "against_fields" in other.text  # which fields there: asked now
    unlike = await maker.fill(f"{RULES}/duplicates/{found['key']}", {"similar": ["address"]})
    assert unlike.status_code == 422 and "not among the compared fields" in unlike.text

    gone = await maker.get(f"/settings/reviews/{made['key']}/remove")
    assert gone.status_code == 200 and "application" in gone.text.lower()  # the rule that puts records into it is named
