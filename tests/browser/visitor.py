"""One person in front of one real browser window. Collects what must never happen: console errors, exceptions, policy violations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Response, expect

PATIENCE = 60_000  # ms; only a failing test ever waits so long

# The browser logs every answer of 400 and above; those of our forms are meant to be shown to people.
_EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 4(01|02|03|04|09|22)")
_WATCH = "addEventListener('securitypolicyviolation', (e) => console.error('policy violation: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample));"


class Visitor:
    """A page of a browser context of its own, with the addresses and habits of this product."""

    def __init__(self, context: BrowserContext, page: Page, base: str) -> None:
        self.context, self.page, self.base = context, page, base
        self.wrong: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"{page.url}: {error}"))
        page.on("response", self._response)

    @classmethod
    async def arrive(cls, context: BrowserContext, base: str) -> Visitor:
        context.set_default_timeout(PATIENCE)
        await context.add_init_script(_WATCH)
        return cls(context, await context.new_page(), base)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _EXPECTED.match(message.text):
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.wrong.append(f"{response.request.method} {response.url} -> {response.status}")

    # ---- going about

    async def go(self, path: str) -> Page:
        await self.page.goto(self.base + path)
        return self.page

    async def sign_in(self, email: str, password: str) -> None:
        await self.go("/login")
        await self.page.locator("[name=email]").fill(email)
        await self.page.locator("[name=password]").fill(password)
        await self.page.locator("form.auth-form button").click()
        await expect(self.page.locator(".side")).to_be_attached()

    async def menu(self, text: str) -> None:
        """Follow an entry of the navigation, by the words on it."""
        await self.page.locator("#side .nav-item", has_text=re.compile(rf"^\s*{re.escape(text)}\s*\d*\s*$")).first.click()
        await expect(self.page.locator("#side .nav-item[aria-current=page]")).to_contain_text(text)

    # ---- lists and records

    def row(self, text: str) -> Locator:
        return self.page.locator("tr[data-record-id]", has_text=text)

    async def open_row(self, text: str) -> str:
        """Open the record whose row holds the text; returns its id."""
        row = self.row(text).first
        found = await row.get_attribute("data-record-id")
        await row.locator("a.title-link").click()
        await expect(self.page.locator(f"article[data-record-id='{found}']")).to_be_visible()
        return str(found)

    async def record_id(self) -> str:
        return str(await self.page.locator("article[data-record-id]").get_attribute("data-record-id"))

    def value(self, key: str) -> Locator:
        return self.page.locator(f".detail[data-field='{key}'] dd")

    def header(self, key: str) -> Locator:
        """What stands of a field below a record's name."""
        return self.page.locator(f".record-head [data-head='{key}']")

    def error(self, key: str) -> Locator:
        return self.page.locator(f"[data-error-for='{key}']")

    def transition(self, key: str) -> Locator:
        return self.page.locator(f"[data-transition='{key}']")

    async def begin(self, key: str) -> None:
        """Press the button of a transition that asks something first; its dialog opens."""
        await expect(self.transition(key)).to_be_visible()  # where a script leads to the page that has it
        await self.transition(key).click()
        await expect(self.page.locator("dialog#dialog[open] form")).to_be_visible()

    async def tab(self, text: str) -> None:
        await self.page.locator(".record-head .tabs .tab", has_text=text).click()
        await expect(self.page.locator(".record-head .tabs .tab[aria-current=page]")).to_contain_text(text)

    # ---- forms

    def within(self) -> Locator:
        """The open dialog, or else the page's form."""
        return self.page.locator("dialog#dialog[open] form, body:not(:has(dialog#dialog[open])) main form[method=post]")

    async def fill(self, values: Mapping[str, Any]) -> None:
        """Fill controls named by field key; the kind of control decides how a person would do it."""
        for key, value in values.items():
            box = self.within().locator(f".field[data-field='{key}']")
            await expect(box).to_be_visible()
            await self.page.wait_for_load_state()  # a script makes some kinds of controls
            if await box.locator("select[data-picker]").count():
                await self.pick(box, str(value))
            elif await box.locator("[aria-haspopup=dialog]").count():
                await self.pick_in_window(box, str(value))
            elif await box.locator(f"select[name='{key}']").count():
                options = await box.locator("option").all_text_contents()
                found = next((o for o in options if o.strip() == str(value)), None) or next(o for o in options if o.strip().startswith(str(value)))
                await box.locator(f"select[name='{key}']").select_option(label=found)
            elif await box.locator("input[type=radio]").count():
                await box.locator(f"input[type=radio][value='{value}']").check(force=True)
            else:
                await box.locator(f"[name='{key}']").first.fill(str(value))

    async def pick(self, box: Locator, text: str) -> None:
        """Choose from a picker as people do: type, wait for the candidates, take the one that says so."""
        await box.locator("input[role=combobox]").fill(text)
        option = box.locator("[role=option]", has_text=text).first
        await option.click()
        await expect(box.locator("[role=listbox]")).to_be_hidden()

    async def pick_in_window(self, box: Locator, text: str) -> None:
        """Choose in the window of a field into which nothing is typed."""
        await box.locator("[aria-haspopup=dialog]").click()
        await box.locator("dialog[open] [data-pick-q]").fill(text)
        await box.locator("dialog[open] [role=option]", has_text=text).first.click()
        await expect(box.locator("dialog[open]")).to_have_count(0)

    async def submit(self) -> None:
        await self.within().locator("button.primary, button.solid").last.click()

    async def toast(self, text: str) -> None:
        await expect(self.page.locator(".toast", has_text=text).first).to_be_visible()

    async def problem(self, key: str, text: str = "") -> None:
        """A message stands at the field, and the form is still there."""
        await expect(self.within().locator(f"[data-error-for='{key}']")).to_have_text(re.compile(re.escape(text) if text else r"\S"))

    # ---- the designer

    async def publish(self, message: str) -> None:
        """From the draft's bar to the published revision, with a sentence for the colleagues."""
        await self.page.locator("[data-draft-bar] a[href='/settings/draft']").last.click()
        await expect(self.page.locator("[data-plan]")).to_have_attribute("data-can-publish", "yes")
        await self.page.locator("form.publish [name=message]").fill(message)
        await self.page.locator("form.publish button.primary").click()
        await expect(self.page.locator("[data-revision]").first).to_contain_text(message)

    async def no_sideways_scroll(self) -> None:
        await self.page.wait_for_load_state()
        wide, window = await self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window, f"{self.page.url} is {wide} px wide in a window of {window}: {await self.page.evaluate(_TOO_WIDE)}"


_TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.table-wrap, .tabs, .board, .path'))
  .slice(0, 5).map((e) => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right))"""
