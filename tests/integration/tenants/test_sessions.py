"""Sign-in, lockout and sessions on a real database."""

from __future__ import annotations

import asyncio

import pytest

from saas.db import count_queries, query_count, tenant_transaction
from saas.errors import NotAuthenticated, TooManyRequests
from saas.tenants import (
    authenticate,
    change_password,
    clean_up,
    close_session,
    create_department,
    create_user,
    find_session,
    open_session,
    update_user,
)

PASSWORD = "correct horse battery"


async def test_session_carries_everything_in_one_query(tenant_factory):
    tenant = await tenant_factory()
    await create_department(tenant.id, "sales", {"en": "Sales"})
    north = await create_department(tenant.id, "north", {"en": "North"}, parent_key="sales")
    boss = await create_user(tenant.id, "boss@x.example", PASSWORD, "Boss", ["manager", "sales"], department_key="sales")
    worker = await create_user(tenant.id, "worker@x.example", PASSWORD, "Worker", ["sales"], "north", "zh_CN", boss)
    token, csrf, _ = await open_session(tenant.id, boss, "web", "127.0.0.1", "test")
    with count_queries():
        info = await find_session(tenant.id, token)
        assert query_count() == 1
    assert info.csrf_secret == csrf
    assert info.user.id == boss and info.user.role_keys == ("manager", "sales")
    assert len(info.user.department_ids) == 1 and info.user.department_id == info.user.department_ids[0]
    assert set(info.user.department_tree_ids) == {info.user.department_id, north}
    assert info.user.team_ids == (worker,)
    assert info.tenant.slug == tenant.slug and info.config_revision == 0


async def test_token_of_one_tenant_is_nothing_in_another(tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    token, _, _ = await open_session(one.id, one.admin_id)
    assert await find_session(two.id, token) is None
    assert (await find_session(one.id, token)).user.id == one.admin_id


async def test_closed_session_and_inactive_person_are_out(tenant_factory):
    tenant = await tenant_factory()
    token, _, _ = await open_session(tenant.id, tenant.admin_id, "api")
    await close_session(tenant.id, token)
    assert await find_session(tenant.id, token) is None
    token, _, _ = await open_session(tenant.id, tenant.admin_id)
    await update_user(tenant.id, tenant.admin_id, {"status": "inactive"})
    assert await find_session(tenant.id, token) is None
    with pytest.raises(NotAuthenticated):
        await authenticate(tenant.id, tenant.admin_email, tenant.admin_password)


async def test_token_is_stored_as_hash_only(tenant_factory):
    tenant = await tenant_factory()
    token, _, _ = await open_session(tenant.id, tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        row = await conn.fetchrow("SELECT * FROM session WHERE user_id = $1", tenant.admin_id)
    assert token not in repr(dict(row)) and token.encode() not in row["token_hash"]


@pytest.mark.parametrize("known", [True, False])
async def test_five_failures_lock_known_and_unknown_addresses_alike(tenant_factory, known):
    tenant = await tenant_factory()
    email = tenant.admin_email if known else "nobody@x.example"
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await authenticate(tenant.id, email, "wrong password")
    with pytest.raises(TooManyRequests) as caught:
        await authenticate(tenant.id, email, tenant.admin_password)
    assert 0 < caught.value.data["retry_after"] <= 900


async def test_lock_runs_out_and_success_resets_the_count(tenant_factory):
    tenant = await tenant_factory()
    for _ in range(4):
        with pytest.raises(NotAuthenticated):
            await authenticate(tenant.id, tenant.admin_email, "wrong password")
    assert await authenticate(tenant.id, f" {tenant.admin_email.upper()} ", tenant.admin_password) == tenant.admin_id
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE app_user SET failed_count = 5, locked_until = now() - interval '1 second'")
    with pytest.raises(NotAuthenticated):
        await authenticate(tenant.id, tenant.admin_email, "wrong password")
    assert await authenticate(tenant.id, tenant.admin_email, tenant.admin_password) == tenant.admin_id


async def test_guesses_at_once_are_counted_before_they_are_checked(tenant_factory):
    tenant = await tenant_factory()
    guesses = [authenticate(tenant.id, tenant.admin_email, f"guess {number}") for number in range(12)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(result, NotAuthenticated) for result in results) == 5
    assert sum(isinstance(result, TooManyRequests) for result in results) == 7


async def test_new_password_ends_other_sessions(tenant_factory):
    tenant = await tenant_factory()
    here, _, _ = await open_session(tenant.id, tenant.admin_id)
    there, _, _ = await open_session(tenant.id, tenant.admin_id, "api")
    mine = await find_session(tenant.id, here)
    await change_password(tenant.id, tenant.admin_id, tenant.admin_password, "another long one", keep_session=mine.id)
    assert await find_session(tenant.id, there) is None
    assert await find_session(tenant.id, here) is not None
    assert await authenticate(tenant.id, tenant.admin_email, "another long one") == tenant.admin_id


async def test_sessions_long_over_are_removed_and_others_stay(tenant_factory):
    tenant = await tenant_factory()
    await open_session(tenant.id, tenant.admin_id)
    token, _, _ = await open_session(tenant.id, tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute(
            "UPDATE session SET expires_at = now() - interval '31 days' WHERE id = (SELECT id FROM session ORDER BY created_at LIMIT 1)"
        )
    assert (await clean_up())["session"] >= 1
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM session") == 1
    assert await find_session(tenant.id, token) is not None
