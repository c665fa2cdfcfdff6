"""Sample people of a workspace that somebody makes for real."""

from __future__ import annotations

import pytest

from saas.db import tenant_transaction
from saas.errors import NotAuthenticated
from saas.provision import SAMPLE_PASSWORD, provision_tenant
from saas.runtime import sample_data
from saas.tenants import authenticate
from tests.factories import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nobody_signs_in_as_sample_people_and_they_take_no_seat(database, monkeypatch):
    people = [{"key": "ann", "email": "ann", "name": "Ann", "roles": ["sales"]}]
    monkeypatch.setattr(sample_data, "sample", lambda *_: {"users": people, "records": []})  # few, so that it is quick
    tenant_id = await provision_tenant("sample-people", name="Firm", pack_key="baseline-crm", locale="en", admin_email="a@firm.example", admin_password=PASSWORD, sample_data=True)
    async with tenant_transaction(tenant_id) as conn:
        assert await conn.fetchval("SELECT password_hash FROM app_user WHERE tenant_id = $1 AND sample_key = 'ann'", tenant_id) == ""
    with pytest.raises(NotAuthenticated):
        await authenticate(tenant_id, "ann@sample-people.example", SAMPLE_PASSWORD)
