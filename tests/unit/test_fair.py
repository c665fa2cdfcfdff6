"""Shares of a process: who is let in, who waits, who gives way; nothing is lost when somebody leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from saas.db import fair
from saas.db.fair import Turn
from saas.errors import TooManyRequests, Unavailable
from saas.observe.seen import Seen, outside, seeing


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fair, "_tenants", {})
    monkeypatch.setattr(fair, "_caps", fair._Caps())
    monkeypatch.setattr(fair._Load, "is_busy", lambda self, now: True)
    yield
    assert fair.figures() == {"running": 0, "slow": 0, "connections": 0, "active": 0, "parked": 0}


async def entered(tenant: UUID, count: int) -> list[Turn]:
    turns = [Turn(tenant) for _ in range(count)]
    for turn in turns:
        await turn.enter()
    return turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def close(turns: list[Turn]) -> None:
    for turn in turns:
        turn.close()


async def test_a_tenant_alone_gets_all_places_and_the_rest_wait_in_order():
    tenant = uuid4()
    held = await entered(tenant, 6)
    order: list[int] = []

    async def wait(number: int) -> None:
        turn = Turn(tenant)
        await turn.enter()
        order.append(number)
        await asyncio.sleep(0)
        turn.close()

    waiting = [asyncio.create_task(wait(number)) for number in range(9)]
    await settle()
    assert order == [] and fair.figures()["running"] == 6
    close(held)
    await asyncio.gather(*waiting)
    assert order == list(range(9))


async def test_others_are_let_in_at_once_and_the_heavy_one_gets_less(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fair, "REMEMBERED_SECONDS", 1000.0)
    heavy, light = uuid4(), uuid4()
    held = await entered(heavy, 6)
    more = [Turn(heavy) for _ in range(8)]
    waiting = [asyncio.create_task(turn.enter()) for turn in more]
    await settle()
    [other] = await asyncio.wait_for(entered(light, 1), 10)
    close(held)  # as long as the light one is there, one place is left
    await settle()
    assert sum(turn.is_held for turn in more) == 1
    for _ in more:
        assert sum(turn.is_held for turn in more) <= 1
        next(turn for turn in more if turn.is_held).close()
        await settle()
    await asyncio.gather(*waiting)
    other.close()


async def test_alone_again_it_gets_everything(monkeypatch):
    monkeypatch.setattr(fair, "REMEMBERED_SECONDS", 0.01)
    heavy, light = uuid4(), uuid4()
    held = await entered(heavy, 1)
    close(await entered(light, 1))
    await asyncio.sleep(0.05)
    held += await entered(heavy, 5)
    close(held)


async def test_too_many_are_refused_with_a_time(monkeypatch):
    monkeypatch.setattr(fair, "MOST_WAITING", 2)
    monkeypatch.setattr(fair, "WAIT_SECONDS", 0.05)
    tenant, other = uuid4(), uuid4()
    held = await entered(tenant, 6)
    waiting = [asyncio.create_task(Turn(tenant).enter()) for _ in range(5)]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, TooManyRequests) and error.data["retry_after"] > 0 for error in found)
    close(await asyncio.wait_for(entered(other, 6), 10))
    close(held)


async def test_whoever_leaves_the_line_takes_no_place_along():
    tenant = uuid4()
    held = await entered(tenant, 6)
    waiting = [asyncio.create_task(Turn(tenant).enter()) for _ in range(4)]
    await settle()
    waiting[0].cancel()
    held.pop().close()  # gives the place to the second
    waiting[1].cancel()  # at the same moment
    await settle()
    close(held)
    turns = await asyncio.wait_for(entered(tenant, 4), 10)  # two more are in by now
    for _ in range(2):
        fair._end(fair._of(tenant))  # those of the tasks that were let in
    close(turns)
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_slow_requests_keep_no_others_out():
    tenant = uuid4()
    turns = await entered(tenant, 6)
    asking = [asyncio.create_task(turn.slow()) for turn in turns]
    await settle()
    assert fair.figures()["slow"] == 3 and fair.figures()["running"] == 3
    quick = await asyncio.wait_for(entered(tenant, 3), 10)
    close(quick)
    for turn in turns:
        turn.close()
        await settle()
    await asyncio.gather(*asking)
    close(turns)


async def test_a_heavy_tenant_lets_a_light_one_go_first_but_not_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fair, "GIVE_WAY_SECONDS", 30.0)
    monkeypatch.setattr(fair, "PATIENCE_SECONDS", 60.0)
    heavy, light = uuid4(), uuid4()
    held = await entered(heavy, 4)
    fair._of(heavy).used = 4.0
    [other] = await entered(light, 1)
    assert fair.is_contended()
    what = Seen("request", tenant_id=heavy)
    with seeing(what):
        began = time.monotonic()
        waiting = asyncio.create_task(fair.give_way())
        await settle()
        assert not waiting.done()
        other.leave()
        await asyncio.wait_for(waiting, 10)
        assert time.monotonic() - began < fair.GIVE_WAY_SECONDS
        await other.enter()
        monkeypatch.setattr(fair, "GIVE_WAY_SECONDS", 0.03)
        await asyncio.wait_for(fair.give_way(), 10)  # the light one stays: after a moment the heavy one goes on
        assert 0.03 <= what.waited < fair.PATIENCE_SECONDS
        monkeypatch.setattr(fair, "GIVE_WAY_SECONDS", 30.0)
        what.waited = fair.PATIENCE_SECONDS
        await asyncio.wait_for(fair.give_way(), 10)
    with seeing(Seen("job", tenant_id=heavy, is_awaited=True, waited=fair.PATIENCE_SECONDS)):  # a request waits for this one
        await asyncio.wait_for(fair.give_way(), 10)
    with seeing(Seen("request", tenant_id=light)):
        await asyncio.wait_for(fair.give_way(), 10)
    close([*held, other])


async def test_two_alike_wait_for_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fair, "GIVE_WAY_SECONDS", 30.0)
    monkeypatch.setattr(fair, "PATIENCE_SECONDS", 60.0)
    one, other = uuid4(), uuid4()
    held = [*await entered(one, 3), *await entered(other, 3)]
    for tenant in (one, other):
        fair._of(tenant).used = 3.0
    for tenant in (one, other):
        with seeing(Seen("request", tenant_id=tenant)):
            await asyncio.wait_for(fair.give_way(), 10)
    close(held)


async def test_connections_of_a_tenant_have_an_end():
    tenant, other = uuid4(), uuid4()
    for _ in range(6):
        await fair.take_connection(tenant)
    seventh = asyncio.create_task(fair.take_connection(tenant))
    await settle()
    assert not seventh.done()
    await asyncio.wait_for(fair.take_connection(other), 10)
    fair.give_connection(other)
    fair.give_connection(tenant)
    await asyncio.wait_for(seventh, 10)
    for _ in range(6):
        fair.give_connection(tenant)


def test_the_caps_leave_room_in_the_pool():
    fair.configure(6, 10)
    assert (fair._caps.requests, fair._caps.connections) == (6, 6)
    fair.configure(50, 10)
    assert (fair._caps.requests, fair._caps.connections) == (50, 8)
    fair.configure(6, 2)
    assert fair._caps.connections == 2
    fair.configure(0, 10)
    assert not fair._caps.is_on and fair._caps.requests > 1000


async def test_who_waits_for_the_outside_leaves_the_place_and_comes_back_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fair, "MOST_WAITING", 1)
    monkeypatch.setattr(fair, "WAIT_SECONDS", 0.2)
    tenant = uuid4()
    others = await entered(tenant, 5)
    [mine] = await entered(tenant, 1)
    gone, order = asyncio.Event(), []

    async def asks() -> None:
        with seeing(Seen("request", tenant_id=tenant, turn=mine)):
            async with outside():
                await gone.wait()
            order.append("back")

    async def late() -> None:
        with pytest.raises(TooManyRequests):
            await Turn(tenant).enter()
        order.append("late")

    asking = asyncio.create_task(asks())
    await settle()
    assert fair.figures()["running"] == 5
    others += await entered(tenant, 1)
    waiting = asyncio.create_task(late())
    await settle()
    gone.set()  # the line is full and the deadline passes: neither is for who was in already
    await waiting
    assert order == ["late"] and not asking.done()
    others.pop().close()
    await asking
    assert order == ["late", "back"] and mine.is_held
    close([mine, *others])


async def test_who_comes_back_is_let_in_before_those_that_wait():
    tenant = uuid4()
    held = await entered(tenant, 6)
    held[0].leave()
    newcomer = asyncio.create_task(Turn(tenant).enter())  # takes the place that was left
    await settle()
    waiting = Turn(tenant)
    second = asyncio.create_task(waiting.enter())
    back = asyncio.create_task(held[0].enter(again=True))
    await settle()
    assert newcomer.done() and not second.done() and not back.done()
    held[1].close()
    await settle()
    assert back.done() and not second.done()
    held[2].close()
    await second
    fair._end(fair._of(tenant))  # the newcomer's
    close([*held, waiting])


async def test_a_large_upload_is_not_refused_half_way(monkeypatch: pytest.MonkeyPatch):
    """Each part comes after a while without a place; a full line and its deadline are not for it."""
    from saas.ui.watch import HELD_BYTES, Watched

    monkeypatch.setattr(fair, "MOST_WAITING", 0)
    monkeypatch.setattr(fair, "WAIT_SECONDS", 0.01)
    tenant, coming = uuid4(), asyncio.Event()
    parts = [{"type": "http.request", "body": b"x" * HELD_BYTES, "more_body": True}, {"type": "http.request", "body": b"y", "more_body": False}]

    async def receive() -> dict[str, object]:
        if len(parts) == 1:
            await coming.wait()
        return parts.pop(0)

    upload = Watched("POST", "one", "", receive)
    others = await entered(tenant, 5)
    await upload.turn_of(tenant)
    assert (await upload.receive())["more_body"]
    rest = asyncio.create_task(upload.receive())
    await settle()
    others += await entered(tenant, 1)
    coming.set()
    await asyncio.sleep(0.03)
    assert not rest.done()
    others.pop().close()
    assert (await rest)["body"] == b"y"
    close([upload.what.turn, *others])


async def test_without_a_connection_requests_are_refused_and_jobs_come_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fair, "WAIT_SECONDS", 0.01)
    tenant = uuid4()
    for _ in range(6):
        await fair.take_connection(tenant)
    with seeing(Seen("request")), pytest.raises(TooManyRequests):
        await fair.take_connection(tenant)
    with seeing(Seen("job")), pytest.raises(Unavailable):
        await fair.take_connection(tenant)
    with pytest.raises(Unavailable):
        await fair.take_connection(tenant)
    for _ in range(6):
        fair.give_connection(tenant)


async def test_a_busy_database_ends_no_heartbeat(monkeypatch: pytest.MonkeyPatch):
    from saas.runtime import jobs, worker

    answers: list[object] = [TooManyRequests(), Unavailable(), True, False]

    async def renew(_claim: object) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    monkeypatch.setattr(jobs, "renew", renew)
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.001)
    work = asyncio.create_task(asyncio.sleep(5))
    await worker._beat(None, work)  # type: ignore[arg-type]
    assert not answers and (work.cancelling() or work.cancelled())
