"""A draft may be broken while it is being edited: the pages open all the same, and say what has to be repaired."""

from __future__ import annotations

import pytest

from saas.metadata import drafts, edits

PAGES = (
    "/settings/views", "/settings/views/opportunity/all", "/settings/views/opportunity/board", "/settings/views/new-view?entity=opportunity", "/settings/views/customer/all",
    "/settings/layouts", "/settings/layouts/opportunity/default", "/settings/layouts/customer/default", "/settings/layouts/new-layout?entity=opportunity", "/settings/reports", "/settings/reports/sales",
    "/settings/reports/funnel", "/settings/reports/campaigns", "/settings/reports/sales/add-widget", "/settings/dashboards", "/settings/dashboards/overview", "/settings/dashboards/marketing",
    "/settings/dashboards/overview/from-reports", "/settings/menus", "/settings/menus/sales", "/settings/menus/marketing",
)  # fmt: skip
BREAKS = {
    "an entity is gone": lambda r: edits.remove(r, "entities[campaign]"),
    "a pipeline is gone": lambda r: edits.remove(r, "pipelines[opportunity]"),
    "fields are gone": lambda r: edits.remove(edits.remove(edits.remove(r, "entities[opportunity].fields[expected_amount]"), "entities[opportunity].fields[stage]"), "entities[opportunity].fields[customer]"),
    "the field that names records is gone": lambda r: edits.remove(r, "entities[opportunity].fields[name]"),
    "an option list is gone": lambda r: {**r, "option_sets": []},
    "roles are gone": lambda r: {**r, "roles": [x for x in r["roles"] if x.get("admin")]},
    "reports are gone": lambda r: {**r, "reports": []},
    "a widget has no shape": lambda r: edits.put(r, "reports[sales].widgets[0]", {"key": "x", "label": {"en": "X"}}),
    "a view has no shape": lambda r: edits.put(r, "views[opportunity:all]", {"key": "all", "entity": "opportunity", "label": {"en": "All"}, "columns": 5}),
    "a layout names strangers": lambda r: edits.put(r, "layouts[opportunity:default].tabs[overview].sections", [{"key": "a", "fields": ["nobody", "stage"]}]),
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
async def test_pages_open_on_a_broken_draft(admin, tenant, broken):
    await drafts.edit(tenant.id, tenant.admin_id, broken, lambda raw, steps: (BREAKS[broken](raw), steps))
    found = {}
    for path in PAGES:
        answer = await admin.get(path)
        if answer.status_code not in (200, 404):
            found[path] = answer.status_code
    assert not found


async def test_a_preview_waits_for_what_is_broken_elsewhere(admin, tenant):
    await drafts.edit(tenant.id, tenant.admin_id, "broken", lambda raw, steps: (edits.remove(raw, "entities[campaign]"), steps))
    text = (await admin.get("/settings/views/customer/all")).text
    assert "has to be repaired first" in text and "/settings/draft" in text
    answer = await admin.get("/settings/views/customer/all")
    assert (await admin.send("/settings/views/customer/all", answer, "/settings/views/customer/all", page_size="20")).status_code == 303  # saving goes on
