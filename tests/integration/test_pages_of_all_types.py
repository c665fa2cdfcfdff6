"""Forms, lists and record pages of an entity that has a field of every type: any new type is tested here without a line."""

from __future__ import annotations

import re
from typing import Any

from saas.metadata.kinds import field_types
from saas.metadata.store import publish
from saas.runtime import Context
from saas.runtime.contexts import context_for_user
from saas.tenants import forget_host
from tests.integration.test_pages import Browser, make


def label(text: str) -> dict[str, str]:
    return {"en": text, "zh_CN": text}


SPECIAL: dict[str, dict[str, Any]] = {
    "option": {"options": [{"key": "a", "label": label("Option A")}]}, "multi": {"options": [{"key": "a", "label": label("Option A")}]},
    "score": {"min": 0, "max": 100, "bands": [{"from": 0, "label": label("Low"), "color": "red"}]}, "ref": {"to": "thing"}, "m2m": {"to": "thing"},
    "auto": {"pattern": "T-{seq:4}"}, "formula": {"returns": "text", "expr": "name"}, "rollup": {"of": "thing_f_ref", "fn": "count"}, "pipeline": {"pipeline": "steps"},
}  # fmt: skip


def bundle() -> dict[str, Any]:
    fields: list[dict[str, Any]] = [{"key": "name", "type": "text", "label": label("Name"), "required": True}]
    for kind in field_types:
        fields.append({"key": f"f_{kind.key}", "type": kind.key, "label": label(f"Field {kind.key}"), **SPECIAL.get(kind.key, {})})
    return {
        "format": 1, "pack": {"key": "all-types", "version": "1.0.0", "label": label("All types"), "description": label("All"), "icon": "box"},
        "entities": [{"key": "thing", "label": label("Thing"), "plural": label("Things"), "title": "name", "search": ["name"], "fields": fields}],
        "pipelines": [{"key": "steps", "entity": "thing", "field": "f_pipeline", "label": label("Steps"), "stages": [{"key": "one", "label": label("One"), "kind": "open"}, {"key": "two", "label": label("Two"), "kind": "done"}], "transitions": [{"key": "finish", "label": label("Finish"), "from": ["one"], "to": "two"}]}],
        "roles": [{"key": "admin", "label": label("Admin"), "admin": True}],
    }  # fmt: skip


async def test_every_field_type_can_be_typed_listed_and_shown(http, tenant_factory):
    tenant = await tenant_factory()
    await publish(tenant.id, bundle(), base_revision=0, message="all types")
    forget_host(tenant.slug)
    admin = Browser(http, f"{tenant.slug}.localhost")
    await admin.sign_in(tenant.admin_email, tenant.admin_password)
    form = await admin.get("/r/thing/new")
    assert form.status_code == 200
    computed = {k.key for k in field_types if k.computed} | {"pipeline", "auto"}
    for kind in field_types:
        if kind.key not in computed:
            assert f'data-error-for="f_{kind.key}"' in form.text, kind.key
            assert re.search(rf'name="f_{kind.key}"', form.text), kind.key
    ctx: Context = await context_for_user(tenant.id, tenant.admin_id)
    typed = {f"f_{key}": text for key, text in TYPED.items()}
    record = await make(admin, "thing", name="Full", f_user=str(ctx.user_id), f_users=["", str(ctx.user_id)], f_option="a", f_multi=["", "a"], **typed)
    child = await make(admin, "thing", name="Child", f_ref=record, f_m2m=["", record])
    for path in (f"/r/thing/{record}", f"/r/thing/{record}/edit", f"/r/thing/{child}", f"/r/thing/{child}/edit", "/r/thing/board"):
        answer = await admin.get(path)
        assert answer.status_code == 200, (path, re.findall(r"<p>([^<]+)</p>", answer.text)[:2])
    shown = (await admin.get(f"/r/thing/{record}")).text
    for drawn in ("1 h 30 min", '<progress value="40" max="100"', '<input class="swatch" type="color" value="#3b5bdb" disabled', "AB1234", '<span class="people"><span class="person">'):
        assert drawn in shown, drawn
    edited = (await admin.get(f"/r/thing/{record}/edit")).text
    for control in ('value="1 h 30 min"', 'data-follows="f-f_progress"', 'data-follows="f-f_color"', f'<option value="{ctx.user_id}" selected>'):
        assert control in edited, control
    assert (await admin.get("/r/thing?f=f_users:contains:me()&f=f_duration:gte:1%20h")).text.count("data-record-id") == 1
    columns = "&".join(f"cols=f_{kind.key}" for kind in field_types)
    listed = await admin.get(f"/r/thing?{columns}")
    assert listed.status_code == 200
    assert "Option A" in listed.text
    for kind in field_types:
        assert (await admin.get(f"/r/thing?adding=f_{kind.key}")).status_code == 200, kind.key
    hostile = await admin.post("/r/thing/new", {"name": "x", **{f"f_{kind.key}": '"><script>alert(1)</script>' for kind in field_types if kind.key not in computed}})
    assert hostile.status_code in (303, 422)
    assert "<script>alert" not in hostile.text


TYPED = {
    "text": "T", "longtext": "Two\nlines", "richtext": "<p>Rich</p>", "int": "5", "number": "1,234.50", "percent": "40", "bool": "true", "date": "2025-03-03",
    "datetime": "2025-03-03T08:00", "time": "08:30", "phone": "+14145550123", "email": "a@b.example", "url": "https://b.example", "money": "1,200.00", "rating": "3",
    "score": "70", "tags": "one, two", "duration": "1 h 30 min", "progress": "40%", "color": "#3B5BDB", "code": "ab-12 34",
}  # fmt: skip


async def test_a_file_is_kept_with_the_record_and_read_back(http, tenant_factory):
    tenant = await tenant_factory()
    await publish(tenant.id, bundle(), base_revision=0, message="all types")
    forget_host(tenant.slug)
    admin = Browser(http, f"{tenant.slug}.localhost")
    await admin.sign_in(tenant.admin_email, tenant.admin_password)
    form = await admin.get("/r/thing/new")
    assert 'enctype="multipart/form-data"' in form.text
    headers = {"host": admin.host, "cookie": f"session={admin.cookies['session']}"}
    sent = await http.post("/r/thing/new", data={"_csrf": admin.csrf, "name": "With file"}, files={"f_file": ("notes <b>.txt", b"hello", "text/plain")}, headers=headers)
    assert sent.status_code == 303, sent.text[:500]
    page = await admin.get(sent.headers["location"])
    found = re.search(r'href="(/files/[0-9a-f-]{36})"', page.text)
    assert found
    answer = await admin.get(found[1])
    assert answer.content == b"hello"
    assert "sandbox" in answer.headers["content-security-policy"]
    stranger = Browser(http, admin.host)
    assert (await stranger.get(found[1])).status_code == 303
    refused = await http.post("/r/thing/new", data={"_csrf": admin.csrf, "name": ""}, files={"f_file": ("a.txt", b"", "text/plain")}, headers=headers)
    assert refused.status_code == 422
