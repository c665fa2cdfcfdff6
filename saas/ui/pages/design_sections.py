"""Settings: sections of the configuration whose definitions are a form each: texts of messages, and what else says so in `SECTIONS`.

Who: an admin who writes what people outside get to read. What next: they publish, then send one to themselves or try the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import FormMultiDict

from saas.i18n import LazyString, lazy, listed
from saas.i18n import gettext as _
from saas.metadata.property_words import CHANNELS, EVENTS, ON_MATCH
from saas.metadata.references import PUBLIC_TYPES
from saas.tenants.links import address_of
from saas.ui.builder import words
from saas.ui.builder.controls import Control, ControlKind, control_kinds, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.stacks import fresh_key, is_gesture, missing
from saas.ui.guards import site_of
from saas.ui.pages.definition_pages import WHICH, addresses, pages
from saas.ui.views import Choice, Link

ControlsOf = Callable[[Desk, str], Sequence[Control]]


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its place below /settings, its words, its controls for an entity, and a line about one definition. `links`: further
    pages about what it makes, for its list."""

    section: str
    part: str
    icon: str
    noun: LazyString
    title: LazyString
    lead: LazyString
    new: LazyString
    empty: LazyString
    controls: ControlsOf
    detail: Callable[[Desk, Mapping[str, Any]], str]
    links: tuple[tuple[LazyString, str, str], ...] = ()
    about: LazyString = WHICH
    try_at: str = ""  # the public page of one

    @property
    def url(self) -> str:
        return f"/settings/{self.part}"

    def path(self, key: str) -> str:
        return f"{self.section}[{key}]"


# ---- the controls of each ----------------------------------------------------------------------------------------------


def channel_choices() -> tuple[Choice, ...]:
    return tuple(Choice(key, str(label)) for key, label in CHANNELS.items())


def _template_controls(desk: Desk, entity: str) -> list[Control]:
    return [
        Control("label", "label", _("Name"), _("Only colleagues see it."), required=True),
        Control("channels", "choices", _("Sent by"), required=True, choices=channel_choices()),
        Control("to", "people", _("Who gets it"), _("Unless whoever sends it says otherwise."), entity=entity, more={"addresses": True}),
        Control("subject", "template", _("Subject"), _("For e-mail, and the title of a message in the product."), entity=entity),
        Control("body", "template", _("Text"), required=True, entity=entity, more={"rows": 8}),
        Control("language", "expression", _("Language"), _("A formula that gives en or zh_CN. Without: the language of the person, else that of the workspace."), entity=entity, result="text", advanced=True),
        Control("essential", "bool", _("Also to those who opted out"), _("For messages that people need, such as a contract or an answer they asked for. Advertising never is."), default=False, advanced=True),
    ]  # fmt: skip


def _template_detail(desk: Desk, raw: Mapping[str, Any]) -> str:
    return listed(str(CHANNELS.get(str(c), c)) for c in raw.get("channels") or ())


TEMPLATES = Section(
    "templates", "templates", "mail", lazy("Message"), lazy("Message texts"), lazy("What people get to read by e-mail, by SMS or in the product. Automations send them, or somebody from a list or a record."),
    lazy("New message"), lazy("A welcome, a reminder, birthday wishes: written once, with the record's own values in it."), _template_controls, _template_detail,
    ((lazy("Sent messages"), "/settings/messages", "mail"),),
)  # fmt: skip


def _field_choices(desk: Desk, entity: str) -> tuple[Choice, ...]:
    found = desk.config.entities.get(entity)
    return tuple(Choice(f.key, desk.words(f.label, f.key)) for f in found.declared.values() if f.type in PUBLIC_TYPES) if found else ()


def _refs(desk: Desk, entity: str) -> tuple[Choice, ...]:
    found = desk.config.entities.get(entity)
    return tuple(Choice(f.key, desk.words(f.label, f.key)) for f in found.declared.values() if f.type == "ref") if found else ()


def _web_form_controls(desk: Desk, entity: str) -> list[Control]:
    fields = _field_choices(desk, entity)
    return [
        Control("label", "label", _("Title"), required=True),
        Control("intro", "label", _("Text above")),
        Control("fields", "sorter", _("What is asked"), required=True, choices=fields),
        Control("required", "choices", _("Must be filled in"), _("Only of what is asked."), choices=fields),
        Control("match", "choices", _("The same as before if equal in"), _("Such as the e-mail address. Without, each answer makes a new record."), choices=fields),
        Control("on_match", "choice", _("Then"), default="fill", choices=tuple(Choice(k, str(t)) for k, t in ON_MATCH.items())),
        Control("owner_role", "choice", _("Given in turn to people with the role"), choices=tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles), more={"empty": _("Nobody in particular")}),
        Control("answers_to", "choice", _("Answers are about"), _("Makes it a survey: it opens by a link in a message, for one record, once."), choices=_refs(desk, entity), advanced=True, more={"empty": _("Nothing: everybody may fill it in")}),
        Control("days", "number", _("Days the link is good for"), default=30, advanced=True, more={"min": 1, "max": 365}),
        Control("values", "values", _("Set by itself"), _("Further fields of the new record, such as where it came from."), entity=entity, advanced=True, more={"about": entity}),
        Control("button", "label", _("Text of the button"), advanced=True),
        Control("thanks", "label", _("Text afterwards")),
        Control("redirect", "text", _("Then go on to"), _("An address that begins with https://"), advanced=True),
        Control("embed_on", "lines", _("May stand in a frame on"), _("Sites, one on a line, such as https://www.example.com"), advanced=True),
        Control("question", "bool", _("Asks a small sum"), _("Where programs send nonsense in spite of everything else."), default=False, advanced=True),
        Control("per_hour", "number", _("At most so many an hour"), default=200, advanced=True, more={"min": 1, "max": 10000}),
        Control("active", "bool", _("Switched on"), default=True),
    ]  # fmt: skip


WEB_FORMS = Section(
    "web_forms", "web-forms", "list", lazy("Web form"), lazy("Web forms"), lazy("Pages on which people outside leave their details. What they send becomes a record."),
    lazy("New web form"), lazy("A contact form, an application, a request for a call: on your own address, or in a frame of your website."), _web_form_controls,
    lambda desk, raw: "" if raw.get("active") is not False else _("switched off"), about=lazy("Which records does it make?"), try_at="/f/{key}",
)  # fmt: skip


def _webhook_controls(desk: Desk, entity: str) -> list[Control]:
    found = desk.config.entities.get(entity)
    fields = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in found.fields.values()) if found else ()
    return [
        Control("label", "label", _("Name"), required=True),
        Control("events", "choices", _("Tells when a record is"), required=True, choices=tuple(Choice(k, str(t)) for k, t in EVENTS.items())),
        Control("if", "condition", _("Only if"), entity=entity, result="bool"),
        Control("fields", "choices", _("Fields that are told"), _("None ticked: all but sensitive and computed ones."), choices=fields, advanced=True),
        Control("active", "bool", _("Switched on"), default=True),
    ]  # fmt: skip


WEBHOOKS = Section(
    "webhooks", "webhooks", "world", lazy("Webhook"), lazy("Webhooks"), lazy("Tell another system what happens to records, by a signed request to its address."), lazy("New webhook"),
    lazy("Each event is sent once it is saved, tried again until it arrives, and kept in a log."), _webhook_controls,
    lambda desk, raw: listed(str(EVENTS.get(str(e), e)) for e in raw.get("events") or ()), ((lazy("Connections"), "/settings/connections", "link"),),
)  # fmt: skip


@control_kinds.register
class FieldMapControl(ControlKind):
    """Which field takes what: one `field = path` on a line."""

    key = "field_map"
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        lines = [line.partition("=") for line in str(form.get(control.name) or "").splitlines()[:60] if line.strip()]
        return {name.strip()[:48]: path.strip()[:200] for name, _sign, path in lines}

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        found = desk.config.entities.get(control.entity)
        return {
            "text": "\n".join(f"{name} = {path}" for name, path in value.items()) if isinstance(value, Mapping) else "",
            "known": [(f.key, desk.words(f.label, f.key)) for f in found.declared.values()] if found else [],
        }  # fmt: skip


def _inbound_controls(desk: Desk, entity: str) -> list[Control]:
    found = desk.config.entities.get(entity)
    fields = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in found.declared.values()) if found else ()
    then = (Choice("update", _("change the record there is")), *(Choice(k, str(t)) for k, t in ON_MATCH.items()))
    return [
        Control("label", "label", _("Name"), required=True),
        Control("map", "field_map", _("Where values stand"), _("One on a line: field = path in the JSON that is sent, such as name = data.customer.name."), required=True, entity=entity),
        Control("lookup", "field_map", _("Found by"), _("For links: one on a line, field = the field of the linked record that holds what is sent, such as card = number."), entity=entity, advanced=True),
        Control("match", "choices", _("The same as before if equal in"), choices=fields),
        Control("on_match", "choice", _("Then"), default="update", choices=then),
        Control("once", "text", _("Number of the message"), _("Path of what makes a message the same when it comes again, such as id.")),
        Control("signed", "bool", _("Must be signed"), default=False),
        Control("values", "values", _("Set by itself"), _("Further fields of the new record, such as where it came from."), entity=entity, advanced=True, more={"about": entity}),
        Control("active", "bool", _("Switched on"), default=True),
    ]  # fmt: skip


INBOUND = Section(
    "inbound_hooks", "inbound-hooks", "download", lazy("Inbound webhook"), lazy("Inbound webhooks"), lazy("Take what another system says as records, at a secret address."), lazy("New inbound webhook"),
    lazy("A shop's orders, a switchboard's calls, sign-ups of another site."), _inbound_controls, lambda desk, raw: listed(str(k) for k in raw.get("map") or ()),
    ((lazy("Connections"), "/settings/connections", "link"),), about=lazy("Which records does it make?"),
)  # fmt: skip
SECTIONS: Mapping[str, Section] = {s.part: s for s in (TEMPLATES, WEB_FORMS, WEBHOOKS, INBOUND)}


# ---- pages -------------------------------------------------------------------------------------------------------------


def _section_of(request: Request) -> Section:
    return SECTIONS[request.url.path.split("/")[2]]


def _named(section: Section) -> dict[str, Any]:
    return {
        "url": section.url, "links": [Link(str(text), url, symbol) for text, url, symbol in section.links], "icon": section.icon,
        **{name: str(getattr(section, name)) for name in ("noun", "title", "lead", "new", "empty")},
    }  # fmt: skip


@get(addresses(tuple(SECTIONS.values())))
async def listing(request: Request) -> Response[Any]:
    desk, section = await open_desk(request), _section_of(request)
    rows = [_row(desk, section, raw) for raw in desk.raw.get(section.section, ()) if isinstance(raw, Mapping)]
    return await desk.page("settings/design/sections", section.part, section=_named(section), rows=rows)


def _row(desk: Desk, section: Section, raw: Mapping[str, Any]) -> dict[str, Any]:
    key, entity = str(raw.get("key")), desk.config.entities.get(str(raw.get("entity")))
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{section.url}/{key}", "detail": section.detail(desk, raw),
        "entity": desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity") or ""), "problems": len(desk.problems_at(section.path(key))),
    }  # fmt: skip


async def _form(desk: Desk, section: Section, raw: Mapping[str, Any], values: Mapping[str, Any], errors: Errors, *, mark: str, status: int = 200) -> Response[Any]:
    key, entity = str(raw.get("key") or ""), desk.config.entities.get(str(raw.get("entity")))
    controls = section.controls(desk, str(raw.get("entity")))
    title, public = desk.words(raw.get("label"), key) if key else str(section.new), _public_url(desk, section, key, raw)
    return await desk.page(
        "settings/design/section", section.part, status=status, section=_named(section), title=title, key=key,
        entity_key=str(raw.get("entity")), entity=desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), mark=mark,
        entity_url=f"/settings/entities/{entity.key}" if entity else "", drawn=await draw(desk, controls, values, errors), problems=left_over(errors, controls),
        public_url=public, public_frame=f'<iframe src="{escape(public)}" title="{escape(title)}" width="100%" height="640" style="border:0"></iframe>', action=f"{section.url}/{key or 'new'}", broken=[str(p.message) for p in desk.problems_at(section.path(key))] if key and not errors else [],
    )  # fmt: skip


def _public_url(desk: Desk, section: Section, key: str, raw: Mapping[str, Any]) -> str:
    """Where people outside open it; only what is published has such a page."""
    tenant = site_of(desk.ask.request).tenant
    published = key and section.try_at and any(d.key == key for d in getattr(desk.ask.ctx.config.bundle, section.section))
    return address_of(tenant, section.try_at.format(key=key)) if published and tenant is not None else ""


async def _save(desk: Desk, section: Section, old: Mapping[str, Any], form: FormMultiDict) -> Response[Any]:
    key, mark = str(old.get("key") or ""), str(form.get("_mark") or "")
    controls = section.controls(desk, str(old.get("entity")))
    values = read(desk, controls, form)
    if is_gesture(form):
        return await _form(desk, section, old, values, {}, mark=mark)
    new = laid(old, controls, values)
    if not key:
        new = {"key": fresh_key(desk, values.get("label"), section.section, section.section.removesuffix("s")), **new}
    what = (str(section.noun), desk.words(new.get("label"), new["key"]))
    title = words.changed(*what) if key else words.added(*what)
    errors = await desk.save(section.path(new["key"]), new, title, mark=mark if key else None, found=missing(desk, controls, values))
    if errors:
        return await _form(desk, section, old, values, errors, mark=mark, status=422)
    return desk.done(section.url)


async def _draw(desk: Desk, section: Section, raw: Mapping[str, Any]) -> Response[Any]:
    if "key" in raw:
        return await _form(desk, section, raw, raw, {}, mark=desk.mark(section.path(str(raw["key"]))))
    return await _form(desk, section, raw, {c.name: c.default for c in section.controls(desk, str(raw["entity"])) if c.default is not None}, {}, mark="")


router = Router("", route_handlers=[listing, *pages(tuple(SECTIONS.values()), _draw, _save)])
