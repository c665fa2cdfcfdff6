"""An administrator makes, changes and removes an approval on its page, without code; what is wrong is said where it is."""

from __future__ import annotations

from saas.metadata import drafts
from saas.metadata.parse import parse_bundle
from saas.metadata.removal import removal
from saas.metadata.usages import usages
from saas.tenants import open_session
from tests.approval_bundles import approval_bundle
from tests.integration.approvals.test_approval_pages import Caller


async def admin(http, lab):
    token, csrf, _ = await open_session(lab.tenant_id, lab.people["admin"], "web")
    return Caller(http, f"{lab.slug}.localhost", token, csrf, "")


async def drafted(lab, key):
    draft = await drafts.open_draft(lab.tenant_id, lab.people["admin"])
    return next((a for a in draft.raw["approvals"] if a["key"] == key), None)


STEP = {
    "steps.0.label.en": "Superior", "steps.0.label.zh_CN": "上级", "steps.0.approvers.0.by": "superior", "steps.0.approvers.0.level": "2", "steps.0.mode": "all", "steps.0.if_nobody": "refuse",
    "steps.0.if_applicant": "skip", "steps.0.remind_hours": "0",
}  # fmt: skip
MAY = ["return", "countersign", "delegate", "withdraw"]


async def test_made_changed_and_removed_on_its_page(http, buying):
    person = await admin(http, buying)
    assert "Who has to agree" in await person.page("/settings/approvals")
    assert "purchase" in await person.page("/settings/approvals/new")
    text = await person.page("/settings/approvals/new?entity=purchase")
    assert "steps.0.approvers.0.by" in text and "data-drawn-step" in text
    form = {"entity": "purchase", "label.en": "Leave", "label.zh_CN": "请假", "model": "fixed", "start.button": "on", "may": MAY, **STEP}
    more = await person.fill("/settings/approvals/new", {**form, "_gesture": "steps|add|"}, expect=200)
    assert "steps.1.label.en" in more.text
    inner = await person.fill("/settings/approvals/new", {**form, "_gesture": "steps.0.approvers|add|"}, expect=200)
    assert "steps.0.approvers.1.by" in inner.text
    wrong = await person.fill("/settings/approvals/new", {**form, "steps.0.approvers.0.by": "role"}, expect=422)
    assert "It is not said who this is" in wrong.text
    await person.fill("/settings/approvals/new", {**form, "outcome.approved": "agree"})
    made = await drafted(buying, "leave")
    assert made["steps"] == [{"key": "superior", "label": {"en": "Superior", "zh_CN": "上级"}, "approvers": [{"by": "superior", "level": 2}], "if_applicant": "skip"}]
    assert made["outcome"] == {"approved": "agree"} and "may" not in made
    page = await person.page("/settings/approvals/leave")
    mark = page.split('name="_mark" value="')[1].split('"')[0]
    await person.fill("/settings/approvals/leave", {**form, "_mark": mark, "steps.0.key": "superior", "may": [], "label.en": "Time off", "steps.0.due_hours": "24"})
    changed = await drafted(buying, "leave")
    assert (changed["label"]["en"], changed["may"], changed["steps"][0]["due_hours"], changed["steps"][0]["key"]) == ("Time off", [], 24, "superior")
    await person.fill("/settings/approvals/leave/switch", {"active": "off"})
    assert (await drafted(buying, "leave"))["active"] is False
    await person.fill("/settings/approvals/leave/remove", {})
    assert await drafted(buying, "leave") is None


async def test_what_is_there_survives_its_form(http, buying):
    """Saved unchanged, an approval says the same."""
    person = await admin(http, buying)
    import re

    for key in ("buying", "pick", "two_of", "bare"):
        before = await drafted(buying, key)
        page = await person.page(f"/settings/approvals/{key}")
        body = page.split('class="stack flow-form"')[1].split("</form>")[0]
        data: dict[str, list[str]] = {}
        for tag in re.findall(r"<input[^>]*>", body):
            attributes = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if attributes.get("type") in ("checkbox", "radio") and " checked" not in tag:
                continue
            if attributes.get("name"):
                data.setdefault(attributes["name"], []).append(attributes.get("value", "on"))
        for name, inner in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', body, re.S):
            chosen = re.findall(r'<option value="([^"]*)"[^>]* selected', inner) or re.findall(r'<option value="([^"]*)"', inner)[:1]
            data.setdefault(name, []).extend(chosen)
        for name, inner in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', body, re.S):
            data.setdefault(name, []).append(inner.replace("&gt;", ">").replace("&#39;", "'").replace("&lt;", "<"))
        data = {k: [v.replace("&gt;", ">").replace("&#39;", "'").replace("&lt;", "<") for v in values] for k, values in data.items() if k != "_csrf"}
        await person.fill(f"/settings/approvals/{key}", data)
        assert parse_one(await drafted(buying, key)) == parse_one(before), key


def parse_one(raw):
    from saas.metadata.build import approval_of

    return approval_of(raw)


def problems(change):
    from saas.errors import InvalidDefinition

    bundle = approval_bundle()
    change(bundle)
    try:
        parse_bundle(bundle)
    except InvalidDefinition as error:
        return {(p.path, p.code) for p in error.problems}
    return set()


def test_what_is_wrong_is_said():
    def approval(bundle, key="buying"):
        return next(a for a in bundle["approvals"] if a["key"] == key)

    def at(path, value, key="buying"):
        def change(bundle):
            here = approval(bundle, key)
            *steps, last = path
            for step in steps:
                here = here[step]
            here[last] = value

        return problems(change)

    assert problems(lambda b: None) == set()
    assert ("approvals[buying].entity", "unknown_entity") in at(["entity"], "nothing")
    assert ("approvals[buying].start.if", "bad_expression") in at(["start", "if"], "amount >")
    assert ("approvals[buying].start.guards", "unknown_transition") in at(["start", "guards"], ["fly"])
    assert ("approvals[buying].start.guards", "never_done") in at(["start", "guards"], ["refuse"])
    assert ("approvals[buying].start.transitions", "starts_again") in at(["start", "transitions"], ["agree"])
    assert ("approvals[buying].steps[money].if", "bad_expression") in at(["steps", 1, "if"], "amount + 1")
    assert ("approvals[buying].steps[money].approvers[0].role", "unknown_role") in at(["steps", 1, "approvers"], [{"by": "role", "role": "nobody"}])
    assert ("approvals[by_field].steps[buyer].approvers[0].field", "not_a_person") in at(["steps", 0, "approvers"], [{"by": "field", "field": "subject"}], "by_field")
    assert ("approvals[skips].steps[nobody].fallback", "missing") in at(["steps", 0, "if_nobody"], "fallback", "skips")
    assert ("approvals[any_one].steps", "no_steps") in at(["steps"], [], "any_one")
    assert ("approvals[pick].ways", "no_steps") in at(["ways"], [], "pick")
    assert ("approvals[named].people.least", "out_of_order") in at(["people", "least"], 9, "named")
    assert ("approvals[named].start.transitions", "nobody_named") in at(["start"], {"transitions": ["submit"]}, "named")
    assert ("automations[begin].do[0].approval", "nobody_named") in problems(lambda b: b["automations"][0]["do"][0].update(approval="named"))
    assert ("automations[begin].do[0].approval", "unknown_approval") in problems(lambda b: b["automations"][0]["do"][0].update(approval="nothing"))
    assert ("approvals[buying].open_fields[nothing]", "unknown_field") in at(["open_fields"], ["nothing"])


def test_who_removes_something_is_told_which_approval_needs_it():
    bundle = approval_bundle()
    assert any("Buying" in u.text for u in usages(bundle, "pipelines[purchase].transitions[agree]"))
    assert any("By Field" in u.text for u in usages(bundle, "entities[purchase].fields[buyer]"))
    assert any("Money" in u.text or "Buying" in u.text for u in usages(bundle, "roles[finance]"))
    assert any("Begin" in u.text for u in usages(bundle, "approvals[any_one]"))
    left = removal(bundle, "entities[purchase].fields[note]").bundle
    assert not next(a for a in left["approvals"] if a["key"] == "buying").get("open_fields")
