"""Files sent with a form: stored first, so that the record's values hold their ids."""

from __future__ import annotations

from typing import Any

from litestar.datastructures import FormMultiDict, UploadFile

from saas.runtime import Context


async def store_uploads(conn: Any, ctx: Context, form: FormMultiDict) -> FormMultiDict:
    """The form with every upload replaced by the id of the stored file; empty file inputs are dropped."""
    pairs: list[tuple[str, Any]] = []
    for key, value in form.multi_items():
        if not isinstance(value, UploadFile):
            pairs.append((key, value))
        elif value.filename:
            from saas.runtime.files import store_file

            content = await value.read()
            file_id = await store_file(conn, ctx, name=value.filename, content=content, content_type=value.content_type)
            pairs.append((key, str(file_id)))
    return FormMultiDict(pairs)
