"""Who may shape the configuration but is no administrator cannot make themselves one."""

from __future__ import annotations

import pytest
import pytest_asyncio

from saas.errors import PermissionDenied
from saas.metadata import edits, store
from saas.runtime import configuration
from tests.factories import make_lab, rich_bundle


@pytest_asyncio.fixture
async def lab(database):
    raw = edits.put(rich_bundle(), "roles[seller].settings", ["config"])
    made = await make_lab(raw, people=False)
    await made.person("shaper", ["seller"])
    return made


@pytest.mark.parametrize(
    ("path", "value"),
    [("roles[seller].admin", True), ("roles[seller].settings", ["config", "users"]), ("roles[seller].settings", ["*"]), ("roles[mine]", {"key": "mine", "label": {"en": "Mine"}, "admin": True, "entities": {}})],
)
async def test_a_role_that_holds_more_is_refused_to_them_and_not_to_administrators(lab, path, value):
    raw = edits.put((await store.revision(lab.tenant_id)).bundle, path, value)
    with pytest.raises(PermissionDenied):
        await configuration.publish(await lab.ctx("shaper"), raw=raw)
    plan = await configuration.make_plan(await lab.ctx("shaper"), raw)
    with pytest.raises(PermissionDenied):
        await configuration.publish(await lab.ctx("shaper"), plan_id=plan.id)
    assert (await store.revision(lab.tenant_id)).number == 1
    assert (await configuration.publish(await lab.ctx(), raw=raw)).number == 2


async def test_nobody_is_moved_into_such_a_role(lab):
    raw = edits.put((await store.revision(lab.tenant_id)).bundle, "entities[account].label.en", "Client")
    data = [{"do": "role", "from": "seller", "to": "admin"}]
    with pytest.raises(PermissionDenied):
        await configuration.publish(await lab.ctx("shaper"), raw=raw, data=data)
    assert (await configuration.publish(await lab.ctx("shaper"), raw=raw)).number == 2  # all else is theirs to change
