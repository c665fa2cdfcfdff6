"""Records as spreadsheets: exporting a list, importing a file. Reading and writing of the formats is in `sheets`."""

from saas.runtime.transfer.exports import (
    FORMATS,
    INLINE_ROWS,
    export_columns,
    note_export,
    sheet_bytes,
    start_export,
    stream_csv,
)
from saas.runtime.transfer.failures import failed_rows
from saas.runtime.transfer.imports import ImportPlan, plan_of, preview_import, start_import

__all__ = [
    "FORMATS",
    "INLINE_ROWS",
    "ImportPlan",
    "export_columns",
    "failed_rows",
    "note_export",
    "plan_of",
    "preview_import",
    "sheet_bytes",
    "start_export",
    "start_import",
    "stream_csv",
]
