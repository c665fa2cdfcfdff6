"""A tenant that leaves: asked for by typing the name, read-only meanwhile, taken back, and at the end nothing left, with a proof."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from saas.db import current_database, system_transaction, tenant_transaction
from saas.errors import Conflict, NotFound, PermissionDenied
from saas.runtime import archive, configuration, execute, files
from saas.runtime import operations as ops
from saas.runtime.worker import drain
from saas.tenants import (
    authenticate,
    find_tenant,
    forget_host,
    keep_tenant,
    list_audit,
    open_session,
    remove_due,
    remove_tenant,
    request_deletion,
)
from tests.factories import PASSWORD, Lab, make_lab
from tests.integration.archive.test_round_trip import fill

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
async def lab(database) -> Lab:
    lab = await make_lab()
    await fill(lab, 7)
    return lab


async def due(lab: Lab) -> None:
    async with system_transaction("delete_tenant") as conn:
        await conn.execute("UPDATE tenant SET delete_after = now() - interval '1 second' WHERE id = $1", lab.tenant_id)


async def test_days_of_grace(lab):
    moment = await request_deletion(lab.tenant_id, actor_id=lab.people["admin"])
    assert timedelta(days=13, hours=23) < moment - datetime.now(UTC) <= timedelta(days=14)
    with pytest.raises(Conflict):
        await request_deletion(lab.tenant_id)
    row = await find_tenant(lab.slug)
    assert row.delete_after == moment and not row.is_active
    page = await execute(await lab.ctx("admin"), ops.List(entity="thing"))
    assert page.records, "reading goes on"
    with pytest.raises(PermissionDenied) as refused:
        await execute(await lab.ctx("admin"), ops.Create(entity="account", values={"name": "Late"}))
    assert refused.value.data["reason"] == "leaving"
    with pytest.raises(PermissionDenied):
        ctx = await lab.ctx("admin")
        await configuration.revert(ctx, 1, base_revision=1)
    assert (await archive.write_archive(lab.tenant_id, current_database().settings.data_dir / "leaving.zip")).rows
    assert lab.slug not in [proof.slug for proof in await remove_due()], "there is time"
    await keep_tenant(lab.tenant_id, actor_id=lab.people["admin"])
    assert (await find_tenant(lab.slug)).is_active
    await lab.make("account", name="Again")
    assert [e["kind"] for e in await list_audit(lab.tenant_id, limit=2)] == ["tenant.deletion_taken_back", "tenant.deletion_requested"]
    with pytest.raises(Conflict):
        await keep_tenant(lab.tenant_id)


async def test_at_the_end_nothing_is_left(lab):
    other = await make_lab()
    await fill(other, 8)
    held = await other.fetch("SELECT count(*) FROM record WHERE tenant_id = $1")
    root = current_database().settings.data_dir / "files"
    assert (root / str(lab.tenant_id)).is_dir()
    await request_deletion(lab.tenant_id, actor_id=lab.people["admin"])
    await due(lab)
    with pytest.raises(Conflict):
        await keep_tenant(lab.tenant_id)  # too late: somebody may be deleting it at this moment
    proofs = {proof.slug: proof for proof in await remove_due()}
    proof = proofs[lab.slug]
    assert proof.is_complete and proof.removed["record"] >= 12 and proof.files_removed == 1
    assert not list(root.glob(f"{lab.tenant_id}*"))
    with pytest.raises(NotFound):
        await find_tenant(lab.slug)
    assert await other.fetch("SELECT count(*) FROM record WHERE tenant_id = $1") == held and (root / str(other.tenant_id)).is_dir()
    async with system_transaction("doctor") as conn:
        noted = json.loads(await conn.fetchval("SELECT data FROM operator_audit WHERE kind = 'tenant.deleted' AND tenant_id_text = $1", lab.slug))
        tables = await conn.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attname = 'tenant_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') "
            "AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
        )
        for table in (row[0] for row in tables):
            assert await conn.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", lab.tenant_id) == 0  # noqa: S608
    assert noted["complete"] and set(noted["left"]) == {row[0] for row in tables} | {"tenant"} and not any(noted["left"].values()) and noted["files_left"] == 0
    assert noted["why"] == "grace is over" and noted["id"] == str(lab.tenant_id)


async def test_interrupted_between_files_and_rows_it_is_finished(lab):
    """The folder was put aside, then the process died: the next one goes on, also with what was uploaded in between."""
    root = current_database().settings.data_dir / "files"
    (root / str(lab.tenant_id)).rename(root / f"{lab.tenant_id}.deleting")
    await files.store_bytes(await lab.ctx("admin"), "late.txt", b"late")
    proof = await remove_tenant(lab.slug)
    assert proof.is_complete and proof.files_removed == 2 and not list(root.glob(f"{lab.tenant_id}*"))
    with pytest.raises(NotFound):
        await remove_tenant(lab.slug)


# ---- the tenant's own pages ------------------------------------------------------------------------------------------------


class Browser:
    def __init__(self, http, lab: Lab, token: str, csrf: str) -> None:
        self.http, self.token, self.csrf, self.headers = http, token, csrf, {"host": f"{lab.slug}.localhost"}

    async def get(self, path: str):
        return await self.http.get(path, headers={**self.headers, "cookie": f"session={self.token}"})

    async def post(self, path: str, **form: str):
        return await self.http.post(path, data={"_csrf": self.csrf, **form}, headers={**self.headers, "cookie": f"session={self.token}", "origin": f"http://{self.headers['host']}"})


async def browser(http, lab: Lab, who: str) -> Browser:
    user_id = await authenticate(lab.tenant_id, f"{who}@{lab.slug}.example", PASSWORD)
    token, csrf, _ = await open_session(lab.tenant_id, user_id, "web")
    forget_host(lab.slug)
    return Browser(http, lab, token, csrf)


async def test_an_administrator_exports_everything(http, lab):
    admin = await browser(http, lab, "admin")
    assert "No archive yet" in (await admin.get("/settings/everything")).text
    assert (await admin.post("/settings/everything")).status_code == 303
    assert (await admin.post("/settings/everything")).status_code == 303
    page = (await admin.get("/settings/everything")).text
    assert page.count("data-archive=") == 1 and "waiting" in page, "the second one was refused"
    await drain()
    page = (await admin.get("/settings/everything")).text
    url = page.partition('href="/settings/everything/')[2].partition('"')[0]
    answer = await admin.get(f"/settings/everything/{url}")
    assert answer.status_code == 200 and answer.content[:2] == b"PK" and "attachment" in answer.headers["content-disposition"] and "no-store" in answer.headers["cache-control"]
    kinds = [e["kind"] for e in await list_audit(lab.tenant_id, limit=10)]
    assert kinds[:3] == ["tenant.export_fetched", "tenant.exported", "tenant.export_started"]
    notes = await lab.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND kind = 'export_tenant'")
    assert [row[0] for row in notes] == ["The export of everything is ready"]
    # It ends: after its day it is nobody's any more, and is cleared away.
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE job SET finished_at = finished_at - interval '25 hours' WHERE tenant_id = $1 AND kind = 'export_tenant'", lab.tenant_id)
    assert (await admin.get(f"/settings/everything/{url}")).status_code == 404
    assert "no longer kept" in (await admin.get("/settings/everything")).text
    assert await archive.remove_old(lab.tenant_id) == 0 and await archive.remove_old(lab.tenant_id, hours=-1) == 1


async def test_nobody_else_does(http, lab):
    admin, seller = await browser(http, lab, "admin"), await browser(http, lab, "seller")
    await admin.post("/settings/everything")
    await drain()
    url = (await admin.get("/settings/everything")).text.partition('href="/settings/everything/')[2].partition('"')[0]
    assert (await admin.get(f"/settings/everything/{url}")).status_code == 200
    for path in ("/settings/everything", "/settings/leave", f"/settings/everything/{url}"):
        assert (await seller.get(path)).status_code == 403
    for path in ("/settings/everything", "/settings/leave", "/settings/leave/undo"):
        assert (await seller.post(path, name=(await find_tenant(lab.slug)).name)).status_code == 403
    assert (await find_tenant(lab.slug)).delete_after is None
    other = await make_lab()
    stranger = await browser(http, other, "admin")
    assert (await stranger.get(f"/settings/everything/{url}")).status_code == 404
    ctx = await lab.ctx("admin")
    with pytest.raises(PermissionDenied):
        await archive.start_archive(ctx.replace(viewer=ctx))  # through somebody else's eyes


async def test_an_administrator_asks_and_takes_it_back(http, lab):
    admin, seller = await browser(http, lab, "admin"), await browser(http, lab, "seller")
    name = (await find_tenant(lab.slug)).name
    wrong = await admin.post("/settings/leave", name="Something else")
    assert wrong.status_code == 422 and "not the name" in wrong.text and (await find_tenant(lab.slug)).delete_after is None
    assert (await admin.post("/settings/leave", name=name)).status_code == 303
    page = await seller.get("/r/thing")
    assert page.status_code == 200 and "data-leaving" in page.text and "Keep the workspace" not in page.text
    refused = await seller.post("/r/account/new", name="Late")
    assert refused.status_code == 403
    assert (await admin.post("/settings/users/new", name="N", email="n@x.example", password="long enough 1")).status_code == 403
    assert (await admin.post("/settings/everything")).status_code == 303
    await drain()
    assert 'href="/settings/everything/' in (await admin.get("/settings/everything")).text
    assert "Keep the workspace" in (await admin.get("/settings/leave")).text
    assert (await admin.post("/settings/leave/undo")).status_code == 303
    assert "data-leaving" not in (await seller.get("/r/thing")).text


async def test_programs_may_not_change_it_either(http, lab):
    user_id = lab.people["admin"]
    token, _, _ = await open_session(lab.tenant_id, user_id, "api")
    headers = {"host": f"{lab.slug}.localhost", "authorization": f"Bearer {token}"}
    started = await http.post("/api/v1/archives", headers=headers)
    assert started.status_code == 202
    await drain()
    fetched = await http.get(f"/api/v1/archives/{started.json()['job']['id']}", headers=headers)
    assert fetched.status_code == 200 and fetched.content[:2] == b"PK"
    await request_deletion(lab.tenant_id)
    assert (await http.get("/api/v1/records/thing", headers=headers)).status_code == 200
    assert (await http.post("/api/v1/records/account", json={"values": {"name": "Late"}}, headers=headers)).status_code == 403
    assert (await http.post("/api/v1/archives", headers=headers)).status_code == 202
