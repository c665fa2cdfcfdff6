"""Taking the rows of a table in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy, use_locale
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.transfer.imports import ImportPlan, run_import


@job_kinds.register
class ImportRecords(JobKind):
    key = "import_records"
    label = lazy("Import")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        raw = job.payload["plan"]
        job.ctx = job.ctx.replace(locale=job.payload.get("locale", job.ctx.locale))
        plan = ImportPlan(**{**raw, "mapping": {int(k): v for k, v in raw["mapping"].items()}})
        with use_locale(job.ctx.locale):
            return (await run_import(job, UUID(job.payload["file_id"]), plan)).to_json()
