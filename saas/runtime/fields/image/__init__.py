"""Uploaded pictures."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.files import MAX_MB, MULTIPLE, FilesType, accept
from saas.runtime.fields._shared.schemas import options

# No SVG: it may carry scripts.
PICTURES = ["png", "jpg", "jpeg", "gif", "webp"]


@field_types.register
class Image(FilesType):
    key = "image"
    label = lazy("Picture")
    description = lazy("Pictures, shown small on the record.")
    group = "file"
    icon = "image"
    expects = lazy("Choose a picture")
    options_schema = options({"multiple": MULTIPLE, "max_mb": MAX_MB, "accept": accept(PICTURES)})
