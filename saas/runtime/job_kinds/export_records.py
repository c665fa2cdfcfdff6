"""Writing a list into a file for its person."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saas.i18n import lazy, pick, use_locale
from saas.runtime.files import store_file
from saas.runtime.jobs import WAITED_FOR, JobKind, JobRun, job_kinds
from saas.runtime.transfer.exports import write_export


@job_kinds.register
class ExportRecords(JobKind):
    key = "export_records"
    label = lazy("Export")
    priority = WAITED_FOR

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        asked = dict(job.payload)
        ctx = job.ctx.replace(locale=asked.pop("locale", job.ctx.locale))
        entity = ctx.config.entity(asked["entity"])
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory)
        try:
            path = Path(folder.name) / "export"
            with use_locale(ctx.locale):
                rows = await write_export(
                    ctx, path, asked["entity"], asked["format"], columns=asked["columns"], progress=job.progress,
                    **{k: asked.get(k) for k in ("filter", "view", "q", "sort")},
                )  # fmt: skip
            name = f"{pick(entity.defn.plural, ctx.locale)} {ctx.today.isoformat()}.{asked['format']}"
            info = await store_file(ctx, name, path)
        finally:
            await asyncio.to_thread(folder.cleanup)
        return {"file_id": str(info.id), "name": info.name, "rows": rows}
