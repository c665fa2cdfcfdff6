"""Effects on the outside: written with what causes them, sent by a worker, seen exactly once by whoever keeps the keys."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound, PermissionDenied
from saas.runtime import outbox
from saas.runtime.outbox.messages import BACK_OFF, MAX_ATTEMPTS
from saas.runtime.outbox.queue import AT_ONCE, claim_next, mark_failed, mark_sent
from tests.conftest import ROOT
from tests.factories import make_lab
from tests.integration.outbox.dying import STEPS
from tests.integration.outbox.receiver import Receiver, receiving


@pytest_asyncio.fixture
async def receiver(database) -> AsyncIterator[Receiver]:
    async with receiving() as found:
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", found.port)}))
        yield found
        database.settings = before


@pytest_asyncio.fixture(scope="module")
async def quiet(database):
    return await make_lab(people=False)


@pytest_asyncio.fixture
async def firm(quiet, settings):
    """The module's tenant, with nothing waiting anywhere: other tests leave messages, too."""
    everybody = await asyncpg.connect(settings.database_url)
    await everybody.execute("UPDATE outbox SET status = 'cancelled' WHERE status IN ('queued', 'sending')")
    await everybody.close()
    return quiet


async def put(lab, receiver: Receiver, key: str, **more):
    async with tenant_transaction(lab.tenant_id) as conn:
        return await outbox.put(conn, kind="http", key=key, payload={"method": "POST", "url": f"{receiver.url}/hook", "body": {"key": key}, **more})


async def make_due(lab) -> None:
    """As if the time of leases and pauses had gone by."""
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE outbox SET due_at = now() - interval '1 second' WHERE tenant_id = $1 AND status IN ('queued', 'sending')", lab.tenant_id)


async def message(lab, message_id):
    return await outbox.get_message(await lab.system(), message_id)


async def test_it_leaves_with_the_transaction_and_not_without(firm, receiver):
    with pytest.raises(RuntimeError):
        async with tenant_transaction(firm.tenant_id) as conn:
            await outbox.put(conn, kind="http", key="undone", payload={"url": f"{receiver.url}/undone"})
            raise RuntimeError
    first = await put(firm, receiver, "done", headers={"Authorization": "Bearer secret"})
    assert await put(firm, receiver, "done") == first  # the effect has a name: it is not caused twice
    assert await outbox.send_due() == 1
    [asked] = receiver.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/hook", '{"key": "done"}')
    assert asked.headers["idempotency-key"] == str(first) and asked.headers["authorization"] == "Bearer secret"
    shown = await message(firm, first)
    assert (shown.status, shown.attempts, shown.reply, shown.payload["headers"]) == ("sent", 1, "200 seen", "…")


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_it_is_seen_once(step, firm, receiver, settings):
    sent = await put(firm, receiver, f"killed when {step}")
    environ = {**os.environ, "DATABASE_URL": settings.database_url, "SAAS_SECRET_KEY": settings.secret_key, "SAAS_DATA_DIR": str(settings.data_dir), "SAAS_OUTBOUND_ALLOW": f"127.0.0.1:{receiver.port}"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.integration.outbox.dying", step, env=environ, cwd=ROOT, stderr=subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert (await message(firm, sent)).status == ("sent" if step == "marked" else "sending")
    assert await outbox.send_due() == 0  # whoever has it may still be alive
    await make_due(firm)
    await outbox.send_due()
    assert list(receiver.effects) == [str(sent)]
    assert len(receiver.asked) == (1 if step in ("claimed", "marked") else 2)
    assert (await message(firm, sent)).status == "sent"


async def test_a_receiver_with_a_problem_is_asked_again_and_one_that_refuses_is_not(firm, receiver):
    receiver.answer = lambda asked: {"/busy": "503 Busy", "/later": "429 Later", "/bad": "422 No"}[asked.path]
    ids = {path: await put(firm, receiver, f"to {path}", url=f"{receiver.url}{path}") for path in ("/busy", "/later", "/bad")}
    away = await put(firm, receiver, "to nobody", url="http://127.0.0.1:4999/")
    assert await outbox.send_due() == 4
    found = {name: await message(firm, i) for name, i in {**ids, "away": away}.items()}
    assert [found[n].status for n in ("/busy", "/later", "/bad", "away")] == ["queued", "queued", "failed", "failed"]
    assert found["/bad"].reply == "422 seen" and "private network" in found["away"].problem
    waits = [(found[n].due_at - found[n].created_at).total_seconds() for n in ("/busy", "/later")]
    assert BACK_OFF[0] <= waits[0] < BACK_OFF[0] + 30 and waits[1] >= 900  # it said how long
    receiver.answer = lambda _asked: "204 Done"
    await make_due(firm)
    assert await outbox.send_due() == 2
    assert set(receiver.effects) == {str(ids["/busy"]), str(ids["/later"])}
    admin = await firm.ctx()
    with pytest.raises(Conflict):
        await outbox.cancel(admin, ids["/busy"])
    assert (await outbox.retry(admin, ids["/bad"])).status == "queued"
    assert await outbox.send_due() == 1 and str(ids["/bad"]) in receiver.effects
    assert (await outbox.cancel(admin, away)).status == "cancelled"


async def test_after_so_many_attempts_it_is_given_up(firm, receiver):
    receiver.answer = lambda _asked: "500 No"
    lost = await put(firm, receiver, "never")
    for _ in range(MAX_ATTEMPTS):
        await make_due(firm)
        await outbox.send_due()
    found = await message(firm, lost)
    assert (found.status, found.attempts, len(receiver.asked)) == ("failed", MAX_ATTEMPTS, MAX_ATTEMPTS)
    assert {a.headers["idempotency-key"] for a in receiver.asked} == {str(lost)}


async def test_a_slow_sender_undoes_nothing_of_the_next_one(firm, receiver):
    kept = await put(firm, receiver, "twice claimed")
    slow = await claim_next()
    await make_due(firm)
    quick = await claim_next()
    assert slow.id == quick.id == kept and (slow.attempt, quick.attempt) == (1, 2)
    await mark_failed(slow, "timeout", "", for_good=True)
    assert (await message(firm, kept)).status == "sending"
    await mark_sent(quick, "200")
    await mark_failed(slow, "timeout", "", for_good=True)
    assert (await message(firm, kept)).status == "sent"


async def test_a_tenant_with_very_many_keeps_nobody_waiting(firm, receiver):
    for n in range(AT_ONCE + 3):
        await put(firm, receiver, f"many {n}")
    other = await make_lab(people=False)
    await put(other, receiver, "only one")
    claims = [await claim_next() for _ in range(AT_ONCE + 2)]
    taken = [c.tenant_id for c in claims if c is not None]
    assert other.tenant_id in taken[:2]
    assert taken.count(firm.tenant_id) == AT_ONCE  # so many at once, whoever asks
    await put(other, receiver, "another")
    assert (await claim_next()).tenant_id == other.tenant_id


async def test_senders_that_look_at_the_same_moment_find_one_each(firm, receiver):
    for n in range(AT_ONCE + 1):
        await put(firm, receiver, f"together {n}")
    claims = await asyncio.gather(*(claim_next() for _ in range(AT_ONCE)))
    assert len({c.id for c in claims if c is not None}) == AT_ONCE
    assert await claim_next() is None


async def test_who_may_see_them(firm, receiver):
    await firm.person("seller", ["seller"])
    with pytest.raises(PermissionDenied):
        await outbox.list_messages(await firm.ctx("seller"))
    mine = await put(firm, receiver, "seen")
    admin = await firm.ctx()
    assert [m.id for m in await outbox.list_messages(admin, status="queued")] == [mine]
    other = await make_lab(people=False)
    with pytest.raises(NotFound):
        await outbox.get_message(await other.system(), mine)


async def test_two_writers_of_one_effect(firm, receiver):
    """The second waits for the first and then finds its message."""
    ids = await asyncio.gather(*(put(firm, receiver, "raced") for _ in range(5)))
    assert len(set(ids)) == 1
    assert await outbox.send_due() == 1


