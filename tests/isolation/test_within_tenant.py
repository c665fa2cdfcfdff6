"""Inside one tenant: what a role keeps from its people cannot be read, guessed, counted or changed by any way round."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from saas.errors import AppError, BadRequest, DuplicateFound, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.forms import choices, form_state
from saas.tenants import authenticate, open_session
from saas.ui.api import shapes
from tests.bundles import field as fld
from tests.factories import OPEN, PASSWORD, Lab, _all, _role, make_lab, rich_bundle

BANK, PHONE = "6222021001", "+8613912345678"


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    """The rich bundle with roles that see little of it."""
    bundle = rich_bundle()
    entities = {e["key"]: e for e in bundle["entities"]}
    entities["deal"]["fields"] += [
        fld("copied", "text", default={"expr": "account.bank"}),
        fld("extra", "text", visible_if="account.bank == '6222021001'", required_if="account.bank == '6222021001'"),
        fld("guide", "text", default={"expr": "upper(contact)"}),
    ]
    entities["account"]["timeline"] = {"sources": [{"entity": "deal", "via": "account"}]}
    bundle["roles"] += [
        _role("veiled", {**OPEN, "account": _all("all", fields={"owner": "hidden"}), "deal": _all("all", fields={"stage": "hidden"}), "line": _all("all", fields={"account": "hidden"})}),
        _role("stranger", {**OPEN, "account": _all("own")}),
        _role("asker", {**OPEN, "account": _all("all"), "deal": _all("all", fields={"contact": "masked", "comment": "hidden", "name": "hidden"})}, transitions={"deal": "*"}),
        _role("outside", {"*": {"read": "none"}, "deal": {"read": "all"}}, external=True),
        _role("watcher", {"account": {"read": "all"}, "line": {"read": "all"}}),
        _role("staff_office", {"task": {"read": "all"}}, settings=["users"]),
    ]
    lab = await make_lab(bundle, people=False)
    for role in ("chief", "blind", "veiled", "stranger", "asker", "outside", "watcher", "staff_office", "nobody", "seller"):
        await lab.person(role, [role])
    return lab


@pytest_asyncio.fixture(scope="module")
async def account(lab) -> UUID:
    return await lab.make("account", name="Gold Ltd", bank=BANK, phone=PHONE, taxno="91230100X", owner=str(lab.people["chief"]))


class Browser:
    """A signed-in person's pages."""

    def __init__(self, client: httpx.AsyncClient, lab: Lab, token: str, csrf: str) -> None:
        self.client, self.csrf = client, csrf
        self.headers = {"host": f"{lab.slug}.localhost", "cookie": f"session={token}", "accept-language": "en"}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params or None, headers=self.headers)

    async def post(self, path: str, **form: Any) -> httpx.Response:
        return await self.client.post(path, data={"_csrf": self.csrf, **form}, headers=self.headers)


async def browser(http: httpx.AsyncClient, lab: Lab, who: str) -> Browser:
    token, csrf, _expires = await open_session(lab.tenant_id, lab.people[who], "web")
    return Browser(http, lab, token, csrf)


# ---- what stands around the values of a record ---------------------------------------------------------------------------


async def test_a_hidden_owner_is_hidden_everywhere(lab, account):
    found = await lab.get("account", account, "veiled")
    assert found.owner is None and "owner" not in found.display
    assert str(lab.people["chief"]) not in str(shapes.record(found))


async def test_a_hidden_stage_is_hidden_everywhere(lab):
    deal = await lab.make("deal", name="Silent")
    found = await lab.get("deal", deal, "veiled")
    assert found.state is None and found.state_since is None
    shown = shapes.record(found)
    assert "state" not in shown and "open" not in str({k: v for k, v in shown.items() if k != "can"})


async def test_an_equal_record_does_not_name_a_hidden_owner(lab, account):
    with pytest.raises(DuplicateFound) as caught:
        await execute(await lab.ctx("veiled"), ops.Create(entity="account", values={"name": "Other", "phone": PHONE}))
    assert [m["owner"] for m in caught.value.data["matches"]] == [None]


async def test_the_schema_does_not_tell_the_stages_of_a_hidden_pipeline(lab, http):
    token, _csrf, _expires = await open_session(lab.tenant_id, lab.people["veiled"], "api")
    answer = await http.get("/api/v1/schema/deal", headers={"host": f"{lab.slug}.localhost", "authorization": f"Bearer {token}"})
    assert answer.status_code == 200 and "x-pipeline" not in answer.json() and "stage" not in answer.json()["properties"]


# ---- guessing ------------------------------------------------------------------------------------------------------------


async def test_a_masked_value_cannot_be_guessed_by_sending_it_back(lab, account):
    said = []
    for guess in (PHONE, "+8613912340000"):
        with pytest.raises(InvalidInput) as caught:
            await execute(await lab.ctx("blind"), ops.Update(entity="account", id=account, values={"phone": guess}))
        said.append([(p.field, p.code) for p in caught.value.problems])
    assert said == [[("phone", "forbidden")]] * 2


async def test_a_picker_does_not_find_by_what_is_masked(lab, account):
    blind, chief = await lab.ctx("blind"), await lab.ctx("chief")
    assert [c.id for c in await choices(chief, "deal", "account", q="13912345678")] == [str(account)]
    assert [c.id for c in await choices(blind, "deal", "account", q="Gold")] == [str(account)]
    for guess in ("13912345678", "12345678", BANK):
        assert await choices(blind, "deal", "account", q=guess) == []


async def test_children_do_not_tell_a_hidden_link(lab, account):
    await lab.make("line", by=None, name="Secret line", account=str(account))
    veiled = await lab.ctx("veiled")
    with pytest.raises(BadRequest):
        await execute(veiled, ops.List(entity="account", filter={"expr": "exists(lines where name == 'Secret line')"}))
    found = await execute(await lab.ctx("watcher"), ops.List(entity="account", filter={"expr": "exists(lines where name == 'Secret line')"}))
    assert [r.id for r in found.records] == [account]


async def test_a_form_computes_nothing_from_a_record_that_is_not_the_readers(lab, account):
    """The id of an unreadable record is known to whoever sees a link to it."""
    typed = {"name": "Mine", "account": str(account)}
    seen = await form_state(await lab.ctx("chief"), "deal", typed=typed)
    assert seen.values["copied"] == BANK and seen.fields["extra"].visible
    state = await form_state(await lab.ctx("stranger"), "deal", typed=typed)
    assert state.values["copied"] is None and not state.fields["extra"].visible and not state.fields["extra"].required


async def test_a_refused_link_says_nothing_about_the_record(lab, account):
    with pytest.raises(InvalidInput) as caught:
        await execute(await lab.ctx("stranger"), ops.Create(entity="deal", values={"name": "Mine", "account": str(account)}))
    assert [(p.field, p.code) for p in caught.value.problems] == [("account", "unknown_record")]


async def test_no_picker_without_a_right_on_the_entity(lab):
    with pytest.raises(NotFound):
        await choices(await lab.ctx("nobody"), "account", "helper")
    with pytest.raises(NotFound):
        await choices(await lab.ctx("outside"), "account", "owner")


async def test_who_is_from_outside_finds_only_themselves_in_pickers(lab):
    outside = await lab.ctx("outside")
    assert [c.id for c in await choices(outside, "deal", "winner")] == [str(outside.user_id)]
    assert await choices(outside, "deal", "winner", q="chief@") == []


async def test_a_dialog_does_not_show_what_it_asks_for_where_that_is_masked_or_hidden(lab, http):
    deal = await lab.make("deal", name="Dialog", contact=PHONE, comment="zq-secret-comment", amount="12")
    page = await browser(http, lab, "asker")
    for key in ("phone", "offer"):
        answer = await page.get(f"/r/deal/{deal}/transitions/{key}")
        assert answer.status_code == 200, answer.text
        assert "1391234" not in answer.text and "139 1234" not in answer.text and "zq-secret-comment" not in answer.text
    # A form sent back without the masked value leaves it as it was.
    assert (await page.post(f"/r/deal/{deal}/transitions/phone", contact="")).status_code in (200, 303)


# ---- the recycle bin -----------------------------------------------------------------------------------------------------


async def test_deleted_records_are_for_those_who_may_delete(lab):
    gone = await lab.make("line", by=None, name="Gone", account=str(await lab.make("account", name="Bin Ltd")))
    await execute(await lab.ctx("chief"), ops.Delete(entity="line", id=gone))
    watcher = await lab.ctx("watcher")
    for operation in (ops.List(entity="line", deleted=True), ops.Get(entity="line", id=gone, deleted=True)):
        with pytest.raises((PermissionDenied, NotFound)):
            await execute(watcher, operation)
    assert gone in [r.id for r in (await execute(await lab.ctx("chief"), ops.List(entity="line", deleted=True))).records]


# ---- people ----------------------------------------------------------------------------------------------------------------


async def test_whoever_keeps_the_people_cannot_take_over_an_administrator(lab, http):
    page = await browser(http, lab, "staff_office")
    admin = lab.people["admin"]
    form = {"name": "Admin", "email": f"admin@{lab.slug}.example", "status": "active", "roles": "admin", "password": "taken over by staff"}
    answer = await page.post(f"/settings/users/{admin}", **form)
    assert answer.status_code == 422, answer.text[:500]
    assert await authenticate(lab.tenant_id, f"admin@{lab.slug}.example", PASSWORD) == admin
    answer = await page.post(f"/settings/users/{admin}", **{**form, "password": "", "status": "inactive"})
    assert answer.status_code == 422
    assert await authenticate(lab.tenant_id, f"admin@{lab.slug}.example", PASSWORD) == admin


# ---- pages of those who see less -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "path"), [("blind", "/r/account?view=hidden_filter"), ("asker", "/r/account/{account}"), ("veiled", "/r/deal"), ("veiled", "/r/account"), ("blind", "/r/account/board?view=grades")])
async def test_pages_open_for_people_who_see_less(lab, http, who, path):
    plain = await lab.make("account", name="Plain Ltd")
    await lab.make("deal", name="On the timeline", account=str(plain))
    answer = await (await browser(http, lab, who)).get(path.format(account=plain))
    assert answer.status_code == 200, answer.text[-1500:]


async def test_bad_values_meet_no_expression(lab):
    """Defaults and conditions are computed of values that were understood."""
    for values in ({"name": "x", "contact": {"a": 1}}, {"name": 5, "account": 7}, {"name": "x", "amount": {"amount": "no"}}):
        with pytest.raises(AppError):
            await execute(await lab.ctx("chief"), ops.Create(entity="deal", values=values))


# ---- requests that mean no good ----------------------------------------------------------------------------------------------


ODD_ADDRESSES = [
    "/r/account?q=%00", "/r/account?filter=" + "[" * 20_000, "/r/account?limit=%C2%B2", "/r/account?sort=nothing", "/r/account?f=name:eq:%00", "/r/account?f=credit:gt:x",
    "/r/account?after=AAAA", "/r/account?view=%00", "/r/account/board?view=nothing", "/r/account?adding=nothing", "/r/account?adding=bank", "/r/account?cols=nothing",
    "/r/deal/new?account=abc&amount=x&chance=%C2%B2", "/lookup/deal/account?q=%00", "/lookup/deal/account?account=x", "/search?q=%00", "/files/01a201de-3812-7121-9b28-a93b541786fd?size=%C2%B2",
    "/notifications?before=x", "/login?next=%00", "/r/account?trail=%00&after=%00", "/r/deal/new?next=%0d%0aset-cookie:x", "/r/account?filter=%7B%22field%22:%22credit%22,%22op%22:%22eq%22,%22value%22:NaN%7D",
    "/r/%00", "/r/account/views/%00/delete", "/settings/audit?kind=%00", "/settings/audit?before=x",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD_ADDRESSES, ids=lambda p: p[:60])
async def test_odd_addresses_of_pages_break_nothing(lab, http, path):
    answer = await (await browser(http, lab, "admin")).get(path)
    assert answer.status_code < 500, answer.text[-800:]
    assert "set-cookie:x" not in str(answer.headers)


ODD_FORMS = [
    ("/login", {"email": "a\x00@b.example", "password": "x\x00"}), ("/login", {"email": "a@b.example", "password": "x" * 200_000}), ("/r/account/form?id=x", {"name": "x"}), ("/r/deal/form", {"account": "x", "amount": "\x00", "name": "\x00"}),
    ("/r/account/new", {"name": "\x00", "credit": "²", "since": "²", "version": "²"}), ("/r/account/bulk", {"ids": "x", "act": "\x00"}), ("/r/account/views", {"name": "\x00", "query": "q=%00&limit=²"}),
    ("/locale", {"locale": "\x00", "next": "/x\n"}), ("/theme", {"theme": "\x00", "next": "//evil.example"}), ("/settings/users/new", {"name": "\x00", "email": "a\x00@b.example", "roles": "reader"}),
    ("/settings/values", {"days": "²", "revision": "²"}), ("/settings/brand", {"name": "\x00", "color": "²"}), ("/settings/revisions/1/revert", {"revision": "²"}), ("/profile/password", {"current": "\x00", "password": "\x00" * 20}),
    ("/r/account/import/01a201de-3812-7121-9b28-a93b541786fd", {"act": "run"}), ("/r/account/export", {"format": "\x00"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "form"), ODD_FORMS, ids=lambda x: x if isinstance(x, str) else "")
async def test_odd_forms_break_nothing(lab, http, path, form):
    answer = await (await browser(http, lab, "admin")).post(path, **form)
    assert answer.status_code < 500, answer.text[-800:]
    where = answer.headers.get("location", "/")
    assert where.startswith("/") and not where.startswith("//") and where == where.strip()


async def test_a_password_that_somebody_else_set_must_be_changed_first(lab, http):
    from saas.tenants import set_password

    await set_password(lab.tenant_id, lab.people["watcher"], "given by an administrator", must_change=True)
    page = await browser(http, lab, "watcher")
    answer = await page.get("/r/account")
    assert answer.status_code == 303 and answer.headers["location"] == "/profile"
    assert (await page.get("/profile")).status_code == 200
    changed = await page.post("/profile/password", current="given by an administrator", password=PASSWORD)
    assert changed.status_code == 303
    assert (await page.get("/r/account")).status_code == 200
