"""`saas doctor`: prove on the live database that tenants are apart. Looks at the catalogue, then tries to break in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg

from saas.db import probes, schema_checks
from saas.db.migrate import admin_url, owner_scope, pending_migrations
from saas.db.roles import APP, SYSTEM, role_login
from saas.db.scope import GONE, describe
from saas.errors import Unavailable
from saas.i18n import lazy
from saas.settings import Settings


@dataclass(slots=True)
class Check:
    """One thing proved, or what speaks against it."""

    key: str
    title: str
    problems: list[str] = field(default_factory=list)
    examined: int = 0

    @property
    def holds(self) -> bool:
        """A check that looked at nothing proves nothing."""
        return not self.problems and self.examined > 0


@dataclass(slots=True)
class Report:
    """All checks of one examination."""

    checks: list[Check]

    @property
    def is_healthy(self) -> bool:
        return all(check.holds for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "healthy": self.is_healthy,
            "checks": [
                {"key": c.key, "title": c.title, "holds": c.holds, "examined": c.examined, "problems": c.problems} for c in self.checks
            ],
        }

    def as_text(self) -> str:
        lines = []
        for check in self.checks:
            lines.append(f"{'ok  ' if check.holds else 'FAIL'}  {check.title} ({check.examined} examined)")
            lines += [f"        {problem}" for problem in check.problems]
            if not check.problems and not check.examined:
                lines.append("        nothing was there to examine")
        lines.append("")
        lines.append("Everything holds." if self.is_healthy else "NOT HEALTHY: see the lines marked FAIL.")
        return "\n".join(lines)


async def examine(settings: Settings) -> Report:
    """Run every check, each even if others fail. Leaves nothing behind. Errors: Unavailable."""
    async with admin_url(settings) as url:
        report = await examine_url(url, settings)
    for cell in settings.cells.values():
        found = await examine_url(cell.url, settings)
        report.checks += [replace(check, title=f"{cell.key}: {check.title}") for check in found.checks]
    report.checks.append(Check("mail", "Mail goes out by SMTP" if settings.smtp_url else "Mail is only recorded, nothing is sent: SMTP_URL is not set", examined=1))
    return report


async def examine_url(url: str, settings: Settings) -> Report:
    """`examine` for a database whose administrator's URL is known."""
    checks: list[Check] = []
    try:
        async with owner_scope(url, settings.secret_key) as owner:
            await _ask(checks, "migrations", "Migrations are current", _migrations, owner)
            for key, title, check in schema_checks.ALL:
                await _ask(checks, key, title, check, owner)
            if not await owner.fetchval("SELECT to_regclass('public.tenant') IS NOT NULL"):
                return Report(checks)
            tables = await schema_checks.tenant_tables(owner)
            app = await asyncpg.connect(**role_login(url, settings.secret_key, APP), timeout=10)
            try:
                for key, title, probe in probes.ALL:
                    await _ask(checks, key, title, probe, app, tables)
            finally:
                await app.close()
            await _ask(checks, "owner", "Not even the owner sees rows without a tenant", probes.probe_without_tenant, owner, tables)
            system = await asyncpg.connect(**role_login(url, settings.secret_key, SYSTEM), timeout=10)
            await system.close()
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise Unavailable(lazy("The database's roles do not accept this SAAS_SECRET_KEY: run `saas migrate` first")) from error
    except GONE as error:
        raise Unavailable(lazy("The database cannot be reached: %(where)s", where=describe(url))) from error
    return Report(checks)


async def _ask(checks: list[Check], key: str, title: str, function: Callable[..., Any], *arguments: Any) -> None:
    check = Check(key, title)
    checks.append(check)
    try:
        await function(check, *arguments)
    except asyncpg.PostgresError as error:
        check.problems.append(f"could not be examined: {error}")


async def _migrations(check: Check, owner: asyncpg.Connection) -> None:
    check.examined = 1
    check.problems += [f"{name} has not run" for name in await pending_migrations(owner)]
