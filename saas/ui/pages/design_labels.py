"""Labels: every text of the configuration in both languages, side by side, to be searched and filled in.

Who: a translator. What next: somebody who speaks that language reads the pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict

from saas.i18n import LOCALES, ngettext, titled
from saas.i18n import gettext as _
from saas.metadata.labels import Text, texts, with_texts
from saas.metadata.problems import PER_ENTITY
from saas.ui.builder import words
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.design_views import entity_words
from saas.ui.forms import with_query
from saas.ui.guards import whole_number
from saas.ui.views import Choice

LIST = "/settings/labels"
PAGE = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for."""

    missing: str = ""  # a language, "any" or nothing
    section: str = ""
    q: str = ""
    page: int = 1

    def url(self, page: int | None = None) -> str:
        number = page or self.page
        return with_query(LIST, [("missing", self.missing), ("section", self.section), ("q", self.q), ("page", str(number) if number > 1 else "")])

    def takes(self, text: Text) -> bool:
        if self.section and text.section != self.section:
            return False
        if self.missing and not (text.missing if self.missing == "any" else self.missing in text.missing):
            return False
        needle = self.q.casefold()
        return not needle or any(needle in str(value).casefold() for value in (*text.label.values(), *(v for o in text.owners if isinstance(o, Mapping) for v in o.values())))


def _wanted(query: Mapping[str, str]) -> Wanted:
    missing = query.get("missing", "")
    return Wanted(missing if missing in (*LOCALES, "any") else "", query.get("section", "")[:48], query.get("q", "").strip()[:100], max(1, whole_number(query.get("page", "")) or 1))


@get("/settings/labels")
async def labels(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _page(desk, _wanted(request.query_params))


async def _page(desk: Desk, wanted: Wanted, *, typed: Mapping[str, Mapping[str, str]] | None = None, errors: Mapping[str, str] | None = None) -> Response[Any]:
    every = list(texts(desk.raw))
    found = [t for t in every if wanted.takes(t) or t.path in (typed or {})]
    pages = max(1, -(-len(found) // PAGE))
    number = min(wanted.page, pages)
    shown = found[(number - 1) * PAGE : number * PAGE]
    missing = {locale: sum(locale in t.missing for t in every) for locale in LOCALES}
    return await desk.page(
        "settings/design/labels", "labels", status=422 if errors else 200, rows=[_row(desk, t, (typed or {}).get(t.path), (errors or {}).get(t.path, "")) for t in shown],
        wanted=wanted, total=len(every), found=len(found), pages=pages, number=number, sections=_sections(every, wanted), missing=[(k, _missing_words(k), missing[k], wanted.missing == k) for k in LOCALES],
        previous=wanted.url(number - 1) if number > 1 else "", following=wanted.url(number + 1) if number < pages else "", action=wanted.url(),
        problems=[text for path, text in (errors or {}).items() if path not in {t.path for t in shown}],
    )  # fmt: skip


def _missing_words(locale: str) -> str:
    return {"en": _("English is missing"), "zh_CN": _("Chinese is missing")}[locale]


def _sections(every: Iterable[Text], wanted: Wanted) -> list[Choice]:
    there = dict.fromkeys(t.section for t in every)
    return [Choice(key, section_words(key), key == wanted.section) for key in there]


def section_words(section: str) -> str:
    return {
        "pack": _("The configuration itself"), "settings": _("Values"), "option_sets": _("Option lists"), "departments": _("Departments"), "entities": _("Entities"), "pipelines": _("Pipelines"),
        "roles": _("Roles"), "views": _("Views"), "layouts": _("Layouts"), "reports": _("Reports"), "dashboards": _("Dashboards"), "automations": _("Automations"),
        "schedules": _("Schedules"), "approvals": _("Approvals"), "examples": _("Examples"), "ledgers": _("Ledgers"), "forms": _("Entry forms"), "pricing": _("Pricing"), "statements": _("Statements"), "reviews": _("Reviews"), "connectors": _("Connectors"), "mirrors": _("Mirrors"), "live_lists": _("Live lists"), "calls": _("Calls"),
    }.get(section, section)  # fmt: skip


def property_words(name: str) -> str:
    """What a text is for; a definition's own name says nothing more."""
    return {
        "plural": _("Several"), "description": _("Description"), "help": _("Help"), "message": _("Message"), "unit": _("Unit"), "owner_label": _("Owner"), "guard_message": _("Message"),
        "confirm": _("Question"), "done": _("Done"), "created": _("After creating"), "updated": _("After changing"), "deleted": _("After deleting"), "confirm_delete": _("Before deleting"),
        "title": _("Title"), "body": _("Text"),
    }.get(name, "")  # fmt: skip


def kind_words(kind: str) -> str:
    """Parts that have no name but this text."""
    return {"menu": _("Menu"), "inverse": _("List on the other side"), "measure": _("Figure"), "band": _("Band")}.get(kind, "")


def _row(desk: Desk, text: Text, typed: Mapping[str, str] | None, error: str) -> dict[str, Any]:
    label = typed if typed is not None else text.label
    return {
        "path": text.path, "place": _place(desk, text), "error": error, "missing": bool(text.missing), "long": any(len(v) > 60 for v in text.label.values()),
        **{locale: label.get(locale, "") for locale in LOCALES},
    }  # fmt: skip


def _place(desk: Desk, text: Text) -> str:
    """“Entities · Customer · Phone: Help”. What a text names itself is not said again."""
    owners = [o for o in text.owners if o is not text.label]
    names = [desk.words(o, "") if isinstance(o, Mapping) else o for o in owners if isinstance(o, Mapping) or text.section not in PER_ENTITY]
    if text.section in PER_ENTITY:
        names.insert(0, entity_words(desk, text.path.partition("[")[2].partition(":")[0]))
    place = words.place(section_words(text.section), *names)
    what = property_words(text.name) or kind_words(text.kind)
    return titled(place, what) if what else place


@post("/settings/labels", status_code=200)
async def save_labels(request: Request) -> Response[Any]:
    """Everything changed on the page in one step."""
    desk = await open_desk(request)
    wanted = _wanted(request.query_params)
    typed = _typed(await desk.ask.form())
    now = {t.path: dict(t.label) for t in texts(desk.raw)}
    changes = {path: {**{k: v for k, v in now[path].items() if k not in LOCALES}, **label} for path, label in typed.items() if path in now and _texts_of(now[path]) != label}
    errors = {path: _("Write it in at least one language.") for path, label in changes.items() if not any(label.values())}
    if not errors and changes:
        new = with_texts(desk.raw, changes)
        problems = await desk.new_problems(new)
        errors = {next((p for p in changes if problem.path.startswith(p)), problem.path): str(problem.message) for problem in problems}
        if not errors:
            await desk.take(new, titled(_("Labels"), ngettext("%(count)s text changed", "%(count)s texts changed", len(changes))))
    if errors:
        return await _page(desk, wanted, typed=typed, errors=errors)
    return desk.done(wanted.url())


def _typed(form: FormMultiDict) -> dict[str, dict[str, str]]:
    """{path: {language: text}} of the rows posted."""
    found = {}
    for number in range(PAGE):
        if path := str(form.get(f"t.{number}.path") or ""):
            found[path] = {locale: text for locale in LOCALES if (text := str(form.get(f"t.{number}.{locale}") or "").strip())}
    return found


def _texts_of(label: Mapping[str, str]) -> dict[str, str]:
    return {locale: label[locale] for locale in LOCALES if label.get(locale)}


router = Router("", route_handlers=[labels, save_labels])
