"""The outbox's pages, filled, filtered and empty, in both languages."""

from __future__ import annotations

import pytest

from saas.db import tenant_transaction
from saas.runtime import outbox
from saas.tenants import open_session
from tests.factories import make_lab


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_list_and_message(http, database, locale):
    lab = await make_lab(people=False, locale=locale)
    token, csrf, _expires = await open_session(lab.tenant_id, lab.people["admin"], "web")
    headers = {"host": f"{lab.slug}.localhost", "cookie": f"session={token}", "accept-language": locale.replace("_", "-")}

    async def page(path: str) -> str:
        answer = await http.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return answer.text

    assert "calm-box" in await page("/settings/runs")
    await page("/settings/outbox")
    async with tenant_transaction(lab.tenant_id) as conn:
        message = await outbox.put(conn, kind="http", key="k", payload={"url": "https://erp.example/x", "body": {"a": 1}})
        await conn.execute("UPDATE outbox SET status = 'failed', error = 'refused', reply = '422 no' WHERE tenant_id = $1", lab.tenant_id)
    assert "erp.example/x" in await page("/settings/outbox?status=failed&kind=http")
    assert "erp.example/x" not in await page("/settings/outbox?status=sent")
    assert "422 no" in await page(f"/settings/outbox/{message}")
    answer = await http.post(f"/settings/outbox/{message}/retry", headers={**headers, "sec-fetch-site": "same-origin"}, data={"_csrf": csrf})
    assert answer.status_code == 303
    assert (await outbox.get_message(await lab.system(), message)).status == "queued"
