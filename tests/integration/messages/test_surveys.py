"""Surveys by link, and care plans: a schedule that sends."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from saas.runtime import execute, outbox, web_forms
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.runtime.surveys import survey_path
from tests.mailbox import text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_link_asks_about_one_record_once_and_a_low_score_is_noticed(club, box, http):
    member = await club.make("member", name="Asked", email="asked@x.example")
    await execute(await club.ctx(), ops.Update(entity="member", id=member, values={"level": "gold"}))
    await outbox.send_due()
    link = urlsplit(re.search(r"https?://\S+/f/happy\S+", text_of(box.to("asked@x.example")[-1]))[0])
    path, host = f"{link.path}?{link.query}", {"host": f"{club.slug}.localhost"}
    page = await http.get(path, headers=host)
    assert page.status_code == 200 and 'name="stars"' in page.text and 'name="member"' not in page.text
    ctx = await system_context(club.tenant_id, origin="form")
    form, _entity = web_forms.form_of(ctx, "happy")
    shown, later = web_forms.show(ctx, form).token, web_forms.time.time() + 9
    token = link.query.removeprefix("for=")
    about = await web_forms.asked_about(ctx, form, token)
    taken = await web_forms.submit(ctx, form, {"stars": 1, "why": "slow", "member": str(club.tenant_id)}, token=shown, trap="", answer="", ip="203.0.113.77", now=later, about=about)
    record = await club.get("rating", taken.record_id)
    assert (record.values["member"], record.values["stars"], record.values["low"]) == (str(member), 1, True)
    assert await club.fetch("SELECT 1 FROM notification WHERE tenant_id = $1 AND title = 'Somebody is unhappy'")
    assert (await http.get(path, headers=host)).status_code == 404, "once"
    with pytest.raises(web_forms.StaleForm):
        await web_forms.submit(ctx, form, {"stars": 5}, token=shown, trap="", answer="", ip="203.0.113.77", now=later, about=about)
    assert (await http.get("/f/happy", headers=host)).status_code == 404, "without a link it is nobody's"
    assert (await http.get(path[:-3] + "AAA", headers=host)).status_code == 404


async def test_a_link_ends_with_its_days_and_its_record(club, http):
    ctx = await system_context(club.tenant_id, origin="form")
    form, _entity = web_forms.form_of(ctx, "happy")
    member = await club.make("member", name="Late")
    old = survey_path(ctx.replace(fixed_now=datetime.now(UTC) - timedelta(days=11)), form, member)
    good = survey_path(ctx, form, member)
    host = {"host": f"{club.slug}.localhost"}
    assert [(await http.get(p, headers=host)).status_code for p in (old, good)] == [404, 200]
    await execute(await club.ctx(), ops.Delete(entity="member", id=member))
    assert (await http.get(good, headers=host)).status_code == 404


async def test_a_care_plan_is_a_schedule_that_sends_once_a_year(club, box):
    await club.make("member", name="Birth", email="birth@x.example", birthday="1990-05-05", level="plain")
    born = (await execute(await club.ctx(), ops.List(entity="member", q="Birth"))).records[0].id
    await execute(await club.ctx(), ops.Update(entity="member", id=born, values={"level": "gold"}))
    await outbox.send_due()
    before = len(box.to("birth@x.example"))
    for moment in ("2031-05-04T09:00:00+08:00", "2031-05-05T09:00:00+08:00", "2031-05-05T10:00:00+08:00", "2032-05-05T09:00:00+08:00"):
        await run_due(await club.system(at=datetime.fromisoformat(moment).astimezone(UTC), origin="schedule"), again=True)
    await outbox.send_due()
    assert len(box.to("birth@x.example")) == before + 2
