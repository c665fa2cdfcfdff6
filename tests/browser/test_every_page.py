"""Every page of the menus and settings, in both languages: quiet console, names for everything, no words left untranslated, and
no sideways scrolling on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from babel.messages.pofile import read_po
from playwright.async_api import expect

from saas.i18n import LOCALES
from tests.browser.conftest import Company
from tests.browser.visitor import Visitor
from tests.conftest import ROOT

MORE = (
    "/notifications", "/approvals", "/approvals/deputies", "/forms", "/forms/new", "/settings/approvals", "/settings/departments", "/settings/departments/new", "/profile", "/search?q=a", "/reports", "/settings", "/settings/entities", "/settings/pipelines", "/settings/roles", "/settings/option-sets",
    "/settings/values", "/settings/revisions", "/settings/users", "/settings/users/new", "/settings/users/invite", "/settings/first-steps", "/settings/sample", "/settings/mail", "/settings/outbox", "/settings/runs", "/settings/billing", "/settings/brand", "/settings/domain", "/settings/sso", "/forgot", "/reset/nothing", "/invitation/nothing", "/settings/audit", "/settings/log", "/settings/jobs", "/r/no-such-thing",
)  # fmt: skip

# What assistive technology needs to say: a name for every control, button, link and picture of meaning; ids used once.
NAMELESS = """() => {
  const seen = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: false});
  const words = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent || '').join(' ')
    || [...(e.labels || [])].map((l) => l.textContent).join(' ') || e.textContent || e.title || e.alt || '').trim();
  const controls = [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a[href], summary, [role=button], [role=img]')]
    .filter((e) => seen(e) && !e.closest('[aria-hidden=true]') && !(e.matches('input, select, textarea') ? (words({...e, getAttribute: (n) => e.getAttribute(n), labels: e.labels, textContent: '', title: e.title, alt: ''})) : words(e)))
    .map((e) => e.outerHTML.slice(0, 160));
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  const twice = [...new Set(ids.filter((id, i) => ids.indexOf(id) !== i))].map((id) => `id ${id} twice`);
  const headings = [...document.querySelectorAll('h1')].filter(seen).length ? [] : ['no h1'];
  return [...controls, ...twice, ...headings];
}"""

# The texts and hints a person can meet, without what belongs to the company (data, keys, English names in the designer).
TEXTS = """() => {
  const skip = 'script, style, option, kbd, td, dd, .expr, .c-code, [lang=en], input, textarea, .badge, .picker-list, .me, .side-brand, .shell-top .title, .auth-foot, title';
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(skip)) found.add(walker.currentNode.data.trim());
  for (const name of ['aria-label', 'title', 'placeholder']) for (const e of document.querySelectorAll(`[${name}]`)) if (!e.closest('td, dd, [lang=en]')) found.add(e.getAttribute(name).trim());
  return [...found].filter((text) => /[A-Za-z]{2}/.test(text));
}"""


def untranslated() -> set[str]:
    """Source texts that have a Chinese translation: none of them may stand on a Chinese page."""
    with (ROOT / "saas/locale/zh_CN/messages.po").open("rb") as stream:
        catalogue = read_po(stream, locale="zh_CN")
    found = set()
    for message in catalogue:
        ids, strings = (message.id, message.string) if isinstance(message.id, tuple) else ((message.id,), (message.string,))
        found |= {text for text in ids if text and any(strings) and text not in strings and "%(" not in text}
    return found


async def addresses(visitor: Visitor) -> list[str]:
    """The menus, then per entity its form and one record, then the rest."""
    page = await visitor.go("/")
    menu = [str(await link.get_attribute("href")) for link in await page.locator("#side .nav-item").all()]
    entities = list(dict.fromkeys(m[1] for link in menu if (m := re.match(r"/r/(\w+)", link))))
    found = [*menu, *(f"/r/{entity}/new" for entity in entities[:6]), *(f"/r/{entity}/bin" for entity in entities[:1])]
    for entity in entities[:6]:
        await visitor.go(f"/r/{entity}")
        row = page.locator("[data-list] tr[data-href]").first
        if await row.count():
            found += [str(await row.get_attribute("data-href")), f"{await row.get_attribute('data-href')}/edit"]
    for part in ("option-sets", "entities", "pipelines", "roles", "users"):
        await visitor.go(f"/settings/{part}")
        link = page.locator(f".settings-main a[href^='/settings/{part}/']:not([href$='/new'])").first
        if await link.count():
            found.append(str(await link.get_attribute("href")))
    return list(dict.fromkeys([*found, *MORE]))


async def look_everywhere(company: Company, visit: Any, locale: str) -> None:
    visitor: Visitor = await visit(company, "admin")
    await look_at(visitor, locale, await addresses(visitor), refused=True)


async def look_at(visitor: Visitor, locale: str, paths: Iterable[str], *, main: str = "", refused: bool = False) -> None:
    """Each page answers (but for those that are `refused`, pages of their own), names its controls, speaks `locale` and fits a phone;
    `main` is visible on it."""
    page = visitor.page
    english, bad = untranslated(), []
    for path in paths:
        await page.set_viewport_size({"width": 1440, "height": 900})
        answer = await page.goto(visitor.base + path)
        bad += [f"{path}: {answer and answer.status}"] if not refused and (answer is None or answer.status != 200) else []
        if main:
            await expect(page.locator(main)).to_be_visible()
        bad += [f"{path}: {text}" for text in await page.evaluate(NAMELESS)]
        if locale == "zh_CN":
            bad += [f"{path}: not translated: {text}" for text in await page.evaluate(TEXTS) if text in english]
        await page.set_viewport_size({"width": 390, "height": 844})
        try:
            await visitor.no_sideways_scroll()
        except AssertionError as error:
            bad.append(str(error))
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("locale", LOCALES)
async def test_every_page_is_named_translated_and_fits_a_phone(acme: Company, tianhe: Company, visit: Any, locale: str) -> None:
    await look_everywhere(tianhe if locale == "zh_CN" else acme, visit, locale)


async def test_sign_in_page_speaks_both_languages(acme: Company, visit: Any) -> None:
    visitor = await visit(acme, phone=True)
    page = await visitor.go("/login")
    await visitor.no_sideways_scroll()
    await page.locator("button[lang='zh-CN']").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await page.wait_for_load_state()
    assert [text for text in await page.evaluate(TEXTS) if text in untranslated()] == []
    assert await page.evaluate(NAMELESS) == []
