"""Roles in the designer without scripts: the matrix, one entity, single fields, what stands beside records, and the last administrator."""

from __future__ import annotations

import copy
import re

from saas.metadata import drafts, edits
from tests.integration.designer_flow.test_flow_pipelines import at, said

URL = "/settings/roles"


async def rights(admin, role: str, entity: str):
    return (await admin.find(f"roles[{role}]"))["entities"].get(entity)


# ---- the matrix ---------------------------------------------------------------------------------------------------------


async def test_a_cell_of_a_pale_row_gives_the_entity_rights_of_its_own(maker):
    """The supervisor reads everything; from now on customers only where named, and the rest as before."""
    assert (await maker.fill(f"{URL}/supervisor", {"right.customer.read": "participant"})).status_code == 303
    assert await rights(maker, "supervisor", "customer") == {"read": "participant", "export": "all"}
    assert set((await maker.find("roles[supervisor]"))["entities"]) == {"*", "opportunity", "customer"}
    assert await maker.last() == "Role · Sales supervisor · Customers: changed"


async def test_rows_without_rights_of_their_own_follow_the_first_one(maker):
    await maker.fill(f"{URL}/supervisor", {"right.*.read": "dept", "right.*.create": "yes", "right.*.export": "as_reading", "right.*.bulk": "yes"})
    assert await rights(maker, "supervisor", "*") == {"create": True, "read": "dept", "export": True, "bulk": True}
    assert set((await maker.find("roles[supervisor]"))["entities"]) == {"*", "opportunity"}
    page = await maker.get(f"{URL}/supervisor")
    row = re.search(r'<tr class="is-inherited" data-rights="customer">.*?</tr>', page.text, re.DOTALL)[0]
    assert re.findall(r'value="(\w+)" selected', row) == ["yes", "dept", "none", "none", "as_reading", "no", "yes", "no", "no"]


async def test_one_click_overrides_and_one_click_goes_back(maker):
    assert (await maker.fill(f"{URL}/supervisor", {"override": "order"})).status_code == 303
    assert await rights(maker, "supervisor", "order") == {"read": "all", "export": "all"}
    assert (await maker.fill(f"{URL}/supervisor", {"inherit": "opportunity"})).status_code == 303
    assert await rights(maker, "supervisor", "opportunity") is None


async def test_cells_that_say_more_than_a_choice_stay(maker):
    before = copy.deepcopy(await rights(maker, "account_manager", "plan_item"))
    await maker.fill(f"{URL}/account_manager", {"right.plan_item.bulk": "yes"})
    assert await rights(maker, "account_manager", "plan_item") == {**before, "bulk": True}
    await maker.fill(f"{URL}/account_manager", {"right.plan_item.delete": "none", "right.plan_item.read": "boundless", "right.plan_item.create": "="})
    assert await rights(maker, "account_manager", "plan_item") == {k: v for k, v in {**before, "bulk": True}.items() if k != "delete"}


async def test_the_words_and_the_number_of_people_stand_on_the_page(admin, companies):
    page = await admin.get(f"{URL}/sales")
    words = said(page)
    assert "Own records, and those of people whose superior they are." in words and "Every record of the company." in words
    assert 'href="/settings/simulator?role=sales"' in page.text
    assert re.search(r"\d+ (person|people)|nobody has it", words)
    listing = said(await admin.get(URL))
    assert "1 person" in listing and "Full rights" in listing


# ---- one entity ---------------------------------------------------------------------------------------------------------


async def test_conditions_fields_and_transitions_of_one_entity(admin):
    more = {
        "rights": "own", "create": "if", "create_if.mode": "rows", "create_if.0.field": "owner", "create_if.0.op": "eq", "create_if.0.value": "me()",
        "read.0.scope": "all", "update.0.scope": "own", "update.1.scope": "team", "update.1.if.mode": "text", "update.1.if.text": "stage in ['new', 'qualified']",
        "export.0.scope": "as_reading", "import": ["off", "on"], "fields.0.field": "expected_amount", "fields.0.access": "masked", "fields.0.mask": "{1}***",
        "fields.1.field": "probability", "fields.1.access": "read", "fields.1.if.mode": "text", "fields.1.if.text": "stage == 'won'", "fields.2.field": "competitor", "fields.2.access": "hidden",
        "moves": "some", "some_moves": ["win", "lose"],
    }  # fmt: skip
    answer = await admin.fill(f"{URL}/marketing/entities/opportunity", more, without=("delete.0.scope",))
    assert answer.status_code == 303, re.findall(r'data-error-for="([^"]+)">([^<]+)<', answer.text)
    found = await rights(admin, "marketing", "opportunity")
    assert found == {
        "create": {"if": "owner == me()"}, "read": "all", "update": ["own", {"scope": "team", "if": "stage in ['new', 'qualified']"}], "export": True, "import": True,
        "fields": {
            "expected_amount": {"access": "masked", "mask": "{1}***"}, "probability": {"access": "read", "if": "stage == 'won'"}, "competitor": "hidden",
        },
    } | ({"delete": found["delete"]} if "delete" in found else {}) | ({"bulk": True} if "bulk" in found else {})  # fmt: skip
    assert (await admin.find("roles[marketing]"))["transitions"] == {"opportunity": ["win", "lose"]}
    assert "Opportunities" in await admin.last()
    await admin.fill(f"{URL}/marketing/entities/opportunity", {"rights": "inherit", "moves": "pipeline"})
    assert await rights(admin, "marketing", "opportunity") is None
    assert "transitions" not in await admin.find("roles[marketing]")


async def test_however_many_fields_are_limited_saving_keeps_them_all(admin):
    """A limit that was left out would show the field to everybody with the role."""
    hidden = {f"secret_{n}": "hidden" for n in range(75)}

    def change(raw, data):
        for key in hidden:
            raw = edits.add(raw, "entities[opportunity].fields", {"key": key, "type": "text", "label": {"en": key}})
        return edits.put(raw, "roles[marketing].entities.opportunity", {"read": "own", "fields": hidden}), data

    await drafts.edit(admin.tenant.id, admin.tenant.admin_id, "Many", change)
    answer = await admin.fill(f"{URL}/marketing/entities/opportunity", {"bulk": ["off", "on"]})
    assert answer.status_code == 303 and (await rights(admin, "marketing", "opportunity"))["bulk"] is True
    assert (await rights(admin, "marketing", "opportunity"))["fields"] == hidden


async def test_mistakes_are_said_at_the_control_that_can_mend_them(admin):
    more = {
        "rights": "own", "create": "if", "create_if.mode": "text", "create_if.text": "", "read.0.scope": "all", "read.0.if.mode": "text", "read.0.if.text": "nothing == 1",
        "fields.0.field": "probability", "fields.0.access": "read", "fields.0.if.mode": "text", "fields.0.if.text": "probability +",
    }  # fmt: skip
    answer = await admin.fill(f"{URL}/marketing/entities/opportunity", more)
    assert answer.status_code == 422
    assert at(answer, "create_if") == "Say which new records are allowed."
    answer = await admin.fill(f"{URL}/marketing/entities/opportunity", {**more, "create": "yes"})
    assert "There is no field" in at(answer, "read")
    assert at(answer, "fields.0.if")
    assert (await admin.draft()).steps == ()


async def test_rules_are_added_and_taken_away_without_scripts(admin):
    page = f"{URL}/sales/entities/task"
    count = len(re.findall(r'name="read\.\d+\.scope"', (await admin.get(page)).text))
    for gesture, now in (("read|add|", count + 1), ("read|remove|0", count - 1)):
        answer = await admin.fill(page, {"_gesture": gesture})
        assert answer.status_code == 200
        assert len(re.findall(r'name="read\.\d+\.scope"', answer.text)) == now
    assert (await admin.draft()).steps == ()


# ---- roles as a whole ---------------------------------------------------------------------------------------------------


async def test_a_role_is_made_like_another_and_duplicated(admin):
    answer = await admin.fill(f"{URL}/new", {"label.en": "Junior", "label.zh_CN": "新人", "like": "sales"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{URL}/junior")
    junior, sales = await admin.find("roles[junior]"), await admin.find("roles[sales]")
    assert junior["entities"] == sales["entities"] and junior["label"] == {"en": "Junior", "zh_CN": "新人"}
    assert (await admin.post(f"{URL}/sales/duplicate")).headers["location"] == f"{URL}/salesperson_copy"
    assert (await admin.find("roles[salesperson_copy]"))["entities"] == sales["entities"]
    assert (await admin.fill(f"{URL}/new", {"label.en": ""})).status_code == 422
    await admin.last()


async def test_what_a_role_sees_beside_records(admin):
    more = {"description.en": "Looks only", "reports": ["*", "sales"], "dashboards": ["sales"], "home": "sales", "settings": ["audit", "jobs"], "external": ["off", "on"]}
    assert (await admin.fill(f"{URL}/management/general", more)).status_code == 303
    found = await admin.find("roles[management]")
    assert (found["reports"], found["dashboards"], found["home"], found["settings"], found["external"]) == ("*", ["sales"], "sales", ["audit", "jobs"], True)


async def test_the_last_role_with_full_rights_stays(admin):
    before = await admin.raw()
    answer = await admin.fill(f"{URL}/admin/general", {"admin": ["off"]})
    assert answer.status_code == 422 and "No role has every right" in said(answer)
    answer = await admin.fill(f"{URL}/admin/remove", {"heir": "sales"})
    assert answer.status_code == 422 and "No role has every right" in said(answer)
    assert await admin.raw() == before
    assert (await admin.post(f"{URL}/admin/duplicate")).status_code == 303
    assert (await admin.fill(f"{URL}/admin/remove", {"heir": "sales"})).status_code == 303


async def test_people_of_a_role_that_goes_get_another(admin, companies):
    from saas.tenants import create_user
    from tests.conftest import PASSWORD

    tenant = companies["baseline-crm"]
    await create_user(tenant.id, f"nina@{tenant.slug}.example", PASSWORD, "Nina", ["marketing"])
    assert "1 person has this role." in said(await admin.get(f"{URL}/marketing/remove"))
    assert (await admin.fill(f"{URL}/marketing/remove", {"heir": "nobody"})).status_code == 404
    assert (await admin.fill(f"{URL}/marketing/remove", {"heir": "sales"})).status_code == 303
    assert await admin.find("roles[marketing]") is None
    assert {"do": "role", "from": "marketing", "to": "sales"} in list((await admin.draft()).data)
