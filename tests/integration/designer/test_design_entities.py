"""Entities and their fields in the designer, without scripts: each form does what it says, as one step of the draft."""

from __future__ import annotations

import pytest

from tests.integration.test_pages import error_for

CUSTOMER = "/settings/entities/customer"


async def test_a_new_entity_is_complete_in_one_step(admin):
    before = len((await admin.draft()).steps)
    answer = await admin.fill("/settings/entities/new", {"label.en": "Loan", "plural.en": "Loans", "icon": "gift", "features": ["owner", "pipeline", "lines", "timeline"], "roles": ["admin", "sales"]})
    assert answer.status_code == 303 and answer.headers["location"] == "/settings/entities/loan"
    draft = await admin.draft()
    assert len(draft.steps) == before + 1 and await admin.last() == "Loan: added"
    loan = await admin.find("entities[loan]")
    assert [f["key"] for f in loan["fields"]] == ["name", "stage", "total"] and loan["icon"] == "gift"
    assert (await admin.find("roles[sales]"))["entities"]["loan"]["create"] is True
    page = (await admin.get("/settings/entities/loan")).text
    assert "data-draft-bar" in page and "Loans" in page


async def test_an_entity_needs_a_name_and_keeps_what_was_chosen(admin):
    answer = await admin.fill("/settings/entities/new", {"features": ["tags"]})
    assert answer.status_code == 422 and error_for(answer, "label")
    assert 'value="tags" checked' in answer.text and 'value="pipeline" checked' not in answer.text
    assert (await admin.draft()).is_empty


@pytest.mark.parametrize("name", ["Report", "Order", "🚀 Raketen", "select * from x; --", "<b>bold</b>", "客户关系"])
async def test_odd_names_are_taken_and_shown_safely(admin, name):
    answer = await admin.fill("/settings/entities/new", {"label.en": name, "features": ["pipeline", "calendar"]})
    assert answer.status_code == 303, answer.text[:500]
    assert (await admin.last()).endswith(": added")
    page = (await admin.get(answer.headers["location"])).text
    assert "<b>bold</b>" not in page


async def test_a_field_is_added_with_its_rules_and_put_on_the_form(admin):
    path = f"{CUSTOMER}/fields/new?type=text"
    answer = await admin.fill(path, {"label.en": "VAT number", "max_length": "20", "required_mode": "if", "required_if.0.field": "status", "required_if.0.op": "eq", "required_if.0.value": "active", "unique": ["off", "on"], "set_once": ["off", "on"]})
    assert answer.status_code == 303, error_for(answer, "label")
    made = await admin.find("entities[customer].fields[vat_number]")
    assert made == {"key": "vat_number", "type": "text", "label": {"en": "VAT number"}, "max_length": 20, "required_if": "status == 'active'", "unique": True, "set_once": True}
    assert await admin.last() == "Customer · VAT number: added"
    layouts = [x for x in (await admin.raw())["layouts"] if x["entity"] == "customer"]
    assert all("vat_number" in x["tabs"][0]["sections"][0]["fields"] for x in layouts)


async def test_a_field_that_becomes_required_says_what_existing_records_get(admin):
    path = f"{CUSTOMER}/fields/website"
    answer = await admin.fill(path, {"required_mode": "always", "fill_mode": "value", "fill_value": "https://example.com"})
    assert answer.status_code == 303
    draft = await admin.draft()
    assert list(draft.data) == [{"do": "fill", "entity": "customer", "field": "website", "value": "https://example.com"}]
    again = (await admin.get(path)).text
    assert 'value="https://example.com"' in again
    await admin.fill(path, {"fill_mode": "expr", "fill_expr": "concat('https://', name)"})
    assert list((await admin.draft()).data) == [{"do": "fill", "entity": "customer", "field": "website", "expr": "concat('https://', name)"}]
    await admin.fill(path, {"required_mode": "never"})
    draft = await admin.draft()
    assert list(draft.data) == [] and "required" not in await admin.find("entities[customer].fields[website]")


async def test_defaults_are_values_formulas_or_the_moment(admin):
    assert (await admin.fill(f"{CUSTOMER}/fields/new?type=date", {"label.en": "Met on", "default_mode": "now"})).status_code == 303
    assert (await admin.find("entities[customer].fields[met_on]"))["default"] == {"expr": "today()"}
    assert (await admin.fill(f"{CUSTOMER}/fields/new?type=int", {"label.en": "Visits", "default_mode": "value", "default_value": "3"})).status_code == 303
    assert (await admin.find("entities[customer].fields[visits]"))["default"] == 3
    answer = await admin.fill(f"{CUSTOMER}/fields/new?type=int", {"label.en": "Wrong", "default_mode": "expr", "default_expr": "name"})
    assert answer.status_code == 422 and error_for(answer, "default_expr")
    assert await admin.find("entities[customer].fields[wrong]") is None


async def test_choices_of_its_own_get_keys_and_keep_them(admin):
    path = f"{CUSTOMER}/fields/new?type=option"
    answer = await admin.fill(path, {"label.en": "Mood", "choices_from": "own", "options.0.label.en": "Happy", "options.0.color": "green", "options.1.label.zh_CN": "难过"})
    assert answer.status_code == 303
    mood = await admin.find("entities[customer].fields[mood]")
    assert mood["options"] == [{"key": "happy", "label": {"en": "Happy"}, "color": "green"}, {"key": "nan_guo", "label": {"zh_CN": "难过"}}]
    await admin.fill(f"{CUSTOMER}/fields/mood", {"options.0.label.en": "Cheerful", "default_mode": "value", "default_value": "happy"})
    mood = await admin.find("entities[customer].fields[mood]")
    assert mood["options"][0] == {"key": "happy", "label": {"en": "Cheerful"}, "color": "green"} and mood["default"] == "happy"


async def test_a_formula_of_the_wrong_kind_is_refused_with_the_reason(admin):
    path = f"{CUSTOMER}/fields/new?type=formula"
    for text in ("name +", "no_such_field", "phone_again"):
        answer = await admin.fill(path, {"label.en": "Sum", "returns": "number", "expr": text})
        assert answer.status_code == 422 and error_for(answer, "expr") and text in answer.text
    answer = await admin.fill(path, {"label.en": "Itself", "key": "itself", "returns": "number", "expr": "itself + 1"})
    assert answer.status_code == 422 and "itself" in answer.text
    assert (await admin.draft()).is_empty


async def test_a_rollup_is_put_together_from_a_list(admin):
    assert "Orders" in (await admin.get(f"{CUSTOMER}/fields/new?type=rollup")).text
    path = f"{CUSTOMER}/fields/new?type=rollup&of=orders"
    answer = await admin.fill(path, {"label.en": "Biggest order", "fn": "max", "field": "total", "where.0.field": "status", "where.0.op": "ne", "where.0.value": "cancelled"})
    assert answer.status_code == 303, error_for(answer, "field")
    made = await admin.find("entities[customer].fields[biggest_order]")
    assert {k: made[k] for k in ("of", "fn", "field", "where")} == {"of": "orders", "fn": "max", "field": "total", "where": "status != 'cancelled'"}
    shown = await admin.post("/settings/builder/rollup?entity=customer", {"of": "orders", "fn": "sum", "field": "total"})
    assert "sum(orders.total)" in shown.text and "verdict-good" in shown.text
    wrong = await admin.post("/settings/builder/rollup?entity=customer", {"of": "orders", "fn": "sum"})
    assert "verdict-bad" in wrong.text


async def test_a_link_has_its_name_on_both_sides(admin):
    answer = await admin.fill(f"{CUSTOMER}/fields/new?type=ref&to=product", {"label.en": "Favourite", "inverse.en": "Fans", "on_delete": "set_null"})
    assert answer.status_code == 303, answer.text[:300]
    made = await admin.find("entities[customer].fields[favourite]")
    assert (made["to"], made["on_delete"], made["inverse"]) == ("product", "set_null", {"key": "fans", "label": {"en": "Fans"}})
    await admin.fill(f"{CUSTOMER}/fields/favourite", {"inverse.en": "Admirers"})
    assert (await admin.find("entities[customer].fields[favourite]"))["inverse"] == {"key": "fans", "label": {"en": "Admirers"}}


async def test_every_type_of_the_gallery_can_be_added(admin):
    from saas.metadata.kinds import field_types

    gallery = (await admin.get(f"{CUSTOMER}/fields/new")).text
    needs = {
        "option": {"choices_from": "set", "set": "industry"}, "multi": {"choices_from": "set", "set": "industry"}, "formula": {"returns": "text", "expr": "name"}, "rollup": {"fn": "count"},
        "score": {"bands.0.from": "0", "bands.0.label.en": "Low"}, "code": {},
    }  # fmt: skip
    more = {"ref": "&to=product", "m2m": "&to=product", "rollup": "&of=orders"}
    for kind in field_types:
        assert f"fields/new?type={kind.key}\"" in gallery, kind.key
        answer = await admin.fill(f"{CUSTOMER}/fields/new?type={kind.key}{more.get(kind.key, '')}", {"label.en": f"A {kind.key}", **needs.get(kind.key, {})})
        assert answer.status_code == 303, (kind.key, error_for(answer, "label"), answer.text[answer.text.find("data-error-summary") :][:400])
        key = f"a_{kind.key}"
        assert (await admin.get(f"{CUSTOMER}/fields/{key}")).status_code == 200
        before = await admin.find(f"entities[customer].fields[{key}]")
        assert (await admin.fill(f"{CUSTOMER}/fields/{key}")).status_code == 303, kind.key
        assert await admin.find(f"entities[customer].fields[{key}]") == before, kind.key
    await admin.last()
    assert (await admin.find("pipelines[customer]"))["field"] == "a_pipeline"


async def test_saving_an_unchanged_form_changes_nothing(admin):
    """Every field of the pack, and every property: what has no control stays."""
    for entity in ("customer", "opportunity", "quotation", "quotation_line", "task"):
        for field in (await admin.find(f"entities[{entity}]"))["fields"]:
            assert (await admin.fill(f"/settings/entities/{entity}/fields/{field['key']}")).status_code == 303, (entity, field["key"])
        assert (await admin.fill(f"/settings/entities/{entity}/properties")).status_code == 303, entity
        assert (await admin.fill(f"/settings/entities/{entity}/rules")).status_code == 303, entity
    draft = await admin.draft()
    assert draft.is_empty, [s.title for s in draft.steps]


async def test_another_type_keeps_key_and_name(admin):
    page = (await admin.get(f"{CUSTOMER}/fields/phone/type")).text
    assert "type=text" in page and "values are kept" in page
    answer = await admin.fill(f"{CUSTOMER}/fields/phone?type=text", {"max_length": "40"})
    assert answer.status_code == 303
    made = await admin.find("entities[customer].fields[phone]")
    assert (made["type"], made["key"], made["max_length"]) == ("text", "phone", 40) and made["label"]["en"] == "Phone"


async def test_the_order_is_saved_and_a_foreign_key_does_no_harm(admin):
    keys = [f["key"] for f in (await admin.find("entities[contact]"))["fields"]]
    await admin.get("/settings/entities/contact")
    answer = await admin.post("/settings/entities/contact/order-fields", {"key": [*reversed(keys[:4]), "nothing"]})
    assert answer.status_code == 303
    assert [f["key"] for f in (await admin.find("entities[contact]"))["fields"]] == [*reversed(keys[:4]), *keys[4:]]
    assert (await admin.post("/settings/entity-order", {"key": ["contact", "customer"]})).status_code == 303
    assert [e["key"] for e in (await admin.raw())["entities"]][:2] == ["contact", "customer"]


async def test_two_windows_do_not_overwrite_each_other(admin):
    page = await admin.get(f"{CUSTOMER}/fields/website")
    mark = page.text.split('name="_mark" value="')[1].split('"')[0]
    await admin.fill(f"{CUSTOMER}/fields/website", {"label.en": "Homepage"})
    answer = await admin.post(f"{CUSTOMER}/fields/website", {"_mark": mark, "label.en": "Web", "required_mode": "never"})
    assert answer.status_code == 422 and 'value="Web"' in answer.text and "another window" in answer.text
    assert (await admin.find("entities[customer].fields[website]"))["label"]["en"] == "Homepage"


async def test_removing_a_field_lists_its_uses_and_cleans_up(admin):
    page = (await admin.get(f"{CUSTOMER}/fields/revenue/remove")).text
    assert "data-usages" in page and "All customers" in page
    answer = await admin.fill(f"{CUSTOMER}/fields/revenue/remove", {"clean": "yes"})
    assert answer.status_code == 303
    assert await admin.last() == "Customer · Revenue: removed"
    assert "revenue" not in (await admin.find("views[customer:all]"))["columns"]


async def test_what_nobody_can_decide_for_the_admin_is_named_before(admin):
    page = (await admin.get(f"{CUSTOMER}/fields/industry/remove")).text
    assert "needs a decision of yours" in page  # a schedule without its condition would work on all records


async def test_leaving_the_rest_shows_what_has_to_be_repaired(admin):
    await admin.fill(f"{CUSTOMER}/fields/industry/remove", {"clean": "no"})
    draft = await admin.draft()
    assert draft.examined.problems and any("industry" in str(p.message) for p in draft.examined.problems)
    for path in ("/settings/entities", CUSTOMER, f"{CUSTOMER}/properties", f"{CUSTOMER}/rules", f"{CUSTOMER}/relations", "/settings/option-sets/industry", "/settings/relations", "/settings/labels"):
        assert (await admin.get(path)).status_code == 200, path
    assert "has-problems" in (await admin.get(CUSTOMER)).text


async def test_removing_an_entity_leaves_a_valid_configuration(admin):
    answer = await admin.fill("/settings/entities/campaign/remove", {"clean": "yes"})
    assert answer.status_code == 303 and await admin.last() == "Campaign: removed"
    assert await admin.find("entities[campaign]") is None


async def test_rules_are_added_changed_and_removed(admin):
    base = f"{CUSTOMER}/rules"
    answer = await admin.fill(f"{base}/rules/new", {"expr.mode": "text", "expr.text": "phone != null or email != null", "message.en": "Phone or e-mail is needed", "field": "phone"})
    assert answer.status_code == 303
    rule = (await admin.find("entities[customer].rules"))[-1]
    assert rule == {"key": "phone_or_e_mail_is_needed", "expr": "phone != null or email != null", "message": {"en": "Phone or e-mail is needed"}, "field": "phone"}
    assert (await admin.fill(f"{base}/rules/{rule['key']}", {"message.zh_CN": "电话或邮箱必填其一"})).status_code == 303
    wrong = await admin.fill(f"{base}/rules/new", {"expr.mode": "text", "expr.text": "phone +", "message.en": "x"})
    assert wrong.status_code == 422 and error_for(wrong, "expr")
    assert (await admin.fill(f"{base}/unique/new", {"fields": ["name", "industry"], "message.en": "Twice"})).status_code == 303
    assert (await admin.find("entities[customer].unique"))[-1] == {"key": "name_industry", "fields": ["name", "industry"], "message": {"en": "Twice"}}
    empty = await admin.fill(f"{base}/duplicates/new")
    assert empty.status_code == 422 and error_for(empty, "match")
    assert (await admin.fill(f"{base}/rules/{rule['key']}/remove")).status_code == 303
    assert await admin.find(f"entities[customer].rules[{rule['key']}]") is None
    await admin.last()


async def test_records_are_frozen_and_people_are_told(admin):
    answer = await admin.fill(f"{CUSTOMER}/rules", {"deletable_if.mode": "text", "deletable_if.text": "status == 'former'", "created.en": "Welcome!"})
    assert answer.status_code == 303
    customer = await admin.find("entities[customer]")
    assert customer["deletable_if"] == "status == 'former'" and customer["messages"]["created"]["en"] == "Welcome!"


async def test_properties_are_changed_as_one_step(admin):
    answer = await admin.fill("/settings/entities/article/properties", {"label.en": "Answer", "plural.en": "Answers", "owned": "off", "access": "append", "search": ["body", "title"], "icon": "star"}, without=("owner_label.en", "owner_label.zh_CN"))
    if answer.status_code == 422:  # the pack's own names of fields
        pytest.fail(answer.text[answer.text.find("data-error-summary") :][:500])
    article = await admin.find("entities[article]")
    assert (article["label"]["en"], article["owned"], article["append_only"], article["icon"]) == ("Answer", False, True, "star")
    assert [s.title for s in (await admin.draft()).steps] == ["Answer: changed"]


@pytest.mark.parametrize("path", ["/settings/entities", "/settings/entities/new", CUSTOMER, f"{CUSTOMER}/fields/new", f"{CUSTOMER}/properties", f"{CUSTOMER}/rules", "/settings/option-sets", "/settings/relations", "/settings/numbering", "/settings/values", "/settings/labels"])
async def test_only_who_may_configure_opens_the_pages(admin, http, path):
    from saas.tenants import create_user
    from tests.integration.test_pages import PASSWORD, Browser

    email = f"rep{abs(hash(path))}@{admin.tenant.slug}.example"
    await create_user(admin.tenant.id, email, PASSWORD, "Rep", ["sales"])
    rep = Browser(http, admin.host)
    await rep.sign_in(email)
    assert (await rep.get(path)).status_code == 403
