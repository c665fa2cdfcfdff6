"""Discovery: importing the folders below registers every field type, widget, trigger and action. There is no second list."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

KIND_PACKAGES = (
    *("saas.runtime.fields", "saas.runtime.widgets", "saas.runtime.triggers", "saas.runtime.actions", "saas.runtime.job_kinds"),
    "saas.runtime.outbox.kinds",
    *("saas.runtime.impact", "saas.runtime.backfill.steps"),
)

# Root of the templates that belong to kinds: "fields/<key>/input.html", "fields/<key>/cell.html", "widgets/<key>/…".
TEMPLATE_DIRECTORY = Path(__file__).parent


def load_kinds() -> None:
    """Register everything. Safe to call again: a module is imported once."""
    for name in KIND_PACKAGES:
        load_package(name)


def load_package(name: str) -> None:
    """Import every child module of a package in name order; names with a leading underscore are shared code."""
    package = importlib.import_module(name)
    for child in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        if not child.startswith("_"):
            importlib.import_module(f"{name}.{child}")
