"""Files sent with a form: stored first, so that the record's values hold their ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from litestar.datastructures import FormMultiDict, UploadFile

from saas.errors import AppError, FieldProblem, InvalidInput
from saas.runtime import Context
from saas.runtime.files import CHUNK, store_upload


async def store_uploads(ctx: Context, entity_key: str, form: FormMultiDict) -> FormMultiDict:
    """The form with every upload replaced by the id of the stored file; empty file inputs are dropped.
    Raises InvalidInput with what is wrong with each file that cannot be taken."""
    pairs: list[tuple[str, Any]] = []
    problems: list[FieldProblem] = []
    for key, value in form.multi_items():
        if not isinstance(value, UploadFile):
            pairs.append((key, value))
        elif value.filename:
            try:
                info = await store_upload(ctx, entity_key, key, value.filename, _chunks(value))
                pairs.append((key, str(info.id)))
            except InvalidInput as error:
                problems += error.problems
            except AppError as error:
                problems.append(FieldProblem(field=key, code=error.code, message=error.message, path=f"/{key}"))
    if problems:
        raise InvalidInput(problems)
    return FormMultiDict(pairs)


async def _chunks(upload: UploadFile) -> AsyncIterator[bytes]:
    while part := await upload.read(CHUNK):
        yield part
