"""Make the pictures of the pack gallery: real pages of each shipped pack, with its sample data, in each language.

    python tools/pack_pictures.py [pack …]      writes saas/ui/static/packs/<pack>-<screen>-<language>.webp

Run it after a pack or the look of the pages has changed; it needs a Chromium (SAAS_CHROMIUM) and takes some minutes. What there must be
and how large it may be is checked by tests/contracts/test_pack_gallery.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.async_api import Browser, async_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from saas.app import create_app  # noqa: E402
from saas.db import close_database, open_database  # noqa: E402
from saas.db.migrate import migrate  # noqa: E402
from saas.i18n import LOCALES  # noqa: E402
from saas.metadata.packs import list_packs  # noqa: E402
from saas.provision import provision_tenant  # noqa: E402
from saas.runtime import operations as ops  # noqa: E402
from saas.runtime.contexts import system_context  # noqa: E402
from saas.runtime.door import execute  # noqa: E402
from saas.runtime.leading import leading  # noqa: E402
from saas.settings import Settings  # noqa: E402
from saas.tenants import find_user, get_tenant, open_session  # noqa: E402
from saas.ui.pack_gallery import MOST_BYTES, SIZE, file_name  # noqa: E402

OUT = ROOT / "saas" / "ui" / "static" / "packs"
WINDOW = {"width": 1280, "height": 800}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def main(wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="pictures-") as directory:
        settings = Settings.from_env(data_dir=Path(directory))
        await migrate(settings)
        await open_database(settings)
        server = _Server(uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  uvicorn tells nobody
            await asyncio.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=os.environ.get("SAAS_CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"]
                )
                for pack in list_packs():
                    if not wanted or pack.key in wanted:
                        for locale in LOCALES:
                            await photograph(browser, port, pack.key, locale, str(pack.label.get(locale)))
                await browser.close()
        finally:
            server.should_exit = True
            await serving
            await close_database()


async def photograph(browser: Browser, port: int, pack_key: str, locale: str, name: str) -> None:
    slug = f"{pack_key}-{locale.lower().replace('_', '-')}"
    tenant_id = await provision_tenant(slug, name=name, pack_key=pack_key, locale=locale, admin_email="admin@demo.example", admin_password="pictures of pages", sample_data=True)
    user = await find_user(tenant_id, email="admin@demo.example")
    token, _csrf, _until = await open_session(tenant_id, user["id"], "web", "127.0.0.1", "pictures")
    base = f"http://{slug}.localhost:{port}"
    context = await browser.new_context(viewport=WINDOW, locale=locale.replace("_", "-"), reduced_motion="reduce", device_scale_factor=1.5, color_scheme="light")
    await context.add_cookies([{"name": "session", "value": token, "url": base}])
    page = await context.new_page()
    for screen, path in (await _paths(tenant_id)).items():
        await page.goto(base + path, wait_until="networkidle")
        await page.evaluate("document.fonts.ready")
        _save(await page.screenshot(type="png", scale="device"), OUT / file_name(pack_key, screen, locale))
        print(pack_key, locale, screen, path)
    await context.close()


async def _paths(tenant_id: Any) -> dict[str, str]:
    await get_tenant(tenant_id)
    ctx = await system_context(tenant_id)
    found = leading(ctx.config)
    assert found.main is not None and found.moving is not None
    richest = await _richest(ctx, found.moving)
    return {
        "dashboard": "/", "list": f"/r/{found.main.key}", "board": f"/r/{found.moving.key}/board" + (f"?view={found.board.key}" if found.board else ""),
        "record": f"/r/{found.moving.key}/{richest}",
    }  # fmt: skip


async def _richest(ctx: Any, entity: Any) -> Any:
    """Among the latest records that are still on their way the one with the most filled in."""
    open_ = [s.key for s in entity.pipeline.stages if not s.is_final]
    page = await execute(ctx, ops.List(entity=entity.key, filter={"field": entity.pipeline.field, "op": "in", "value": open_}, sort=["-updated_at"], limit=100))
    return max(page.records, key=lambda r: sum(v not in (None, "", []) for v in r.values.values())).id


def _save(png: bytes, path: Path) -> None:
    """As good as it may be within the size."""
    image = Image.open(io.BytesIO(png)).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    for quality in range(82, 20, -4):
        stream = io.BytesIO()
        image.save(stream, "webp", quality=quality, method=6)
        if stream.tell() <= MOST_BYTES:
            break
    path.write_bytes(stream.getvalue())


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    asyncio.run(main(sys.argv[1:]))
