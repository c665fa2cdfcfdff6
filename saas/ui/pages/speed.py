"""Is every saved view fast at this company's size? Measured on request, with the field whose index would help, one click away.

Who: an admin whose colleagues say that a list has become slow, or who wants to know before they do. What next: take the proposed index
into the draft, publish, and see the new measure beside the old one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, Router, get, post

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import ngettext
from saas.metadata import edits
from saas.runtime import Context, advisor
from saas.ui import speed
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.guards import local_path
from saas.ui.views import Toast

URL = "/settings/speed"
OPEN = 25  # so many views that nobody measured are shown unasked


@get(URL)
async def index(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    ctx = desk.ask.ctx
    verdicts = await advisor.verdicts(ctx)
    found = await advisor.quota(ctx)
    draft = sum(1 for e in desk.raw.get("entities", ()) for f in e.get("fields", ()) if f.get("indexed"))
    saved = sum(1 for v in verdicts if v.subject.person_id)
    return await desk.page(
        "settings/speed/index", "speed", total=len(verdicts), **_groups(ctx, verdicts, desk.raw), more=saved if saved >= advisor.MOST_SAVED else 0,
        indexes=speed.quota_rows(ctx, found), used=len(found.used), limit=found.limit, planned=draft - len(found.used),
    )  # fmt: skip


def _groups(ctx: Context, verdicts: Sequence[advisor.Verdict], draft: Mapping[str, Any]) -> dict[str, Any]:
    """Slow ones, those nobody measured and fast ones. What needs nothing is closed, and so are long lists of what may need something."""
    of = {state: [speed.row(ctx, v, draft) for v in verdicts if v.state == state] for state in ("slow", "unknown", "fast")}
    of["slow"].sort(key=lambda r: -r["milliseconds"])
    texts = {
        "slow": (ngettext("%(count)s slow", "%(count)s slow", len(of["slow"])), "orange"),
        "unknown": (ngettext("%(count)s not measured", "%(count)s not measured", len(of["unknown"])), "gray"),
        "fast": (ngettext("%(count)s fast at your size", "%(count)s fast at your size", len(of["fast"])), "green"),
    }
    opened = {"slow": True, "unknown": len(of["unknown"]) <= OPEN, "fast": False}
    groups = [{"state": s, "rows": rows, "text": texts[s][0], "color": texts[s][1], "open": opened[s]} for s, rows in of.items()]
    return {"groups": groups, "slow": len(of["slow"]), "unknown": len(of["unknown"])}


@post(f"{URL}/measure", status_code=200)
async def measure(request: Request) -> Response[Any]:
    """Measure one view now, or as many as fit into the time."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    path = str(form.get("subject") or "")
    if not path:
        done, all_ = await advisor.measure_all(desk.ask.ctx)
        text = ngettext("%(count)s view measured.", "%(count)s views measured.", done)
        rest = "" if done == all_ else " " + _("Time is up; measure again for the other %(count)s.", count=all_ - done)
        return desk.ask.redirect(URL, Toast(text + rest))
    await advisor.measure(desk.ask.ctx, path)
    if desk.ask.is_fragment:
        return desk.fragment("settings/speed/_row", r=await _row(desk, path))
    return desk.ask.redirect(_back(form))


async def _row(desk: Desk, path: str) -> dict[str, Any]:
    return next(speed.row(desk.ask.ctx, v, desk.raw) for v in await advisor.verdicts(desk.ask.ctx) if v.subject.path == path)


@post(f"{URL}/index", status_code=200)
async def make_index(request: Request) -> Response[Any]:
    """Take an index for a field into the draft."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    entity, field = str(form.get("entity") or ""), str(form.get("field") or "")
    path = f"entities[{entity}].fields[{field}]"
    definition = edits.find(desk.raw, path)
    if not isinstance(definition, Mapping):
        raise NotFound()
    title = _("%(entity)s: “%(field)s” becomes fast to sort and filter", entity=desk.words(desk.find(f"entities[{entity}]").get("plural"), entity), field=desk.words(definition.get("label"), field))
    errors = await desk.take(edits.put(desk.raw, path, {**definition, "indexed": True}), title, path="entities")
    if errors:
        return desk.ask.redirect(_back(form), Toast(next(iter(errors.values())), "error"))
    return desk.done(_back(form))


def _back(form: Any) -> str:
    return local_path(str(form.get("next") or ""), URL)


router = Router("", route_handlers=[index, measure, make_index])
