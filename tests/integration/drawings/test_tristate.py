"""The three-state box: what can be pressed is a transition, done through the same door, in lists and on the record's page."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle, problems_of
from saas.runtime import operations as ops
from saas.ui import tristate
from tests.drawing_bundle import drawing_bundle
from tests.integration.drawings.test_drawn_records import designer


async def test_boxes_are_transitions(atelier, http):
    good, plain = str(await atelier.make("project", name="Boxed one", finished="2026-01-05")), str(await atelier.make("project", name="Boxed two"))
    desk = await designer(atelier, http)
    listed = (await desk.get("/r/project?q=Boxed")).text
    row = listed.partition(f'data-record-id="{good}"')[2].partition("</tr>")[0]
    assert 'data-state="open"' in row and f'formaction="/r/project/{good}/transitions/succeed"' in row and 'data-transition="fail"' in row and 'form="moves"' in row and 'id="moves"' in listed
    page = (await desk.get(f"/r/project/{good}")).text
    assert page.count('data-transition="succeed"') == 1 and 'class="path"' not in page  # the box stands for button and path
    done = await desk.post(f"/r/project/{good}/transitions/succeed", {"next": "/r/project?q=Boxed"})
    assert (done.status_code, done.headers["location"]) == (303, "/r/project?q=Boxed")
    assert (await atelier.get("project", good)).state == "good"
    row = (await desk.get("/r/project?q=Boxed")).text.partition(f'data-record-id="{good}"')[2].partition("</tr>")[0]
    assert 'data-state="good"' in row and 'data-transition="reopen"' in row and 'data-transition="fail"' not in row
    refused = await desk.post(f"/r/project/{plain}/transitions/succeed", {"next": "/r/project"})
    assert refused.status_code == 422 and "Say when it was finished" in refused.text and (await atelier.get("project", plain)).state == "open"
    reader = type(desk)(http, desk.tenant) if hasattr(desk, "tenant") else await designer(atelier, http)
    await reader.sign_in(f"reader@{atelier.slug}.example", "correct horse battery")
    seen = (await reader.get("/r/project?q=Boxed")).text
    assert 'data-state="good"' in seen and "data-transition" not in seen


def test_what_is_foretold_is_asked_about_first():
    """A box whose transition makes a record opens the dialog that shows it, like the button does."""
    raw = drawing_bundle()
    next(t for t in raw["pipelines"][0]["transitions"] if t["key"] == "fail")["effects"] = [{"action": "create_from", "entity": "contact", "values": {"name": "name"}}]
    entity = Config(parse_bundle(raw)).entity("project")
    offers = tuple(ops.TransitionOffer(t.key, t.key, t.to) for t in entity.pipeline.transitions if t.key != "reopen")
    now = datetime.now(UTC)
    record = ops.Record(UUID(int=1), "project", 1, now, None, now, None, None, None, "open", None, {}, {}, ops.Can(transitions=offers))
    assert {b.key: b.direct for b in tristate.boxes("en", entity, record) if b.key} == {"succeed": True, "fail": False}


def test_a_box_needs_three_states():
    raw = drawing_bundle()
    raw["pipelines"][0]["stages"].append({"key": "more", "label": {"en": "More"}, "kind": "open"})
    assert "entities[project].fields[state].widget" in {p.path for p in problems_of(raw)}
