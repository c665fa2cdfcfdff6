"""Option lists: the words people choose from. Add, rename, colour, order, switch off, take away with a replacement, split, merge.

Who: whoever maintains those words. What next: publish; the records follow in the background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, Router, get, post

from saas.i18n import gettext as _
from saas.i18n import listed, ngettext, titled
from saas.metadata import edits, option_lists
from saas.metadata.option_lists import replace_step
from saas.ui import option_lists as lists
from saas.ui.builder import words
from saas.ui.builder.controls import Control, draw, laid, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.forms import with_query
from saas.ui.option_lists import Home, home_of
from saas.ui.views import Choice

LIST = "/settings/option-sets"
IN_SET, IN_FIELD = "/settings/option-sets/{key:str}", "/settings/entities/{key:str}/fields/{name:str}/options"
EMPTY = "-"  # in the place of an option: the field is emptied


# ---- all lists ----------------------------------------------------------------------------------------------------------


@get("/settings/option-sets")
async def option_sets(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    rows = [_set_row(desk, s) for s in desk.raw.get("option_sets", ())]
    return await desk.page("settings/design/option_sets", "option-sets", rows=rows)


def _set_row(desk: Desk, raw: Mapping[str, Any]) -> dict[str, Any]:
    options = raw.get("options", ())
    shown = [{"text": desk.words(o.get("label"), o.get("key", "")), "color": o.get("color", "gray")} for o in options[:4]]
    used = [lists.holder_words(desk, h) for h in option_lists.holders(desk.raw, raw["key"])]
    return {
        "key": raw["key"], "url": f"{LIST}/{raw['key']}", "name": desk.words(raw.get("label"), raw["key"]), "count": len(options), "options": shown, "more": len(options) > 4,
        "used": listed(used[:3]) + (" …" if len(used) > 3 else ""), "is_new": raw["key"] not in desk.ask.ctx.config.option_sets,
    }  # fmt: skip


@get("/settings/option-sets/new")
async def new_option_set(request: Request) -> Response[Any]:
    return await _new_set(await open_desk(request), {"colourful": True})


async def _new_set(desk: Desk, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    return await desk.page("settings/design/option_set_new", "option-sets", status=422 if errors else 200, drawn=await draw(desk, _new_controls(), values, errors))


def _new_controls() -> list[Control]:
    return [
        Control("label", "label", _("Name of the list"), _("For example “Priority”."), required=True), _lines_control(),
        Control("colourful", "bool", _("Give each a colour of its own")),
    ]  # fmt: skip


def _lines_control() -> Control:
    return Control("lines", "longtext", _("Options, one per line"), _("For both languages write the two names with “|” between them, or paste two columns from a spreadsheet."), required=True, more={"rows": 8})


@post("/settings/option-sets/new", status_code=200)
async def create_option_set(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    values = read(desk, _new_controls(), await desk.ask.form())
    made = option_lists.with_lines([], str(values.get("lines") or ""), colourful=bool(values.get("colourful")))
    errors = {} if values.get("label") else {"label": _("Give it a name in at least one language.")}
    if not made.options:
        errors["lines"] = _("Write at least one option.")
    if errors:
        return await _new_set(desk, values, errors)
    taken = {"new", *(s.get("key") for s in desk.raw.get("option_sets", ()))}
    key = edits.key_for(values["label"], taken, "list")
    errors = await desk.save(f"option_sets[{key}]", {"key": key, "label": values["label"], "options": list(made.options)}, words.added(desk.words(values["label"])))
    if errors:
        return await _new_set(desk, values, {"lines": " ".join(errors.values())})
    return desk.done(f"{LIST}/{key}")


# ---- one list -----------------------------------------------------------------------------------------------------------


@get([IN_SET, IN_FIELD])
async def option_list(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _list(desk, home_of(desk, request), request.query_params)


async def _list(
    desk: Desk, home: Home, query: Mapping[str, str], *, typed: Mapping[str, Mapping[str, Any]] | None = None, errors: Mapping[str, str] | None = None,
    fresh: Mapping[str, str] | None = None, about: Mapping[str, Any] | None = None,
) -> Response[Any]:  # fmt: skip
    shown = lists.page_of(desk, home, query, typed)
    messages = dict(errors or {})
    general = [messages[k] for k in ("", "options") if messages.get(k)]
    return await desk.page(
        "settings/design/options", home.current, status=422 if errors else 200, home=home, shown=shown, errors=messages, problems=general, fresh=fresh or {}, colours=lists.colours(),
        used=[lists.holder_words(desk, h) for h in home.holders], mark=desk.mark(home.path), has_parents=bool(lists.parents(desk, home)), can_order=not shown.q,
        about=await draw(desk, _about_controls(desk, home), about or home.definition, messages) if home.is_shared else [],
        here=with_query(home.url, [("q", shown.q), ("page", str(shown.number) if shown.number > 1 else "")]),
        previous=with_query(home.url, [("q", shown.q), ("page", str(shown.number - 1))]) if shown.number > 1 else "",
        following=with_query(home.url, [("q", shown.q), ("page", str(shown.number + 1))]) if shown.number < shown.pages else "",
    )  # fmt: skip


def _about_controls(desk: Desk, home: Home) -> list[Control]:
    if not home.is_shared:
        return []
    return [
        Control("label", "label", _("Name of the list"), required=True),
        Control("tree", "bool", _("Options can belong to others, as in a tree"), _("For example districts of a city. Then each option says to which other one it belongs."), default=False),
        Control("edit_roles", "choices", _("Kept up to date by"), _("People with these roles add, rename and retire options of this list under Lists, at once and without other settings."), choices=tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.roles.values() if not r.admin), advanced=True),
    ]  # fmt: skip


@post([IN_SET, IN_FIELD], status_code=200)
async def save_option_list(request: Request) -> Response[Any]:
    """Everything on the page in one step: names, colours, order, a new one."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    home = home_of(desk, request)
    options, typed, errors = lists.read_rows(home, form)
    about = read(desk, _about_controls(desk, home), form) if "label.en" in form else {}
    if home.is_shared and "label.en" in form and not about.get("label"):
        errors["label"] = _("Give it a name in at least one language.")
    fresh = {name: str(form.get(f"new.{name}") or "").strip() for name in ("en", "zh_CN", "color")}
    label = {loc: fresh[loc] for loc in ("en", "zh_CN") if fresh[loc]}
    if label:
        key = edits.key_for(label, {o.get("key") for o in home.options}, "option")
        options.append({"key": key, "label": label, **({"color": fresh["color"]} if fresh["color"] not in ("", "gray") else {})})
    if not errors:
        definition = home.with_options(options)
        if about:
            definition = {**laid(definition, _about_controls(desk, home), about)}
        errors = await desk.save(home.path, definition, words.changed(home.title), mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _list(desk, home, request.query_params, typed=typed, errors=_by_option(home, errors), fresh=fresh, about=about)
    return desk.done(with_query(home.url, [(name, request.query_params.get(name, "")) for name in ("q", "page")]))


def _by_option(home: Home, errors: Mapping[str, str]) -> dict[str, str]:
    """Messages at `options[key]…` under the key."""
    found = {}
    for path, text in errors.items():
        key = path.removeprefix("options[").partition("]")[0] if path.startswith("options[") else path
        found.setdefault(key, text)
    return found


# ---- many at once -------------------------------------------------------------------------------------------------------


@get([f"{IN_SET}/many", f"{IN_FIELD}/many"])
async def many_options(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _many(desk, home_of(desk, request), {})


async def _many(desk: Desk, home: Home, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    return await desk.page("settings/design/options_many", home.current, status=422 if errors else 200, home=home, drawn=await draw(desk, _many_controls(desk, home), values, errors))


def _many_controls(desk: Desk, home: Home) -> list[Control]:
    controls = [_lines_control(), Control("colourful", "bool", _("Give each a colour of its own"))]
    if found := lists.parents(desk, home):
        controls.append(Control("parent", "choice", _("All of them belong to"), choices=tuple(found)))
    return controls


@post([f"{IN_SET}/many", f"{IN_FIELD}/many"], status_code=200)
async def add_many_options(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    values = read(desk, _many_controls(desk, home), await desk.ask.form())
    made = option_lists.with_lines(home.options, str(values.get("lines") or ""), parent=values.get("parent"), colourful=bool(values.get("colourful")))
    if not made.new:
        return await _many(desk, home, values, {"lines": _("All of these are there already.") if made.skipped else _("Write at least one option.")})
    title = titled(home.title, ngettext("%(count)s option added", "%(count)s options added", len(made.new)))
    errors = await desk.save(home.path, home.with_options(made.options), title)
    if errors:
        return await _many(desk, home, values, {"lines": " ".join(errors.values())})
    note = ngettext("%(count)s was there already.", "%(count)s were there already.", len(made.skipped)) if made.skipped else ""
    return desk.done(home.url, f"{ngettext('%(count)s option added', '%(count)s options added', len(made.new))}. {note}".strip())


# ---- one option ---------------------------------------------------------------------------------------------------------


ONE = "/o/{option:str}"


def _option_of(request: Request, home: Home) -> dict[str, Any]:
    return home.option(str(request.path_params["option"]))


@get([IN_SET + ONE, IN_FIELD + ONE])
async def show_option(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    found = _option_of(request, home)
    position = [o["key"] for o in home.options].index(found["key"]) + 1
    return await _option(desk, home, found["key"], {"active": True, **found, "position": position})


async def _option(desk: Desk, home: Home, key: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    holding = [(lists.holder_words(desk, h), await lists.holding(desk, h, key)) for h in home.holders]
    return await desk.page(
        "settings/design/option", home.current, status=422 if errors else 200, home=home, key=key, title=desk.words(home.option(key).get("label"), key), url=f"{home.url}/o/{key}",
        drawn=await draw(desk, _option_controls(desk, home), values, errors), holding=[(text, count) for text, count in holding if count], mark=desk.mark(home.path),
        problems=[text for path, text in (errors or {}).items() if path == ""], alone=len(home.options) < 2,
    )  # fmt: skip


def _option_controls(desk: Desk, home: Home) -> list[Control]:
    controls = [
        Control("label", "label", _("Name"), required=True), Control("color", "color", _("Colour"), default="gray"),
        Control("active", "bool", _("Can be chosen"), _("Switched off, it stays on records that have it."), default=True),
        Control("position", "number", _("Place in the list"), _("1 is the first of %(count)s.", count=len(home.options)), more={"min": 1, "max": len(home.options)}),
    ]  # fmt: skip
    if found := lists.parents(desk, home):
        controls.append(Control("parent", "choice", _("Belongs to"), choices=tuple(found)))
    return controls


@post([IN_SET + ONE, IN_FIELD + ONE], status_code=200)
async def save_option(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    home = home_of(desk, request)
    before = _option_of(request, home)
    controls = _option_controls(desk, home)
    values = read(desk, controls, form)
    if not values.get("label"):
        return await _option(desk, home, before["key"], values, {"label": _("Give it a name in at least one language.")})
    place = values.pop("position", None)
    made = laid(before, [c for c in controls if c.name != "position"], values)
    options = [made if o["key"] == before["key"] else o for o in home.options]
    if isinstance(place, int):
        options = option_lists.moved(options, before["key"], place)
    errors = await desk.save(home.path, home.with_options(options), words.changed(home.title, desk.words(made["label"])), mark=str(form.get("_mark") or "") or None)
    if errors:
        inside = f"options[{before['key']}]"
        return await _option(desk, home, before["key"], {**values, "position": place}, {path.removeprefix(inside).lstrip("."): text for path, text in errors.items()})
    return desk.done(home.url)


# ---- taking away, splitting, merging: what becomes of the records -------------------------------------------------------


def _others(desk: Desk, home: Home, key: str) -> tuple[Choice, ...]:
    return tuple(Choice(o["key"], desk.words(o.get("label"), o["key"])) for o in home.options if o["key"] != key)


def _replacement(desk: Desk, home: Home, key: str) -> Control:
    return Control("replacement", "choice", _("Records that have it get instead"), choices=(*_others(desk, home, key), Choice(EMPTY, _("nothing: the field is emptied"))), required=True)


@get([f"{IN_SET}{ONE}/remove", f"{IN_FIELD}{ONE}/remove"])
async def ask_remove_option(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    return await _ask_remove(desk, home, _option_of(request, home)["key"])


async def _ask_remove(desk: Desk, home: Home, key: str, errors: Sequence[str] = ()) -> Response[Any]:
    notes = []
    for holder in home.holders:
        if (count := await lists.holding(desk, holder, key)) and count != "0":
            notes.append(_("%(field)s: %(count)s records have it.", field=lists.holder_words(desk, holder), count=count))
    notes.append(_("To keep it on those records and only stop it from being chosen, switch it off instead."))
    drawn = await draw(desk, [_replacement(desk, home, key)], {}) if home.holders else []
    name, url = desk.words(home.option(key).get("label"), key), f"{home.url}/o/{key}"
    return await ask_removal(
        desk, f"{home.path}.options[{key}]", home.current, name=words.place(home.title, name), back=url, action=f"{url}/remove", notes=notes, drawn=drawn, errors=errors, status=422 if errors else 200
    )


@post([f"{IN_SET}{ONE}/remove", f"{IN_FIELD}{ONE}/remove"], status_code=200)
async def remove_option(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    found, form = _option_of(request, home), await desk.ask.form()
    if len(home.options) < 2:
        return await _ask_remove(desk, home, found["key"], [_("A list needs at least one option. Add another one first, or remove the whole list.")])
    to = str(form.get("replacement") or "")
    if home.holders and to not in {o["key"] for o in home.options} | {EMPTY}:
        return await _ask_remove(desk, home, found["key"], [_("Say what records get instead.")])
    steps = [replace_step(h, found["key"], None if to == EMPTY else to) for h in home.holders]
    title = words.removed(home.title, desk.words(found.get("label"), found["key"]))
    await take_out(desk, form, f"{home.path}.options[{found['key']}]", title, data=steps)
    return desk.done(home.url)


@get([f"{IN_SET}{ONE}/split", f"{IN_FIELD}{ONE}/split"])
async def split_option(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    return await _split(desk, home, _option_of(request, home)["key"], {"keep": False})


def _split_controls(home: Home) -> list[Control]:
    return [
        Control("lines", "longtext", _("New options, one per line"), _("For both languages write the two names with “|” between them."), required=True, more={"rows": 4}),
        Control("keep", "bool", _("Keep the old option, too")),
    ]  # fmt: skip


async def _split(desk: Desk, home: Home, key: str, values: Mapping[str, Any], errors: Errors | None = None, *, step: int = 1) -> Response[Any]:
    first, second = _split_controls(home), []
    if step == 2:
        new = option_lists.split(home.options, key, str(values.get("lines") or ""), keep=bool(values.get("keep")))
        second = [(lists.holder_words(desk, h), await draw(desk, _rule_controls(desk, home, key, h, new), values, errors)) for h in home.holders]
    return await desk.page(
        "settings/design/option_split", home.current, status=422 if errors else 200, home=home, title=desk.words(home.option(key).get("label"), key), url=f"{home.url}/o/{key}", step=step,
        drawn=await draw(desk, first, values, errors), second=second, lines=str(values.get("lines") or ""), keep=bool(values.get("keep")),
        problems=[text for path, text in (errors or {}).items() if path in ("", "options")],
    )  # fmt: skip


def _rule_controls(desk: Desk, home: Home, key: str, holder: option_lists.Holder, made: option_lists.Added) -> list[Control]:
    """For the records of one field: which of the new options they get."""
    labels = {o["key"]: desk.words(o.get("label"), o["key"]) for o in made.options}
    new = tuple(Choice(k, labels[k]) for k in made.new)
    rest = (*new, *([Choice(key, labels[key])] if key in labels else []), Choice(EMPTY, _("nothing: the field is emptied")))
    columns = (Control("to", "choice", _("Gets"), choices=new, required=True), Control("if", "condition", _("If"), entity=holder.entity))
    name = f"{holder.entity}.{holder.field}"
    return [
        Control(f"rules.{name}", "rows", _("Records that have it"), more={"columns": columns, "needs": "if", "add": _("Add a rule")}),
        Control(f"rest.{name}", "choice", _("All others get"), choices=rest, required=True),
    ]  # fmt: skip


@post([f"{IN_SET}{ONE}/split", f"{IN_FIELD}{ONE}/split"], status_code=200)
async def save_split(request: Request) -> Response[Any]:
    """First the new options, then which records get which."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    home = home_of(desk, request)
    key = _option_of(request, home)["key"]
    values: dict[str, Any] = read(desk, _split_controls(home), form)
    made = option_lists.split(home.options, key, str(values.get("lines") or ""), keep=bool(values.get("keep")))
    if not made.new:
        return await _split(desk, home, key, values, {"lines": _("All of these are there already.") if made.skipped else _("Write at least one option.")})
    if home.holders and form.get("step") != "2":
        return await _split(desk, home, key, values, step=2)
    steps, known = [], {o["key"] for o in made.options}
    for holder in home.holders:
        name = f"{holder.entity}.{holder.field}"
        values |= read(desk, _rule_controls(desk, home, key, holder, made), form)
        rest = str(values.get(f"rest.{name}") or "")
        if rest != EMPTY and rest not in known:
            return await _split(desk, home, key, values, {f"rest.{name}": _("Say what records get instead.")}, step=2)
        rules = [(str(r.get("if") or ""), str(r.get("to") or "")) for r in values.get(f"rules.{name}", ()) if r.get("to") in made.new]
        steps.append(replace_step(holder, key, None if rest == EMPTY else rest, rules))
    names = listed(desk.words(o.get("label"), o["key"]) for o in made.options if o["key"] in made.new)
    title = _("%(list)s: “%(option)s” split into %(names)s", list=home.title, option=desk.words(home.option(key).get("label"), key), names=names)
    errors = await desk.take(edits.put(desk.raw, home.path, home.with_options(made.options)), title, path=f"{home.path}.options", data=steps)
    if errors:
        return await _split(desk, home, key, values, {"": " ".join(errors.values())}, step=2 if home.holders else 1)
    return desk.done(home.url)


@get([f"{IN_SET}{ONE}/merge", f"{IN_FIELD}{ONE}/merge"])
async def merge_options(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    return await _merge(desk, home, _option_of(request, home)["key"], {})


async def _merge(desk: Desk, home: Home, key: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = [Control("others", "picklist", _("Options to merge into it"), _("They go; records that have one of them get “%(option)s” instead.", option=desk.words(home.option(key).get("label"), key)), required=True, choices=_others(desk, home, key))]
    return await desk.page(
        "settings/design/option_merge", home.current, status=422 if errors else 200, home=home, title=desk.words(home.option(key).get("label"), key), url=f"{home.url}/o/{key}",
        drawn=await draw(desk, controls, values, errors),
    )  # fmt: skip


@post([f"{IN_SET}{ONE}/merge", f"{IN_FIELD}{ONE}/merge"], status_code=200)
async def save_merge(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    key = _option_of(request, home)["key"]
    known = {o["key"] for o in home.options} - {key}
    others = [k for k in dict.fromkeys(str(v) for v in (await desk.ask.form()).getall("others", [])) if k in known]
    if not others:
        return await _merge(desk, home, key, {}, {"others": _("Choose at least one.")})
    options = [o for o in home.options if o["key"] not in others]
    steps = [replace_step(h, other, key) for h in home.holders for other in others]
    gone = listed(desk.words(home.option(o).get("label"), o) for o in others[:5]) + (" …" if len(others) > 5 else "")
    title = _("%(list)s: %(names)s merged into “%(option)s”", list=home.title, names=gone, option=desk.words(home.option(key).get("label"), key))
    await desk.take(edits.put(desk.raw, home.path, home.with_options(options)), title, data=steps)
    return desk.done(home.url)


# ---- a whole list -------------------------------------------------------------------------------------------------------


@get("/settings/option-sets/{key:str}/remove")
async def ask_remove_set(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    notes = [_("%(field)s chooses from it.", field=lists.holder_words(desk, h)) for h in home.holders]
    return await ask_removal(desk, home.path, "option-sets", name=home.title, back=home.url, action=f"{home.url}/remove", notes=notes)


@post("/settings/option-sets/{key:str}/remove", status_code=200)
async def remove_set(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    home = home_of(desk, request)
    await take_out(desk, await desk.ask.form(), home.path, words.removed(home.title))
    return desk.done(LIST)


router = Router(
    "",
    route_handlers=[
        option_sets, new_option_set, create_option_set, option_list, save_option_list, many_options, add_many_options, show_option, save_option, ask_remove_option, remove_option,
        split_option, save_split, merge_options, save_merge, ask_remove_set, remove_set,
    ],
)  # fmt: skip
