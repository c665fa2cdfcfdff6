"""Every page in both languages: what a Chinese workspace shows is Chinese, what an English one shows is English."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

import saas.app  # noqa: F401  so that every class of errors is there
from saas import errors
from saas.db import tenant_transaction
from saas.i18n import LOCALES, LazyString, gettext, use_locale
from saas.metadata.packs import load_pack
from saas.runtime import jobs
from saas.runtime.contexts import context_for_user
from saas.runtime.worker import run_now
from saas.tenants import create_user, open_session, update_user
from tests.acceptance.api import Person
from tests.conftest import PASSWORD
from tools import messages

ROOT = Path(__file__).resolve().parents[2]
CHINESE = re.compile(r"[\u3400-\u9fff]")
UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WORD = re.compile(r"[A-Za-z][A-Za-z'’]+")
ADDRESSES = re.compile(r"\byour-company\b|\.localhost\b|https?://\S+|\S+@\S+|\S+\.localhost\S*|\.[a-z]{3,4}\b")
# Names of languages are written in their own language; the rest are names, units and file formats.
SHOWN_IN_ANY_LANGUAGE = {"English", "简体中文"}
NAMES = {
    "English", "Ctrl", "Enter", "Esc", "Excel", "CSV", "xlsx", "API", "ID", "JSON", "URL", "MB", "GB", "CNY", "CN", "US", "HK", "TW", "saas", "SaaS", "CRM", "ERP", "GBP", "EUR", "USD", "https", "JB", "RM", "B2B",
}  # fmt: skip
ATTRIBUTES = ("aria-label", "title", "placeholder", "alt", "data-palette", "data-note", "data-confirm", "data-placeholder")
SILENT = {"style", "code", "kbd", "pre", "svg"}
MACHINE_CLASSES = {"expr", "mono", "key"}  # keys and expressions of the configuration
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "use"}


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["key"]] if isinstance(value.get("key"), str) else [])
        for below in value.values():
            yield from _keys(below)
    elif isinstance(value, list):
        for below in value:
            yield from _keys(below)


KEYS = set(_keys(load_pack("baseline-crm")))  # names of definitions in the addresses of the designer
PLACES = {"fields", "options", "rules", "relations", "properties", "new", "type", "remove", "stages", "transitions", "widgets"}


class Page(HTMLParser):
    """The texts a person reads on a page (also those read aloud, and those of charts and scripts), and its links."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._json = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.texts += [given[name] for name in ATTRIBUTES if given.get(name)]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.texts.append(given.get("value", ""))
        self.links += [given[name] for name in ("href", "hx-get") if given.get(name, "").startswith("/")]
        silent = tag in SILENT or bool(MACHINE_CLASSES & set(given.get("class", "").split())) or bool(given.get("lang") and tag != "html")
        if tag == "script":
            silent, self._json = True, given.get("type") == "application/json"
        if tag not in VOID:
            self._open.append((tag, silent))

    def handle_endtag(self, tag: str) -> None:
        self._json = False
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._json:
            self.texts += [text for text in _strings(json.loads(data)) if " " in text or CHINESE.search(text)]
        elif data.strip() and not any(silent for _tag, silent in self._open):
            self.texts.append(" ".join(data.split()))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)


@dataclass
class Walker:
    """A signed-in person who follows links: every kind of page once, every report, dashboard and entity."""

    http: httpx.AsyncClient
    host: str
    cookie: str
    locale: str
    seen: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers={"host": self.host, "cookie": self.cookie, "accept-language": "fr"})

    async def walk(self, *starts: str) -> dict[str, list[str]]:
        """{path: texts} of every page reached."""
        pages: dict[str, list[str]] = {}
        waiting = list(starts)
        while waiting:
            path = waiting.pop(0)
            kind = _kind(path)
            if kind in self.seen or path.startswith(("/static", "/files", "/lookup", "/favicon", "/brand", "/logout", "/api/")):
                continue
            self.seen[kind] = path
            answer = await self.get(path)
            if answer.status_code == 303:
                waiting.append(answer.headers["location"])
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            page = Page(answer.text)
            pages[path] = page.texts
            waiting += page.links
        return pages


def _kind(path: str) -> str:
    """What makes two addresses the same page for our purpose."""
    path, _, query = path.partition("#")[0].partition("?")
    parts = UUIDS.sub("{id}", path).strip("/").split("/")
    if parts[0] == "r" and len(parts) > 2 and parts[2] in ("board", "bin", "views", "export", "import", "{id}") and parts[2:] != ["{id}"]:
        parts[1] = "{entity}"
        if parts[2:4] == ["{id}", "transitions"]:
            parts[4] = "{key}"
    if parts[0] == "settings":  # one of each: what is called what it is does not matter
        parts = [*parts[:2], *("{key}" if part in KEYS and part not in PLACES else part for part in parts[2:])]
    keys = sorted({pair.partition("=")[0] for pair in query.split("&")} - {""})
    if keys:
        parts = [*parts[:1], "…", *parts[2:], *keys]
    return "/".join(parts)


async def open_workspace(http: httpx.AsyncClient, tenant_factory: Any, locale: str) -> Walker:
    """A workspace with something of most things in it, named in its own language."""
    tenant = await tenant_factory(pack="baseline-crm", locale=locale)
    host = f"{tenant.slug}.localhost"
    admin = await Person(http, host, language="zh-CN" if locale == "zh_CN" else "en").sign_in(tenant.admin_email, PASSWORD)
    say = (lambda en, zh: zh) if locale == "zh_CN" else (lambda en, zh: en)
    await update_user(tenant.id, tenant.admin_id, {"name": say("Ada", "林岚")})
    customer = (await admin.create("customer", name=say("Northwind", "北风贸易")))["id"]
    gone = (await admin.create("customer", name=say("Southwind", "南风贸易")))["id"]
    await admin.call("DELETE", f"/records/customer/{gone}", expect=204)
    await admin.create("contact", name=say("Grace", "周静"), customer=customer)
    await admin.create("lead", name=say("Fair visitor", "展会来客"), phone="+8613800138000")
    deal = (await admin.create("opportunity", name=say("Big deal", "大订单"), customer=customer, expected_amount="120000"))["id"]
    await admin.move("opportunity", deal, "qualify", expect=None)
    await admin.create("task", subject=say("Call back", "回电"), assignee=admin.id, due="2030-01-01")
    await admin.create("interaction", customer=customer, channel="phone", content=say("Talked", "通话"))
    token, _csrf, _expires = await open_session(tenant.id, tenant.admin_id, "web")
    return Walker(http, host, f"session={token}", locale)


@pytest_asyncio.fixture(scope="module")
async def chinese(http, tenant_factory) -> tuple[Walker, dict[str, list[str]]]:
    walker = await open_workspace(http, tenant_factory, "zh_CN")
    return walker, await walker.walk("/", "/search?q=风", "/nothing/here", "/settings")


@pytest_asyncio.fixture(scope="module")
async def english(http, tenant_factory) -> tuple[Walker, dict[str, list[str]]]:
    walker = await open_workspace(http, tenant_factory, "en")
    return walker, await walker.walk("/", "/search?q=wind", "/nothing/here", "/settings")


# ---- pages -------------------------------------------------------------------------------------------------------------


def english_words(text: str) -> list[str]:
    """What a reader of Chinese would see as English: words that are neither names nor addresses."""
    plain = ADDRESSES.sub(" ", text)
    for name in SHOWN_IN_ANY_LANGUAGE:
        plain = plain.replace(name, " ")
    return [word for word in WORD.findall(plain) if word not in NAMES]


def english_messages() -> dict[str, re.Pattern[str]]:
    """English texts of the catalogue with a Chinese translation of their own: two words or more, or one word with a capital."""
    found = {}
    for message in messages.load(messages.path_of("zh_CN"), "zh_CN"):
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for text in ids:
            bare = messages.PLACEHOLDER.sub("", text)
            if CHINESE.search(strings[0] or "") and WORD.search(bare) and (" " in bare.strip() or text[0].isupper()):
                parts = [re.escape(part) for part in re.split(r"%\(\w+\)[sd]", text)]
                found[text] = re.compile(".+".join(parts))
    return found


async def test_a_chinese_workspace_shows_no_english(chinese):
    walker, pages = chinese
    said: dict[str, str] = {}
    for path, texts in pages.items():
        if not path.startswith("/settings"):  # those show keys and expressions of the configuration, see the next test
            for text in texts:
                if walker.host.partition(".")[0] not in text.lower() and english_words(text):
                    said.setdefault(text, path)
    assert said == {}


async def test_no_english_message_is_left_in_chinese_settings(chinese):
    _walker, pages = chinese
    known = english_messages()
    said = {}
    for path, texts in pages.items():
        for text in texts:
            if CHINESE.search(text) or re.fullmatch(r"[a-z0-9_]+", text):
                continue
            for message, pattern in known.items():
                if pattern.fullmatch(text):
                    said.setdefault(text, (path, message))
    assert said == {}


async def test_chinese_is_put_together_with_full_width_marks(chinese):
    _walker, pages = chinese
    said = {text: path for path, texts in pages.items() for text in texts if re.search(r"[\u4e00-\u9fff][,;:?!]\s*[\u4e00-\u9fff]", text)}
    assert said == {}


async def test_an_english_workspace_shows_no_chinese(english):
    _walker, pages = english
    said = {}
    for path, texts in pages.items():
        for text in texts:
            if CHINESE.search(re.sub("简体中文", "", text)):
                said.setdefault(text, path)
    assert said == {}


async def test_the_walk_reaches_every_kind_of_page(chinese, english):
    for walker, pages in (chinese, english):
        reached = {_kind(path) for path in pages}
        for kind in (
            "dashboards/overview", "r/customer", "r/customer/{id}", "r/customer/new", "r/{entity}/{id}/edit", "r/{entity}/{id}/delete", "r/{entity}/{id}/move",
            "r/{entity}/{id}/transitions/{key}", "r/{entity}/board", "r/{entity}/bin", "r/{entity}/views/new", "r/{entity}/import", "r/{entity}/export", "reports/sales",
            "notifications", "profile", "settings", "settings/entities/{key}", "settings/entities/{key}/fields/{key}", "settings/pipelines/{key}", "settings/roles/{key}",
            "settings/option-sets/{key}", "settings/option-sets/{key}/o/{key}", "settings/relations", "settings/numbering", "settings/labels",
            "settings/values", "settings/revisions", "settings/users", "settings/users/new", "settings/audit", "settings/jobs", "settings/automations", "settings/schedules",
        ):  # fmt: skip
            assert kind in reached, (walker.locale, kind)


@pytest.mark.parametrize("locale", LOCALES)
async def test_pages_of_strangers_follow_their_browser(http, chinese, locale):
    walker, _pages = chinese
    given = {"accept-language": "zh-CN,zh;q=0.9" if locale == "zh_CN" else "en-GB,en;q=0.8"}
    for host, path in (("localhost", "/"), ("operator.localhost", "/login"), ("nobody-here.localhost", "/")):
        answer = await http.get(path, headers={"host": host, **given})
        texts = [text for text in Page(answer.text).texts if text not in SHOWN_IN_ANY_LANGUAGE]
        wrong = [t for t in texts if (english_words(t) if locale == "zh_CN" else CHINESE.search(t))]
        assert texts and wrong == [], (host, path)
    answer = await http.get("/login", headers={"host": walker.host, **given})
    assert ('lang="zh-CN"' if locale == "zh_CN" else 'lang="en"') in answer.text


async def test_problems_of_the_api_are_in_the_language_asked_for(http, chinese):
    walker, _pages = chinese
    for tag, expected in (("zh-CN", True), ("en", False)):
        answer = await http.get("/api/v1/me", headers={"host": walker.host, "accept-language": tag})
        assert answer.status_code == 401
        assert bool(CHINESE.search(answer.json()["title"])) is expected
        assert bool(CHINESE.search(answer.json()["detail"])) is expected


# ---- work in the background --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "chinese_expected"), [(None, True), ("en", False)])
async def test_background_work_speaks_the_language_of_its_person(tenant_factory, own, chinese_expected):
    tenant = await tenant_factory(pack="baseline-crm", locale="zh_CN")
    await update_user(tenant.id, tenant.admin_id, {"locale": own})
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        job_id = await jobs.enqueue(conn, ctx, "export_records", {"entity": "customer", "format": "csv", "columns": ["nothing"]})
    with use_locale("en" if chinese_expected else "zh_CN"):  # whatever the worker did before
        job = await run_now(ctx, job_id)
    assert job.status == "failed" and job.error
    assert bool(CHINESE.search(job.error)) is chinese_expected


async def test_background_work_of_somebody_who_left_speaks_the_companys_language(tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm", locale="zh_CN")
    leaver = await create_user(tenant.id, f"leaver@{tenant.slug}.example", PASSWORD, "Leaver", ["sales"], locale="en")
    ctx = await context_for_user(tenant.id, leaver)
    async with tenant_transaction(tenant.id) as conn:
        job_id = await jobs.enqueue(conn, ctx, "export_records", {"entity": "customer", "format": "csv"})
    await update_user(tenant.id, leaver, {"status": "inactive"})
    job = await run_now(ctx, job_id)
    assert job.status == "failed" and CHINESE.search(job.error)


# ---- errors ------------------------------------------------------------------------------------------------------------


def _kinds_of_error() -> list[type[errors.AppError]]:
    found, waiting = [], [errors.AppError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", _kinds_of_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_words_in_both_languages(kind):
    assert isinstance(kind.title, LazyString)
    with use_locale("zh_CN"):
        assert CHINESE.search(str(kind.title))
        assert not english_words(str(kind.title))
    with use_locale("en"):
        assert not CHINESE.search(str(kind.title))


def test_what_went_wrong_is_never_said_in_one_language_only():
    """Errors and problems get their words from the catalogue or from the configuration, never from a bare literal."""
    names = {kind.__name__ for kind in _kinds_of_error()} - {"InvalidInput", "InvalidDefinition"} | {"FieldProblem", "DefinitionProblem"}
    place = {"FieldProblem": 2, "DefinitionProblem": 2, "FilterError": 1}
    bare = []
    for path in sorted((ROOT / "saas").rglob("*.py")):
        if path.name == "cli.py":  # the console speaks English
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in names:
                continue
            index = place.get(node.func.id, 0)
            given = [k.value for k in node.keywords if k.arg == "message"] or node.args[index : index + 1]
            if given and (isinstance(given[0], ast.JoinedStr) or (isinstance(given[0], ast.Constant) and given[0].value)):
                bare.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert bare == []


def test_every_event_of_the_audit_log_has_a_name():
    from saas.ui.settings_views import AUDIT_EVENTS

    kinds = {kind for path in (ROOT / "saas").rglob("*.py") for kind in re.findall(r'record_audit\((?:[^()]|\n)*?"([a-z_]+\.[a-z_]+)"', path.read_text("utf-8"))}
    assert len(kinds) > 10
    assert kinds - set(AUDIT_EVENTS) == set()
    assert {f"record.{kind}" for kind in re.findall(r'_note\(act, entity, row, "([a-z]+)"', (ROOT / "saas/runtime/shares.py").read_text("utf-8"))} <= set(AUDIT_EVENTS)


def test_every_effect_of_a_run_has_a_word():
    from saas.ui.pages.runs import EFFECTS

    kinds = {kind for path in (ROOT / "saas" / "runtime").rglob("*.py") for kind in re.findall(r'\.effect\("([a-z_]+)"', path.read_text("utf-8"))}
    assert len(kinds) > 10
    assert kinds - set(EFFECTS) == set()


def test_every_word_of_a_refused_value_is_translated():
    """The sentences for what JSON Schema and the field types find wrong, and the labels of all kinds."""
    from saas.metadata import kinds, problems, shape_words, value_words

    texts = [t for module in (problems, shape_words, value_words) for value in vars(module).values() for t in _lazies(value)]
    registries = (kinds.field_types, kinds.widget_types, kinds.trigger_types, kinds.action_types)
    texts += [kind.label for registry in registries for kind in registry]
    assert len(texts) > 60
    with use_locale("zh_CN"):
        assert [t.message for t in texts if not CHINESE.search(gettext(t.message))] == []


def test_titles_of_options_are_translated():
    from saas.metadata import kinds

    untranslated = []
    with use_locale("zh_CN"):
        for registry in (kinds.field_types, kinds.widget_types, kinds.trigger_types, kinds.action_types):
            for kind in registry:
                for text in _titles(kind.options_schema):
                    if not CHINESE.search(gettext(text)):
                        untranslated.append((kind.key, text))
    assert untranslated == []


def _titles(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("title", "description") and isinstance(value, str):
                yield value
            else:
                yield from _titles(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from _titles(value)


def _lazies(value: Any) -> Iterator[LazyString]:
    if isinstance(value, LazyString):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _lazies(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _lazies(entry)
