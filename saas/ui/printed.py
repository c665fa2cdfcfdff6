"""PDFs as answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Response

from saas.runtime.files import clean_name


def pdf_response(content: bytes, name: str) -> Response[Any]:
    """Shown by the browser, and called `name` when it is saved."""
    full = clean_name(f"{name}.pdf")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._ -") else "_" for c in full)
    headers = {
        "content-disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(full, safe='')}", "cache-control": "no-store", "x-content-type-options": "nosniff",
    }  # fmt: skip
    return Response(content, media_type="application/pdf", headers=headers)
