"""Lists of small definitions in one form: however long, nothing is left out."""

from __future__ import annotations

from litestar.datastructures import FormMultiDict

from saas.ui.builder import type_controls  # noqa: F401  registers the kind
from saas.ui.builder.controls import Control, control_kinds


def test_long_lists_are_read_to_their_end():
    options = [{"key": f"o{n}", "label": {"en": f"Option {n}"}} for n in range(1_200)]
    pairs = [(f"options.{n}.{name}", text) for n, o in enumerate(options) for name, text in (("key", o["key"]), ("label.en", o["label"]["en"]), ("color", "gray"))]
    control = Control("options", "options", "Choices", more={"before": options})
    assert control_kinds.get("options").read(None, control, FormMultiDict(pairs)) == options
