"""Values: figures and switches that rules, formulas and schedules use, and what each of them is.

Who: an admin who changes "after how many days". What next: publish; the next run of the rule uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.models import FieldDef
from saas.ui.builder import words
from saas.ui.builder.controls import Control, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.views import Choice

LIST = "/settings/values"
NUMBERS = ("int", "number")


def _value_control(raw: Mapping[str, Any], name: str, title: str, help_: str = "") -> Control:
    """The control that suits a setting's type."""
    kind = str(raw.get("type"))
    if kind in NUMBERS:
        return Control(name, "number", title, help_)
    if kind == "date":
        return Control(name, "value", title, help_, field=FieldDef("value", "date", {}))
    return Control(name, "bool" if kind == "bool" else "text", title, help_)


# ---- their values -------------------------------------------------------------------------------------------------------


@get("/settings/values")
async def setting_values(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _values(desk, {f"value.{s['key']}": s.get("default") for s in desk.raw.get("settings", ())})


def _controls(desk: Desk) -> list[Control]:
    return [_value_control(s, f"value.{s['key']}", desk.words(s.get("label"), s["key"]), desk.words(s.get("help"))) for s in desk.raw.get("settings", ())]


async def _values(desk: Desk, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    drawn = await draw(desk, _controls(desk), values, errors)
    rows = [{"drawn": d, "url": f"{LIST}/{s['key']}", "name": desk.words(s.get("label"), s["key"]), "key": s["key"]} for d, s in zip(drawn, desk.raw.get("settings", ()), strict=True)]
    return await desk.page("settings/design/values", "values", status=422 if errors else 200, rows=rows, mark=desk.mark("settings"), problems=left_over(errors or {}, _controls(desk)))


@post("/settings/values", status_code=200)
async def save_values(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    values = read(desk, _controls(desk), form)
    mark = form.get("_mark")
    if mark and mark != desk.mark("settings"):
        return await _values(desk, values, {"": _("This was changed in another window meanwhile. Your input is still here: compare, then save again.")})
    settings = [{**s, "default": _posted(s, values)} for s in desk.raw.get("settings", ())]
    errors = await desk.take({**desk.raw, "settings": settings} if settings else desk.raw, words.changed(_("Values")), path="settings")
    if errors:
        return await _values(desk, values, {_control_name(path): text for path, text in errors.items()})
    return desk.done(LIST)


def _posted(setting: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    value = values.get(f"value.{setting['key']}")
    return bool(value) if setting.get("type") == "bool" else value


def _control_name(path: str) -> str:
    """`[days].default` -> `value.days`."""
    return f"value.{path[1:].partition(']')[0]}" if path.startswith("[") else path


# ---- what they are ------------------------------------------------------------------------------------------------------


def _about_controls(raw: Mapping[str, Any] | None) -> list[Control]:
    """The definition of a setting; of a new one also its type and first value."""
    numbers = {"type": list(NUMBERS)} if raw is None else {}
    controls = [Control("label", "label", _("Name"), _("For example “Days until a reminder”."), required=True), Control("help", "label", _("Help"))]
    if raw is None:
        kinds = (Choice("int", _("Whole number")), Choice("number", _("Number with decimals")), Choice("bool", _("Yes or no")), Choice("text", _("Text")), Choice("date", _("Date")))
        controls.append(Control("type", "choice", _("Kind"), choices=kinds, default="int", required=True, more={"tiles": True}))
        for kind, names in (("int", list(NUMBERS)), ("bool", ["bool"]), ("text", ["text"]), ("date", ["date"])):
            base = _value_control({"type": kind}, f"first_{kind}", _("Value"))
            controls.append(Control(base.name, base.kind, base.title, field=base.field, show_if={"type": names}))
    if raw is None or raw.get("type") in NUMBERS:
        controls += [Control("min", "number", _("Smallest value"), show_if=numbers), Control("max", "number", _("Largest value"), show_if=numbers)]
    return controls


@get("/settings/values/new")
async def new_value(request: Request) -> Response[Any]:
    return await _about(await open_desk(request), "new", {"type": "int"})


async def _about(desk: Desk, key: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    is_new = key == "new"
    raw = None if is_new else desk.find(f"settings[{key}]")
    controls = _about_controls(raw)
    return await desk.page(
        "settings/design/value", "values", status=422 if errors else 200, key="" if is_new else key, title=_("New value") if raw is None else desk.words(raw.get("label"), key),
        drawn=await draw(desk, controls, values, errors), mark="" if is_new else desk.mark(f"settings[{key}]"), url=f"{LIST}/{key}", problems=left_over(errors or {}, controls), formula=f"setting('{key}')",
    )  # fmt: skip


@post("/settings/values/new", status_code=200)
async def create_value(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    values = read(desk, _about_controls(None), await desk.ask.form())
    if not values.get("label"):
        return await _about(desk, "new", values, {"label": _("Give it a name in at least one language.")})
    kind = values.get("type", "int")
    first = values.get(f"first_{'int' if kind in NUMBERS else kind}")
    key = edits.key_for(values["label"], {"new", *(s.get("key") for s in desk.raw.get("settings", ()))}, "value")
    made = {"key": key, "label": values["label"], "type": kind, "default": bool(first) if kind == "bool" else first}
    made.update({name: values[name] for name in ("help", *(("min", "max") if kind in NUMBERS else ())) if values.get(name) is not None})
    errors = await desk.save(f"settings[{key}]", made, words.added(desk.words(values["label"])))
    if errors:
        name = f"first_{'int' if kind in NUMBERS else kind}"
        return await _about(desk, "new", values, {name if path == "default" else path: text for path, text in errors.items()})
    return desk.done(LIST, _("“%(name)s” is in your draft. Formulas read it as setting('%(key)s').", name=desk.words(values["label"]), key=key))


@get("/settings/values/{key:str}")
async def show_value(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _about(desk, key, desk.find(f"settings[{key}]"))


@post("/settings/values/{key:str}", status_code=200)
async def save_value(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    before = desk.find(f"settings[{key}]")
    controls = _about_controls(before)
    values = read(desk, controls, form)
    if not values.get("label"):
        return await _about(desk, key, values, {"label": _("Give it a name in at least one language.")})
    errors = await desk.save(f"settings[{key}]", laid(before, controls, values), words.changed(desk.words(values["label"])), mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _about(desk, key, values, {"" if path == "default" else path: text for path, text in errors.items()})
    return desk.done(LIST)


@get("/settings/values/{key:str}/remove")
async def ask_remove_value(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(f"settings[{key}]")
    return await ask_removal(desk, f"settings[{key}]", "values", name=desk.words(raw.get("label"), key), back=f"{LIST}/{key}", action=f"{LIST}/{key}/remove")


@post("/settings/values/{key:str}/remove", status_code=200)
async def remove_value(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(f"settings[{key}]")
    await take_out(desk, await desk.ask.form(), f"settings[{key}]", words.removed(desk.words(raw.get("label"), key)))
    return desk.done(LIST)


router = Router("", route_handlers=[setting_values, save_values, new_value, create_value, show_value, save_value, ask_remove_value, remove_value])
