"""Tenants, people, departments, hosts and operators."""

from __future__ import annotations

import asyncio
import json

import pyotp
import pytest

from saas.db import system_transaction, tenant_transaction
from saas.errors import Conflict, InvalidInput, NotAuthenticated, NotFound, SecondFactorNeeded, TooManyRequests, WrongCode
from saas.tenants import (
    authenticate_operator,
    change_operator,
    close_operator_session,
    create_department,
    create_operator,
    create_tenant,
    create_user,
    delete_department,
    delete_tenant,
    enable_operator_factor,
    find_operator_session,
    find_tenant,
    find_user,
    finish_operator_step,
    is_operator_step,
    list_audit,
    list_departments,
    list_operators,
    list_users,
    open_operator_session,
    reset_operator_factor,
    resolve_host,
    set_tenant_status,
    update_department,
    update_user,
)
from saas.tenants.tenants import RESERVED_SLUGS, slug_of_host
from saas.tenants.totp import new_offer

PASSWORD = "correct horse battery"


# ---- tenants -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["", "A", "a b", "-a", "a-", "a.b", "a--b", "x" * 64, "ä", "operator", "www", "api"])
async def test_bad_and_reserved_slugs_are_refused(database, slug):
    with pytest.raises(InvalidInput):
        await create_tenant(slug, "X", "", "en", "a@x.example", PASSWORD)


async def test_a_taken_slug_is_a_conflict_and_leaves_nothing(tenant_factory):
    tenant = await tenant_factory()
    with pytest.raises(Conflict):
        await create_tenant(tenant.slug, "X", "", "en", "a@x.example", PASSWORD)
    async with system_transaction("doctor") as conn:
        assert await conn.fetchval("SELECT count(*) FROM tenant WHERE slug = $1", tenant.slug) == 1


async def test_a_weak_password_makes_no_tenant(database):
    with pytest.raises(InvalidInput):
        await create_tenant("weak-one", "X", "", "en", "a@x.example", "short")
    with pytest.raises(NotFound):
        await find_tenant("weak-one")


async def test_deleting_removes_every_row_of_this_tenant_only(tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    await create_department(one.id, "sales", {"en": "Sales"})
    await create_user(one.id, "p@x.example", PASSWORD, "P", ["sales"], "sales")
    removed = await delete_tenant(one.slug)
    assert removed["app_user"] == 2 and removed["department"] == 1 and removed["audit_event"] >= 2
    assert len(await list_users(two.id)) == 1
    async with system_transaction("doctor") as conn:
        assert await conn.fetchval("SELECT count(*) FROM audit_event WHERE tenant_id = $1", one.id) == 0
    with pytest.raises(NotFound):
        await delete_tenant(one.slug)


# ---- hosts ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "slug"),
    [
        ("acme.localhost", "acme"), ("ACME.localhost:8000", "acme"), ("acme.localhost.", "acme"), ("localhost", None),
        ("a.b.localhost", None), ("operator.localhost", None), ("acme.example.com", None), ("evil-localhost", None),
        ("acmelocalhost", None), (".localhost", None), ("[::1]:8000", None), ("", None), ("x' OR 1=1.localhost", None),
    ],
)  # fmt: skip
def test_slug_of_host(host, slug):
    assert slug_of_host(host, "localhost") == slug


async def test_hosts_resolve_and_suspension_shows_at_once_here(tenant_factory):
    tenant = await tenant_factory()
    assert (await resolve_host(f"{tenant.slug}.localhost:8000")).id == tenant.id
    assert await resolve_host("nobody-here.localhost") is None
    await set_tenant_status(tenant.slug, "suspended")
    row = await resolve_host(f"{tenant.slug}.localhost")
    assert row.status == "suspended" and not row.is_active
    assert (await set_tenant_status(tenant.slug, "active")).is_active


async def test_a_repeated_host_costs_no_query(tenant_factory, monkeypatch):
    tenant = await tenant_factory()
    await resolve_host(f"{tenant.slug}.localhost")
    monkeypatch.setattr("saas.tenants.tenants.system_transaction", lambda reason: pytest.fail("asked again"))
    assert (await resolve_host(f"{tenant.slug}.localhost")).id == tenant.id


def test_our_own_host_names_are_reserved():
    assert {"operator", "www", "api", "admin"} <= RESERVED_SLUGS


# ---- people --------------------------------------------------------------------------------------------------------------------


async def test_an_address_is_unique_in_its_tenant_only_and_has_no_case(tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    await create_user(one.id, "Same@X.example", PASSWORD, "A", [])
    await create_user(two.id, "same@x.example", PASSWORD, "B", [])
    with pytest.raises(Conflict):
        await create_user(one.id, " same@x.EXAMPLE ", PASSWORD, "C", [])
    assert (await find_user(one.id, email="SAME@x.example"))["name"] == "A"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "no-address"}, "email"), ({"password": "short"}, "password"), ({"name": " "}, "name"),
        ({"locale": "xx"}, "locale"), ({"department_key": "nowhere"}, "department"), ({"password": "p@x.example"}, "password"),
    ],
)  # fmt: skip
async def test_bad_people_are_refused_with_the_field_named(tenant_factory, changes, field):
    tenant = await tenant_factory()
    good = {"email": "p@x.example", "password": PASSWORD, "name": "P", "role_keys": ["a"]}
    with pytest.raises(InvalidInput) as caught:
        await create_user(tenant.id, **{**good, **changes})
    assert [problem.field for problem in caught.value.problems] == [field]
    assert len(await list_users(tenant.id)) == 1


async def test_changing_people(tenant_factory):
    tenant = await tenant_factory()
    north = await create_department(tenant.id, "north", {"en": "North"})
    south = await create_department(tenant.id, "south", {"en": "South"})
    person = await create_user(tenant.id, "p@x.example", PASSWORD, "P", ["a", "b"], "north")
    await update_user(tenant.id, person, {"role_keys": ["b", "c"], "department_ids": [south, north], "title": "Boss"})
    found = await find_user(tenant.id, user_id=person)
    assert found["role_keys"] == ["b", "c"] and found["department_ids"][0] == south and found["title"] == "Boss"
    assert "password_hash" not in found
    with pytest.raises(ValueError):
        await update_user(tenant.id, person, {"password_hash": "x"})
    other = await tenant_factory()
    with pytest.raises(NotFound):
        await update_user(other.id, person, {"name": "Stolen"})
    kinds = [event["kind"] for event in await list_audit(tenant.id)]
    assert kinds.count("user.created") == 1 and "user.changed" in kinds


# ---- departments ---------------------------------------------------------------------------------------------------------------


async def test_departments_are_a_tree_without_circles(tenant_factory):
    tenant = await tenant_factory()
    top = await create_department(tenant.id, "top", {"en": "Top"})
    sales = await create_department(tenant.id, "sales", {"en": "Sales"}, parent_key="top", position=2)
    await create_department(tenant.id, "hr", {"en": "HR"}, parent_key="top", position=1)
    north = await create_department(tenant.id, "north", {"en": "North"}, parent_key="sales")
    assert [(d["key"], d["depth"]) for d in await list_departments(tenant.id)] == [("top", 0), ("hr", 1), ("sales", 1), ("north", 2)]
    with pytest.raises(InvalidInput):
        await update_department(tenant.id, top, parent_id=north, move=True)
    with pytest.raises(Conflict):
        await delete_department(tenant.id, sales)
    with pytest.raises(Conflict):
        await create_department(tenant.id, "hr", {"en": "Again"})
    await update_department(tenant.id, north, parent_id=None, move=True, name={"en": "North!"})
    await delete_department(tenant.id, sales)
    assert [(d["key"], d["name"]["en"]) for d in await list_departments(tenant.id) if d["depth"] == 0] == [("north", "North!"), ("top", "Top")]


async def test_two_moves_at_once_close_no_circle(tenant_factory):
    tenant = await tenant_factory()
    a, b = [await create_department(tenant.id, key, {"en": key}) for key in "ab"]
    moves = update_department(tenant.id, a, parent_id=b, move=True), update_department(tenant.id, b, parent_id=a, move=True)
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(result, InvalidInput) for result in results) == 1
    assert len(await list_departments(tenant.id)) == 2


# ---- operators -----------------------------------------------------------------------------------------------------------------


async def test_operators_sign_in_with_a_second_factor(database):
    operator = await create_operator("op@x.example", PASSWORD)
    assert await authenticate_operator("OP@x.example", PASSWORD) == operator
    offer = new_offer(operator, account="op@x.example", issuer="Console")
    assert offer.address.startswith("otpauth://") and offer.secret not in offer.sealed
    with pytest.raises(InvalidInput):
        await enable_operator_factor(operator, offer.sealed, "000000" if pyotp.TOTP(offer.secret).now() != "000000" else "111111")
    code = pyotp.TOTP(offer.secret).now()
    recovery = await enable_operator_factor(operator, offer.sealed, code)
    with pytest.raises(Conflict):
        await enable_operator_factor(operator, offer.sealed, code)
    with pytest.raises(SecondFactorNeeded):
        await authenticate_operator("op@x.example", PASSWORD)
    with pytest.raises(WrongCode):
        await authenticate_operator("op@x.example", PASSWORD, totp=code)  # the one of setting up is used already
    assert await authenticate_operator("op@x.example", PASSWORD, totp=recovery[0].lower().replace("-", " ")) == operator
    with pytest.raises(WrongCode):
        await authenticate_operator("op@x.example", PASSWORD, totp=recovery[0])
    step, _csrf, _expires = await open_operator_session(operator, "step")
    assert await find_operator_session(step) is None and await is_operator_step(step)
    assert await finish_operator_step(step, recovery[1]) == operator
    with pytest.raises(NotAuthenticated):
        await finish_operator_step(step, recovery[2])
    with pytest.raises(Conflict):
        await create_operator("op@x.example", PASSWORD)


async def test_operators_guess_codes_five_times(database):
    operator = await create_operator("guess@x.example", PASSWORD)
    offer = new_offer(operator, account="guess@x.example", issuer="Console")
    recovery = await enable_operator_factor(operator, offer.sealed, pyotp.TOTP(offer.secret).now())
    for _ in range(5):
        with pytest.raises(WrongCode):
            await authenticate_operator("guess@x.example", PASSWORD, totp="AAAA-AAAA-AAAA-AAAA")
    with pytest.raises(TooManyRequests):
        await authenticate_operator("guess@x.example", PASSWORD, totp=recovery[0])


async def test_operators_look_after_each_other_not_themselves(database):
    boss, other = await create_operator("boss@x.example", PASSWORD), await create_operator("other@x.example", PASSWORD, role="read")
    token, _, _ = await open_operator_session(other)
    assert not (await find_operator_session(token)).may_change
    with pytest.raises(Conflict):
        await change_operator(boss, actor_id=boss, active=False)
    with pytest.raises(InvalidInput):
        await change_operator(other, actor_id=boss, role="god")
    await change_operator(other, actor_id=boss, role="full")
    assert await find_operator_session(token) is None
    await change_operator(other, actor_id=boss, active=False)
    with pytest.raises(NotAuthenticated):
        await authenticate_operator("other@x.example", PASSWORD)
    async with system_transaction("operator_console") as conn:
        data = [json.loads(d) for d in await conn.fetchval("SELECT array_agg(data ORDER BY at) FROM operator_audit WHERE kind = 'operator.changed' AND operator_id = $1", boss)]
    await change_operator(other, actor_id=boss, active=True)
    answers = await asyncio.gather(change_operator(boss, actor_id=other, active=False), change_operator(other, actor_id=boss, role="read"), return_exceptions=True)
    assert sorted(type(a).__name__ for a in answers) == ["NoneType", "PermissionDenied"], "one of them is left"
    for one in (boss, other):
        await reset_operator_factor(one, reactivate=True)
        assert next(o for o in await list_operators() if o["id"] == one)["status"] == "active"
    assert data[0]["before"]["role"] == "read" and data[0]["after"]["role"] == "full" and data[1]["after"]["status"] == "inactive"


@pytest.mark.parametrize("email", ["lock@x.example", "unknown@x.example"])
async def test_operators_lock_alike_known_or_not(database, email):
    if email.startswith("lock"):
        await create_operator(email, PASSWORD)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await authenticate_operator(email, "wrong password")
    with pytest.raises(TooManyRequests):
        await authenticate_operator(email, PASSWORD)


async def test_operator_sessions_end(database):
    operator = await create_operator("session@x.example", PASSWORD)
    token, csrf, _ = await open_operator_session(operator)
    info = await find_operator_session(token)
    assert info.id == operator and info.csrf_secret == csrf
    await close_operator_session(token)
    assert await find_operator_session(token) is None


async def test_the_app_role_sees_no_operators(tenant_factory):
    import asyncpg

    tenant = await tenant_factory()
    for table in ("operator_account", "operator_session", "operator_audit"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_transaction(tenant.id) as conn:
                await conn.fetch(f"TABLE {table}")
