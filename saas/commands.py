"""What the console commands share: settings, an open database, one JSON document or readable text, calm errors."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from saas.errors import AppError
from saas.log import log_as
from saas.settings import InvalidSettings, Settings


def command(group: click.Group, name: str, **options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Register an async function as a command with `--json`. What it returns is printed: a dict as JSON, or as text by
    the function's second result."""

    def decorate(function: Callable[..., Awaitable[Any]]) -> click.Command:
        @group.command(name, **options)
        @click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
        @functools.wraps(function)
        def run(as_json: bool, **arguments: Any) -> None:
            try:
                settings = read_settings()
                document, text, code = asyncio.run(_call(function, settings, arguments))
            except (AppError, InvalidSettings) as error:
                fail(error, as_json=as_json)
            click.echo(json.dumps(plain(document), ensure_ascii=False, indent=2) if as_json else text)
            sys.exit(code)

        return run

    return decorate


async def _call(function: Callable[..., Awaitable[Any]], settings: Settings, arguments: dict[str, Any]) -> tuple[Any, str, int]:
    result = await function(settings, **arguments)
    document, text, *code = result
    return document, text, code[0] if code else 0


def read_settings(data_dir: Path | None = None) -> Settings:
    """From the environment; a command line option may name the data directory."""
    settings = Settings.from_env(data_dir=data_dir)
    log_as(settings, level="WARNING" if settings.log_level == "INFO" else "")
    return settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Any]:
    """The database, for the length of a command."""
    from saas.db import close_database, open_database

    database = await open_database(settings)
    try:
        yield database
    finally:
        await close_database()


def fail(error: Exception, *, as_json: bool) -> None:
    """Say what is wrong and leave with 1. Never a traceback for something a reader can mend."""
    problems = [plain(problem) for problem in getattr(error, "problems", ())]
    if as_json:
        code = getattr(error, "code", "invalid_settings")
        click.echo(json.dumps({"error": {"code": code, "message": str(error), "problems": problems}}, ensure_ascii=False))
    else:
        click.echo(f"Error: {getattr(error, 'message', error)}", err=True)
        for problem in problems:
            if isinstance(problem, dict):
                where = problem.get("path") or problem.get("field") or ""
                click.echo(f"  {where}: {problem['message']}", err=True)
                if problem.get("hint"):
                    click.echo(f"      {problem['hint']}", err=True)
    sys.exit(1)


def plain(value: Any) -> Any:
    """Anything of ours as JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, UUID):
        return str(value)
    return str(value)


def table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Rows as aligned columns."""
    if not rows:
        return "(none)"
    cells = [columns, *[[str(plain(row.get(column)) if row.get(column) is not None else "") for column in columns] for row in rows]]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells)
