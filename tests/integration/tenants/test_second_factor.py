"""The second factor on a real database: setting up, one use for each code, counting wrong ones, recovery, switching off."""

from __future__ import annotations

import asyncio
import time

import pyotp
import pytest

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidInput, NotAuthenticated, SecondFactorNeeded, TooManyRequests, WrongCode
from saas.tenants import (
    authenticate,
    begin_second_step,
    change_password,
    confirm_person,
    create_user,
    enable_second_factor,
    find_session,
    finish_second_step,
    get_second_factor,
    is_second_step,
    list_audit,
    offer_second_factor,
    open_session,
    remove_second_factor,
    renew_recovery_codes,
    set_password,
    update_user,
)


class Phone:
    """An authenticator app. `code()` is one that was not used yet: that of now, or of the half minute after the last one given."""

    def __init__(self, secret: str) -> None:
        self.totp, self.last = pyotp.TOTP(secret), int(time.time()) // 30 - 1

    def code(self) -> str:
        self.last = max(self.last + 1, int(time.time()) // 30)
        return self.totp.generate_otp(self.last)

    def wrong(self) -> str:
        near = {self.totp.generate_otp(int(time.time()) // 30 + offset) for offset in range(-3, 4)}
        return next(text for text in (f"{number:06}" for number in range(10)) if text not in near)


@pytest.fixture
async def protected(tenant_factory):
    """(tenant, phone, recovery codes) of an administrator with a second factor."""
    tenant = await tenant_factory()
    offer = offer_second_factor(tenant.id, tenant.admin_id, account=tenant.admin_email, issuer="Acme: 50% & more")
    phone = Phone(offer.secret)
    codes = await enable_second_factor(tenant.id, tenant.admin_id, offer.sealed, phone.code())
    return tenant, phone, codes


async def sign_in(tenant, code):
    return await authenticate(tenant.id, tenant.admin_email, tenant.admin_password, code=code)


async def test_the_password_alone_is_not_enough_any_more(protected):
    tenant, phone, _codes = protected
    with pytest.raises(SecondFactorNeeded):
        await sign_in(tenant, None)
    assert await sign_in(tenant, phone.code()) == tenant.admin_id


async def test_whether_there_is_a_second_factor_shows_only_after_a_right_password(protected):
    tenant, phone, _codes = protected
    for code in (None, phone.code()):
        with pytest.raises(NotAuthenticated) as caught:
            await authenticate(tenant.id, tenant.admin_email, "a wrong password", code=code)
        assert type(caught.value) is NotAuthenticated


async def test_a_code_opens_once_also_that_of_setting_up(protected):
    tenant, phone, _codes = protected
    used = phone.totp.generate_otp(phone.last)
    with pytest.raises(WrongCode):
        await sign_in(tenant, used)
    code = phone.code()
    results = await asyncio.gather(*(sign_in(tenant, code) for _ in range(3)), return_exceptions=True)
    assert sorted(type(r).__name__ for r in results) == ["UUID", "WrongCode", "WrongCode"]


async def test_old_and_future_codes_are_none(protected):
    tenant, phone, _codes = protected
    now = int(time.time()) // 30
    for step in (now - 5, now + 5):
        with pytest.raises(WrongCode):
            await sign_in(tenant, phone.totp.generate_otp(step))


async def test_a_recovery_code_opens_once_as_people_type_it(protected):
    tenant, _phone, codes = protected
    assert len(codes) == len(set(codes)) == 10
    assert await sign_in(tenant, f" {codes[0].lower().replace('-', ' ')} ") == tenant.admin_id
    with pytest.raises(WrongCode):
        await sign_in(tenant, codes[0])
    assert (await get_second_factor(tenant.id, tenant.admin_id)).codes_left == 9
    renewed = await renew_recovery_codes(tenant.id, tenant.admin_id)
    with pytest.raises(WrongCode):
        await sign_in(tenant, codes[1])
    assert await sign_in(tenant, renewed[0]) == tenant.admin_id


async def test_wrong_codes_lock_the_account_and_right_passwords_between_do_not_help(protected):
    tenant, phone, _codes = protected
    for _ in range(5):
        with pytest.raises(SecondFactorNeeded):
            await sign_in(tenant, None)  # sets no count back
        with pytest.raises(WrongCode):
            await sign_in(tenant, phone.wrong())
    for code in (None, phone.code()):
        with pytest.raises(TooManyRequests):
            await sign_in(tenant, code)


async def test_guesses_at_once_are_five(protected):
    tenant, phone, _codes = protected
    steps = [await begin_second_step(tenant.id, tenant.admin_id) for _ in range(3)]
    wrong = phone.wrong()
    results = await asyncio.gather(*(finish_second_step(tenant.id, step, wrong) for step in steps * 5), return_exceptions=True)
    assert sum(isinstance(r, WrongCode) for r in results) <= 5
    assert all(isinstance(r, (WrongCode, TooManyRequests)) for r in results)
    with pytest.raises(TooManyRequests):
        await finish_second_step(tenant.id, steps[0], phone.code())


async def test_right_passwords_alone_never_lock(protected):
    tenant, phone, _codes = protected
    for _ in range(8):
        with pytest.raises(SecondFactorNeeded):
            await sign_in(tenant, None)
    assert await sign_in(tenant, phone.code()) == tenant.admin_id


async def test_a_pending_second_step_is_no_session_and_is_used_up(protected, tenant_factory):
    tenant, phone, _codes = protected
    other = await tenant_factory()
    code = phone.code()
    step = await begin_second_step(tenant.id, tenant.admin_id)
    assert await find_session(tenant.id, step) is None
    assert await is_second_step(tenant.id, step) and not await is_second_step(other.id, step)
    session, _csrf, _expires = await open_session(tenant.id, tenant.admin_id)
    for token in (session, "", "nonsense"):
        with pytest.raises(NotAuthenticated):
            await finish_second_step(tenant.id, token, code)
    assert await finish_second_step(tenant.id, step, code) == tenant.admin_id
    with pytest.raises(NotAuthenticated):
        await finish_second_step(tenant.id, step, code)


@pytest.mark.parametrize("how", ["time", "password", "inactive", "reset"])
async def test_a_pending_second_step_ends(protected, how):
    tenant, phone, _codes = protected
    step = await begin_second_step(tenant.id, tenant.admin_id)
    if how == "time":
        async with tenant_transaction(tenant.id) as conn:
            await conn.execute("UPDATE sign_in_step SET expires_at = now() - interval '1 second'")
    elif how == "password":
        await set_password(tenant.id, tenant.admin_id, "quite another secret")
    elif how == "inactive":
        await update_user(tenant.id, tenant.admin_id, {"status": "inactive"})
    else:
        await remove_second_factor(tenant.id, tenant.admin_id, actor_id=None)
    with pytest.raises(NotAuthenticated):
        await finish_second_step(tenant.id, step, phone.code())


async def test_the_secret_is_stored_encrypted_and_bound_to_its_person(protected):
    tenant, phone, codes = protected
    async with tenant_transaction(tenant.id) as conn:
        secret = await conn.fetchval("SELECT secret FROM second_factor")
        hashes = [row["code_hash"] for row in await conn.fetch("SELECT code_hash FROM recovery_code")]
    assert phone.totp.secret.encode() not in secret and not any(code.encode() in h for code in codes for h in hashes)
    thief = await create_user(tenant.id, "thief@x.example", tenant.admin_password, "Thief", ["admin"])
    async with tenant_transaction(tenant.id) as conn:  # a secret copied into another person's row opens nothing
        await conn.execute("INSERT INTO second_factor (tenant_id, user_id, secret, last_step) SELECT tenant_id, $1, secret, 0 FROM second_factor", thief)
    with pytest.raises(WrongCode):
        await authenticate(tenant.id, "thief@x.example", tenant.admin_password, code=phone.code())


async def test_an_offer_is_for_one_person_and_an_hour(tenant_factory, monkeypatch):
    tenant = await tenant_factory()
    other = await create_user(tenant.id, "other@x.example", tenant.admin_password, "Other", ["admin"])
    offer = offer_second_factor(tenant.id, tenant.admin_id, account="a", issuer="b")
    for sealed in (offer.sealed, "", "é", "AAAA", offer.sealed[:-4]):
        with pytest.raises(Conflict):
            await enable_second_factor(tenant.id, other, sealed, pyotp.TOTP(offer.secret).now())
    with pytest.raises(InvalidInput):
        await enable_second_factor(tenant.id, tenant.admin_id, offer.sealed, Phone(offer.secret).wrong())
    now = time.time()
    monkeypatch.setattr("saas.tenants.totp.time.time", lambda: now + 3700)
    with pytest.raises(Conflict):
        await enable_second_factor(tenant.id, tenant.admin_id, offer.sealed, pyotp.TOTP(offer.secret).at(now + 3700))
    assert await get_second_factor(tenant.id, tenant.admin_id) is None


async def test_grave_acts_need_password_and_code(protected):
    tenant, phone, _codes = protected
    for password, code, field in ((tenant.admin_password, "", "code"), (tenant.admin_password, phone.wrong(), "code"), ("wrong password", phone.code(), "password")):
        with pytest.raises(InvalidInput) as caught:
            await confirm_person(tenant.id, tenant.admin_id, password, code)
        assert caught.value.problems[0].field == field
    await change_password(tenant.id, tenant.admin_id, tenant.admin_password, "quite another secret")
    with pytest.raises(SecondFactorNeeded):
        await authenticate(tenant.id, tenant.admin_email, "quite another secret")


async def test_a_reset_by_somebody_else_signs_the_person_out_and_is_audited(protected):
    tenant, _phone, _codes = protected
    boss = await create_user(tenant.id, "boss@x.example", tenant.admin_password, "Boss", ["admin"])
    session, _csrf, _expires = await open_session(tenant.id, tenant.admin_id)
    await remove_second_factor(tenant.id, tenant.admin_id, actor_id=boss)
    assert await find_session(tenant.id, session) is None
    assert await sign_in(tenant, None) == tenant.admin_id
    [event] = [e for e in await list_audit(tenant.id) if e["kind"] == "second_factor.reset"]
    assert event["actor_id"] == boss and event["target"] == str(tenant.admin_id)
