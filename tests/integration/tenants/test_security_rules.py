"""Rules of a tenant for passwords and second factors, where they are kept and where they count."""

from __future__ import annotations

import pytest

from saas.db import tenant_transaction
from saas.errors import InvalidInput
from saas.tenants import (
    SecurityRules,
    change_password,
    create_user,
    find_session,
    get_security_rules,
    list_audit,
    open_session,
    set_password,
    set_security_rules,
)
from saas.tenants.rules import is_common, is_personal


def codes(caught) -> list[str]:
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("password", "expected"), [("password", True), ("PassWord1!", True), ("qwertyuiop", True), ("aaaaaaaaaaa", True), ("iloveyou2024", True), ("correct horse battery", False), ("天地玄黄宇宙洪荒", False)]
)
def test_common_passwords(password, expected):
    assert is_common(password) is expected


@pytest.mark.parametrize(
    ("password", "name", "email", "expected"),
    [
        ("My-Katherine-77", "Katherine Li", "k@x.example", True), ("xx katherine", "KATHERINE Li", "k@x.example", True), ("Katherineli1", "Kat Herine Li", "k@x.example", True),
        ("sales.team rocks", "A B", "sales.team@acme.example", True), ("王小明的密码很长", "王小明", "w@x.example", True), ("nothing of theirs", "Katherine Li", "k@x.example", False), ("a silly thing", "Li Bo", "li@x.example", False),
    ],
)  # fmt: skip
def test_passwords_with_the_persons_name(password, name, email, expected):
    assert is_personal(password, name, email) is expected


async def test_the_rules_count_wherever_a_password_is_set(tenant_factory):
    tenant = await tenant_factory()
    await set_security_rules(tenant.id, SecurityRules(minimum_length=24), actor_id=tenant.admin_id)
    for attempt in (
        lambda: create_user(tenant.id, "new@x.example", "only twenty characters", "New", ["sales"]),
        lambda: set_password(tenant.id, tenant.admin_id, "only twenty characters"),
        lambda: change_password(tenant.id, tenant.admin_id, tenant.admin_password, "only twenty characters"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await attempt()
        assert codes(caught) == ["too_short"] and "24" in str(caught.value.problems[0].message)
    await change_password(tenant.id, tenant.admin_id, tenant.admin_password, "more than twenty four characters")


async def test_they_can_be_switched_off_one_by_one_and_belong_to_one_tenant(tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    await set_security_rules(one.id, SecurityRules(refuse_common=False, refuse_personal=False))
    await set_password(one.id, one.admin_id, "password1")
    await set_password(one.id, one.admin_id, f"{one.admin_email}x")
    for password, code in (("password1", "too_common"), (f"{two.admin_email}x", "personal"), (two.admin_email, "too_simple")):
        with pytest.raises(InvalidInput) as caught:
            await set_password(two.id, two.admin_id, password)
        assert codes(caught) == [code]


@pytest.mark.parametrize("rules", [SecurityRules(minimum_length=7), SecurityRules(minimum_length=65), SecurityRules(maximum_days=0), SecurityRules(maximum_days=1001)])
async def test_rules_that_are_none(tenant_factory, rules):
    tenant = await tenant_factory()
    with pytest.raises(InvalidInput):
        await set_security_rules(tenant.id, rules)
    assert await get_security_rules(tenant.id) == SecurityRules()


async def test_an_old_password_must_be_changed_and_not_to_itself(tenant_factory):
    tenant = await tenant_factory()
    token, _csrf, _expires = await open_session(tenant.id, tenant.admin_id)
    await set_security_rules(tenant.id, SecurityRules(maximum_days=90))
    assert not (await find_session(tenant.id, token)).user.must_change_password
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE app_user SET password_changed_at = now() - interval '91 days'")
    session = await find_session(tenant.id, token)
    assert session.user.must_change_password
    with pytest.raises(InvalidInput) as caught:
        await change_password(tenant.id, tenant.admin_id, tenant.admin_password, tenant.admin_password)
    assert codes(caught) == ["unchanged"]
    await change_password(tenant.id, tenant.admin_id, tenant.admin_password, "quite another secret", keep_session=session.id)
    assert not (await find_session(tenant.id, token)).user.must_change_password


async def test_who_needs_a_second_factor(tenant_factory):
    tenant = await tenant_factory()
    seller = await create_user(tenant.id, "seller@x.example", tenant.admin_password, "Seller", ["sales"])
    tokens = {who: (await open_session(tenant.id, who))[0] for who in (tenant.admin_id, seller)}
    for rules, expected in (
        (SecurityRules(), {tenant.admin_id: False, seller: False}),
        (SecurityRules(second_factor_roles=("admin",)), {tenant.admin_id: True, seller: False}),
        (SecurityRules(second_factor_for_all=True), {tenant.admin_id: True, seller: True}),
    ):
        await set_security_rules(tenant.id, rules, actor_id=tenant.admin_id)
        assert {who: (await find_session(tenant.id, token)).user.needs_second_factor for who, token in tokens.items()} == expected
    kinds = [(e["kind"], e["data"]) for e in await list_audit(tenant.id) if e["kind"] == "security.changed"]
    assert kinds[0] == ("security.changed", {"second_factor_for_all": True, "second_factor_roles": []})
