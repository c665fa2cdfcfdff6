"""Uploaded files."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.files import FilesType


@field_types.register
class File(FilesType):
    key = "file"
    label = lazy("File")
    description = lazy("Documents attached to the record, such as contracts or offers.")
    group = "file"
    icon = "file-text"
