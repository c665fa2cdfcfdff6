"""Somebody forgot their company's address."""

from __future__ import annotations

import pytest

from saas.tenants import create_user, workspaces
from saas.tenants.mail import send_due
from tests.conftest import PASSWORD
from tests.mailbox import text_of


@pytest.fixture(autouse=True)
def quick_answer(monkeypatch):
    monkeypatch.setattr(workspaces, "ANSWER_SECONDS", 0.0)


async def test_addresses_come_by_mail_only(apex, box, tenant_factory):
    one, two, three = [await tenant_factory() for _ in range(3)]
    for tenant in (one, two):
        await create_user(tenant.id, "mia@x.example", PASSWORD, "Mia", ["sales"])
    await create_user(three.id, "mia@x.example", "", "Mia cannot sign in there", ["sales"])
    texts = set()
    for email in ("mia@x.example", "nobody@x.example", "no address"):
        answer = await apex.post("/find", {"email": email}, **{"x-forwarded-host": "evil.example"})
        assert answer.status_code == 200
        texts.add(answer.text.replace(email, "X"))
    assert len(texts) == 1 and not any(t.slug in texts.pop() for t in (one,))
    await send_due()
    assert [m["to"].addresses[0].addr_spec for m in box.messages] == ["mia@x.example"]
    for kind in ("plain", "html"):
        text = text_of(box.messages[0], kind)
        assert f"http://{one.slug}.localhost:8000/login" in text and f"http://{two.slug}.localhost:8000/login" in text
        assert three.slug not in text and "evil" not in text


async def test_asking_often_is_in_vain(apex, box, tenant_factory):
    tenant = await tenant_factory()
    statuses = [(await apex.post("/find", {"email": tenant.admin_email})).status_code for _ in range(workspaces.PER_NETWORK.most + 2)]
    assert set(statuses[: workspaces.PER_NETWORK.most]) == {200} and set(statuses[workspaces.PER_NETWORK.most :]) == {429}
    await send_due()
    assert len(box.to(tenant.admin_email)) == workspaces.PER_EMAIL.most
    for host in (f"{tenant.slug}.localhost", "operator.localhost"):
        assert (await apex.post("/find", {"email": tenant.admin_email}, host)).status_code == 404
    assert (await apex.post("/find", {"email": tenant.admin_email}, origin="https://evil.example")).status_code == 403
