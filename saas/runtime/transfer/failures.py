"""The rows an import could not take, as a table with the reason beside each, ready to be corrected and imported again."""

from __future__ import annotations

import asyncio
from uuid import UUID

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, use_locale
from saas.runtime.context import Context
from saas.runtime.jobs import get_job
from saas.runtime.transfer.exports import sheet_bytes
from saas.runtime.transfer.imports import load_sheet


async def failed_rows(ctx: Context, job_id: UUID, format: str = "xlsx") -> bytes:
    """A file's bytes. Errors: NotFound when there is no such import, none of its rows failed, or the table is gone."""
    job = await get_job(ctx, job_id)
    errors = (job.result or {}).get("errors") if job.kind == "import_records" else None
    if not errors:
        raise NotFound(lazy("This import has no rows that failed."))
    sheet = await load_sheet(ctx, UUID(job.payload["file_id"]))
    with use_locale(ctx.locale):
        headers = [*sheet.headers, _("Row"), _("Reason")]
        rows = [[*sheet.rows[e["row"] - 2], e["row"], e["message"]] for e in errors if 0 <= e["row"] - 2 < len(sheet.rows)]
        return await asyncio.to_thread(sheet_bytes, _("Failed rows"), headers, rows, format)
