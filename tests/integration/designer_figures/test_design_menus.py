"""Menus in the designer, without scripts."""

from __future__ import annotations

import re

from saas.metadata import drafts, edits

PATH = "/settings/menus/sales"


async def test_an_untouched_form_changes_nothing(admin):
    for role in ("sales", "service", "admin"):
        path = f"/settings/menus/{role}"
        before = await admin.find(f"roles[{role}]")
        answer = await admin.get(path)
        assert (await admin.send(path, answer, path)).status_code == 303
        assert await admin.find(f"roles[{role}]") == before
    assert await admin.titles() == []


async def test_entries_move_and_the_sidebar_follows(admin):
    answer = await admin.get(PATH)
    moved = await admin.send(PATH, answer, PATH, _act="move", _thing="entry:customer", _where="group:g0")
    shown = re.search(r'<div class="menu-preview".*?</div>\s*</div>', moved.text, re.DOTALL)
    assert shown and "Customers" in shown[0].partition("Sales")[0]
    assert (await admin.send(PATH, moved, PATH, home="sales")).status_code == 303
    menu = (await admin.find("roles[sales]"))["menu"]
    assert menu[0]["items"][-1] == "customer" and all("customer" not in g["items"] for g in menu[1:])
    assert await admin.titles() == ["Menus · Salesperson: changed"]


async def test_a_group_needs_a_name_and_entries(admin):
    answer = await admin.get(PATH)
    refused = await admin.send(PATH, answer, PATH, label__g0__en="", label__g0__zh_CN="")
    assert refused.status_code == 422 and "Give this group a name." in refused.text
    added = await admin.send(PATH, answer, PATH, _act="add-group")
    refused = await admin.send(PATH, added, PATH)
    assert refused.status_code == 422 and "Put something into this group" in refused.text
    assert await admin.titles() == []


async def test_what_a_role_may_not_see_is_said(admin):
    answer = await admin.get("/settings/menus/service")
    chip = re.search(r'value="entry:dashboard:marketing".*?</li>', answer.text, re.DOTALL)
    assert chip and "may not see it" in chip[0]


async def test_a_role_without_a_menu_begins_with_all_it_sees(admin, tenant):
    raw = await admin.draft()
    role = {k: v for k, v in edits.find(raw, "roles[marketing]").items() if k not in ("menu", "home")}
    await drafts.edit(tenant.id, tenant.admin_id, "no menu", lambda r, s: (edits.put(r, "roles[marketing]", role), s))
    path = "/settings/menus/marketing"
    answer = await admin.get(path)
    assert "no menu of its own" in answer.text
    begun = await admin.send(path, answer, path, _act="suggest")
    assert (await admin.send(path, begun, path)).status_code == 303
    menu = (await admin.find("roles[marketing]"))["menu"]
    assert any("customer" in g["items"] for g in menu)
    assert "everything it may see" not in (await admin.get("/settings/menus")).text


async def test_an_unknown_role_is_not_found(admin):
    assert (await admin.get("/settings/menus/nobody")).status_code == 404
