"""Charts drawn by our own script: right sizes, words under the pointer, records behind a click, both themes, narrow screens."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import expect


async def drawn(page, widget: str) -> list[float]:
    """The lengths of a bar chart's bars, along the axis of values."""
    return await page.locator(f"[data-widget={widget}] .chart").evaluate(
        "(box) => { const data = JSON.parse(document.getElementById(box.dataset.chart).textContent); const flat = data.horizontal ?? (data.labels.length > 7 || data.labels.some((l) => l.length > 14));"
        " return [...box.querySelectorAll('rect.chart-mark')].map((bar) => bar.getBBox()[flat ? 'width' : 'height']); }"
    )


async def test_bars_are_as_long_as_their_values(acme, visit) -> None:
    admin = await visit(acme, "admin")
    page = await admin.go("/reports/sales")
    await expect(page.locator("[data-widget=by_source] .chart svg")).to_be_visible()
    values = json.loads(await page.locator("#data-by_source").text_content())["series"][0]["values"]
    lengths = await drawn(page, "by_source")
    assert len(lengths) == len(values) >= 3
    for value, length in zip(values, lengths, strict=True):
        assert length == pytest.approx(lengths[0] * value / values[0], abs=1.0)


async def test_the_pointer_reads_and_a_click_opens_records(acme, visit) -> None:
    admin = await visit(acme, "admin")
    page = await admin.go("/reports/sales")
    box = page.locator("[data-widget=by_source] .chart")
    data = json.loads(await page.locator("#data-by_source").text_content())
    zone = box.locator(".chart-zone").first
    await zone.hover()
    await expect(box.locator(".chart-tip")).to_contain_text(data["labels"][0])
    await expect(box.locator(".chart-tip-value")).to_have_text(f"{data['series'][0]['values'][0]:,.2f}".rstrip("0").rstrip("."))
    inside = await box.evaluate("(box) => { const a = box.getBoundingClientRect(), b = box.querySelector('.chart-tip').getBoundingClientRect(); return b.left >= a.left - 1 && b.right <= a.right + 1; }")
    assert inside
    await page.mouse.move(0, 0)
    await expect(box.locator(".chart-tip")).to_have_count(0)
    await zone.click()
    await expect(page.locator("#count")).to_be_visible()
    assert "/r/" in page.url and "filter=" in page.url


async def test_shares_and_legends(acme, visit) -> None:
    admin = await visit(acme, "admin")
    page = await admin.go("/reports/sales")
    data = json.loads(await page.locator("#data-by_team").text_content())
    assert data["type"] == "pie"
    await expect(page.locator("[data-widget=by_team] .chart-slice")).to_have_count(len([v for v in data["series"][0]["values"] if v]))
    await expect(page.locator("[data-widget=by_team] .chart-legend .chart-key")).to_have_text(data["labels"])


@pytest.mark.parametrize("phone", [False, True])
async def test_it_fits_and_is_drawn_again_when_the_window_changes(acme, visit, phone) -> None:
    admin = await visit(acme, "admin", phone=phone, dark=phone)
    page = await admin.go("/reports/sales")
    box = page.locator("[data-widget=by_month] .chart")
    await expect(box.locator("svg")).to_be_visible()
    fits = "(box) => { const a = box.getBoundingClientRect(); return [...box.querySelectorAll('svg *')].every((n) => { const b = n.getBoundingClientRect(); return b.left >= a.left - 2 && b.right <= a.right + 2 && b.bottom <= a.bottom + 2; }); }"
    assert await box.evaluate(fits)
    before = await box.get_attribute("data-drawn")
    await page.set_viewport_size({"width": 700, "height": 900})
    await expect(box).not_to_have_attribute("data-drawn", before or "")
    assert await box.evaluate(fits)
    colour = await box.locator("rect.chart-mark").first.evaluate("(bar) => getComputedStyle(bar).fill")
    assert colour.startswith(("rgb", "color", "oklab")) and colour != "rgb(0, 0, 0)"
