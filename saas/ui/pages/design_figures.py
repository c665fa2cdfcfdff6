"""Reports and dashboards: which there are, who sees them, and how their figures are arranged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from markupsafe import Markup

from saas.errors import Conflict
from saas.i18n import LazyString, lazy
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.kinds import widget_types
from saas.metadata.models import WidgetDef
from saas.runtime import Context
from saas.runtime.reports import load_widget
from saas.ui.builder import words
from saas.ui.builder.controls import Control, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.figure_forms import width_choices
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.trying import tried
from saas.ui.guards import whole_number
from saas.ui.render import markup
from saas.ui.views import Choice, Link

Raw = Mapping[str, Any]
NEW = "new-page"  # no key of a page: keys have no hyphens


@dataclass(frozen=True, slots=True)
class Kind:
    """Reports, or dashboards."""

    section: str
    title: LazyString
    lead: LazyString
    one: LazyString
    icon: str

    @property
    def url(self) -> str:
        return f"/settings/{self.section}"

    def path(self, key: str) -> str:
        return f"{self.section}[{key}]"


KINDS = {
    "reports": Kind("reports", lazy("Reports"), lazy("Pages of figures with choices above them, such as a period or a person."), lazy("New report"), "chart-bar"),
    "dashboards": Kind("dashboards", lazy("Dashboards"), lazy("Start pages: the figures people want to see first in the morning."), lazy("New dashboard"), "dashboard"),
}
BOTH = tuple(k.url for k in KINDS.values())


def kind_of(request: Request) -> Kind:
    return KINDS[request.url.path.split("/")[2]]


def paths(rest: str) -> list[str]:
    return [f"{url}{rest}" for url in BOTH]


# ---- all of them --------------------------------------------------------------------------------------------------------


@get(paths(""))
async def pages(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    rows = [_row(desk, kind, raw) for raw in desk.raw.get(kind.section, ())]
    return await desk.page("settings/design_figures/index", kind.section, kind=kind, rows=rows)


def _row(desk: Desk, kind: Kind, raw: Raw) -> dict[str, Any]:
    key = str(raw.get("key"))
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{kind.url}/{key}", "count": len(raw.get("widgets", ())), "note": desk.words(raw.get("description")),
        "roles": [r.text for r in seen_by(desk, kind, key)], "problems": "; ".join(str(p.message) for p in desk.problems_at(kind.path(key))[:3]),
    }  # fmt: skip


def seen_by(desk: Desk, kind: Kind, key: str) -> list[Link]:
    """The roles that may open a report or dashboard, with their pages: there it is set."""
    found = []
    for role in desk.config.bundle.roles:
        named = getattr(role, kind.section)
        if role.admin or key in named or "*" in named or (kind.section == "dashboards" and role.home == key):
            found.append(Link(desk.words(role.label, role.key), f"/settings/roles/{role.key}"))
    return found


@post(paths("/order"), status_code=200)
async def order_pages(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(edits.reorder(desk.raw, kind.section, keys), words.reordered(str(kind.title)))
    return desk.done(kind.url)


@get(paths(f"/{NEW}"))
async def new_page(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    return await _new_page(desk, kind, {})


async def _new_page(desk: Desk, kind: Kind, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = _name_controls(desk, kind, ())
    return await desk.page(
        "settings/design_figures/new", kind.section, status=422 if errors else 200, kind=kind, drawn=await draw(desk, controls, values, errors), problems=left_over(errors or {}, controls)
    )  # fmt: skip


@post(paths(f"/{NEW}"), status_code=200)
async def create_page(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    values = read(desk, _name_controls(desk, kind, ()), await desk.ask.form())
    if not values.get("label"):
        return await _new_page(desk, kind, values, {"label": _("Give it a name in at least one language.")})
    key = desk.key(values["label"], kind.section, "page")
    errors = await desk.save(kind.path(key), {"key": key, **values, "widgets": []}, words.added(str(kind.title), desk.words(values["label"])))
    return await _new_page(desk, kind, values, errors) if errors else desk.done(f"{kind.url}/{key}", _("Saved in your draft. Now add the first figure."))


def _name_controls(desk: Desk, kind: Kind, entities: Sequence[str]) -> list[Control]:
    controls = [Control("label", "label", _("Name"), required=True)]
    if kind.section == "reports":
        controls.append(Control("description", "label", _("What it answers"), _("Shown above the figures.")))
    if kind.section == "reports" and entities:
        controls.append(Control("params", "params", _("What people may choose above it"), _("Every figure with that field follows the choice."), more={"entities": entities}))
    return controls


# ---- one page of figures ------------------------------------------------------------------------------------------------


@get(paths("/{key:str}"))
async def page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    return await _page(desk, kind, key, desk.find(kind.path(key)))


async def _page(desk: Desk, kind: Kind, key: str, values: Raw, errors: Errors | None = None, *, status: int = 0, told: Sequence[str] = ()) -> Response[Any]:
    found = desk.find(kind.path(key))
    controls = _name_controls(desk, kind, entities_of(desk, found))
    shown = await tried(desk, desk.raw, kind.path(key), lambda ctx: _grid(desk, kind, key, found, ctx))
    return await desk.page(
        "settings/design_figures/page", kind.section, status=status or (422 if errors else 200), kind=kind, key=key, url=f"{kind.url}/{key}", title=desk.words(found.get("label"), key),
        drawn=await draw(desk, controls, values, errors), problems=[*told, *left_over(errors or {}, controls)], mark=desk.mark(kind.path(key)), grid_mark=desk.mark(f"{kind.path(key)}.widgets"),
        tried=shown, items=[] if shown.html is not None else [_item(desk, kind, key, w, n, None) for n, w in enumerate(found.get("widgets", ()))], count=len(found.get("widgets", ())),
        roles=seen_by(desk, kind, key), live_url=f"/{kind.section}/{key}" if key in getattr(desk.ask.ctx.config, kind.section) else "",
    )  # fmt: skip


def entities_of(desk: Desk, raw: Raw) -> list[str]:
    return list(dict.fromkeys(str(w["entity"]) for w in raw.get("widgets", ()) if w.get("entity") in desk.config.entities))


async def _grid(desk: Desk, kind: Kind, key: str, raw: Raw, ctx: Context) -> Markup:
    """All figures as they would be, each with what can be done to it."""
    definitions = getattr(ctx.config, kind.section)[key].widgets
    items = []
    for number, (written, definition) in enumerate(zip(raw.get("widgets", ()), definitions, strict=True)):
        loaded = without_links(await load_widget(ctx, definition))
        items.append(_item(desk, kind, key, written, number, markup(f"widgets/{definition.type}/widget.html", view=loaded, widget=definition, ctx=ctx, locale=ctx.locale), definition))
    return markup("settings/design_figures/_items.html", items=items, widths=width_choices())


def _item(desk: Desk, kind: Kind, key: str, raw: Raw, number: int, html: Markup | None, definition: WidgetDef | None = None) -> dict[str, Any]:
    name = str(raw.get("key") or number)
    own = original(desk.raw, raw)
    url = f"{kind.url}/{key}/widgets/{name}"
    problems = desk.problems_at(f"{kind.path(key)}.widgets[{name}]")
    return {
        "number": number, "id": name, "name": desk.words(raw.get("label") or own.get("label"), name), "width": raw.get("width") or own.get("width") or 6, "html": html,
        "icon": k.icon if (k := widget_types.find(str(own.get("type")))) else "alert", "url": url, "from_url": f"/settings/reports/{raw['report']}" if "report" in raw else "",
        "problem": "; ".join(str(p.message) for p in problems[:2]), "copy_url": f"{url}/copy", "remove_url": f"{url}/remove",
    }  # fmt: skip


def original(bundle: Raw, raw: Raw) -> Raw:
    """The figure a dashboard points to; itself where it is one."""
    if "report" not in raw:
        return raw
    return edits.find(bundle, f"reports[{raw['report']}].widgets[{raw.get('widget')}]") or {}


def without_links(value: Any) -> Any:
    """Loaded figures that lead nowhere: a click in the designer must not leave what is being edited."""
    if isinstance(value, Mapping):
        return {k: None if k in ("drill", "drills") else without_links(v) for k, v in value.items()}
    return [without_links(v) for v in value] if isinstance(value, list) else value


@post(paths("/{key:str}"), status_code=200)
async def save_page(request: Request, key: FromPath[str]) -> Response[Any]:
    """Its name and choices; figures have addresses of their own."""
    desk, kind = await open_desk(request), kind_of(request)
    found = desk.find(kind.path(key))
    form = await desk.ask.form()
    controls = _name_controls(desk, kind, entities_of(desk, found))
    values = read(desk, controls, form)
    definition = laid(found, controls, values)
    errors = {} if values.get("label") else {"label": _("Give it a name in at least one language.")}
    errors = errors or await desk.save(kind.path(key), definition, words.changed(str(kind.title), desk.words(values["label"])), mark=str(form.get("_mark") or "") or None)
    return await _page(desk, kind, key, values, errors) if errors else desk.done(f"{kind.url}/{key}")


@post(paths("/{key:str}/arrange"), status_code=200)
async def arrange(request: Request, key: FromPath[str]) -> Response[Any]:
    """Order and widths of the figures: `item` are their numbers, `width.<n>` their widths, `place.<n>` the places of those who cannot drag."""
    desk, kind = await open_desk(request), kind_of(request)
    path = f"{kind.path(key)}.widgets"
    widgets = list(desk.find(kind.path(key)).get("widgets", ()))
    form = await desk.ask.form()
    if str(form.get("_mark") or "") != desk.mark(path):
        told = _("This page was changed in another window meanwhile. Here is how it stands now.")
        if desk.ask.is_fragment:
            raise Conflict(told)
        return await _page(desk, kind, key, desk.find(kind.path(key)), status=409, told=[told])
    asked = [n for text in form.getall("item", []) if (n := whole_number(str(text))) is not None and n < len(widgets)]
    order = list(dict.fromkeys([*asked, *range(len(widgets))]))
    places = {n: whole_number(str(form.get(f"place.{n}") or "")) or at + 1 for at, n in enumerate(order)}
    order.sort(key=places.__getitem__)
    new = [_as_wide(widgets[n], whole_number(str(form.get(f"width.{n}") or ""))) for n in order]
    name = desk.words(desk.find(kind.path(key)).get("label"), key)
    title = words.reordered if order != sorted(order) else words.changed
    await desk.take(edits.put(desk.raw, path, new), title(str(kind.title), name))
    if not desk.ask.is_fragment:
        return desk.done(f"{kind.url}/{key}")
    fresh = await open_desk(request)
    return fresh.ask.fragment("builder/_bar.html", headers={"X-Mark": fresh.mark(path)}, desk=fresh.bar(), here=f"{kind.url}/{key}", current=kind.section)


def _as_wide(widget: Raw, width: int | None) -> dict[str, Any]:
    if width is None or not 1 <= width <= 12 or width == widget.get("width", 6):
        return dict(widget)
    return {**widget, "width": width}


@post(paths("/{key:str}/copy"), status_code=200)
async def copy_page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    found = desk.find(kind.path(key))
    label = words.copy_of(found.get("label") or {})
    new_key = desk.key(label, kind.section, "page")
    await desk.take(edits.add(desk.raw, kind.section, {**found, "key": new_key, "label": label}, after=key), words.added(str(kind.title), desk.words(label)))
    return desk.done(f"{kind.url}/{new_key}")


@get(paths("/{key:str}/remove"))
async def ask_remove_page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    url = f"{kind.url}/{key}"
    notes = [_("No record is touched: only these figures go.")]
    return await ask_removal(desk, kind.path(key), kind.section, name=desk.words(desk.find(kind.path(key)).get("label"), key), back=url, action=f"{url}/remove", notes=notes)


@post(paths("/{key:str}/remove"), status_code=200)
async def remove_page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    name = desk.words(desk.find(kind.path(key)).get("label"), key)
    await take_out(desk, await desk.ask.form(), kind.path(key), words.removed(str(kind.title), name))
    return desk.done(kind.url)


# ---- figures of reports on a dashboard ----------------------------------------------------------------------------------


@get("/settings/dashboards/{key:str}/from-reports")
async def report_figures(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    found = desk.find(f"dashboards[{key}]")
    there = {(w.get("report"), w.get("widget")) for w in found.get("widgets", ())}
    groups = [
        {"name": desk.words(r.get("label"), r["key"]), "figures": [Choice(f"{r['key']}:{w['key']}", desk.words(w.get("label"), w["key"]), (r["key"], w["key"]) in there) for w in r.get("widgets", ()) if w.get("key")]}
        for r in desk.raw.get("reports", ())
    ]  # fmt: skip
    return await desk.page("settings/design_figures/from_reports", "dashboards", groups=[g for g in groups if g["figures"]], url=f"/settings/dashboards/{key}", title=desk.words(found.get("label"), key))


@post("/settings/dashboards/{key:str}/from-reports", status_code=200)
async def add_report_figures(request: Request, key: FromPath[str]) -> Response[Any]:
    """Put ticked figures of reports on the dashboard: they stay the report's, and follow it."""
    desk = await open_desk(request)
    path = f"dashboards[{key}]"
    found = desk.find(path)
    there = {(w.get("report"), w.get("widget")) for w in found.get("widgets", ())}
    made = []
    for text in dict.fromkeys(str(v) for v in (await desk.ask.form()).getall("figure", [])):
        report, _colon, widget = text.partition(":")
        if (report, widget) not in there and edits.find(desk.raw, f"reports[{report}].widgets[{widget}]"):
            made.append({"report": report, "widget": widget})
    if made:
        await desk.take(edits.put(desk.raw, f"{path}.widgets", [*found.get("widgets", ()), *made]), words.changed(_("Dashboards"), desk.words(found.get("label"), key)))
    return desk.done(f"/settings/dashboards/{key}")


router = Router(
    "",
    route_handlers=[
        pages, order_pages, new_page, create_page, page, save_page, arrange, copy_page, ask_remove_page, remove_page, report_figures, add_report_figures,
    ],
)  # fmt: skip
