"""The console script `saas`. Commands only parse their arguments and say what happened; work is done elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from saas.commands import command, fail, opened, plain, read_settings, table
from saas.errors import AppError, BadRequest, Conflict, DefinitionProblem, InvalidDefinition, NotFound
from saas.i18n import LOCALES
from saas.settings import InvalidSettings, Settings

LOCALE = click.Choice(LOCALES)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="saas")
def main() -> None:
    """A multi-tenant CRM whose schema belongs to its customers."""


# ---- running -----------------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--port", default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the embedded database and files live.")
@click.option("--no-serve", is_flag=True, help="Prepare everything, print it and leave.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def demo(port: int, host: str, data_dir: Path | None, no_serve: bool, as_json: bool) -> None:
    """Three companies with sample data, ready to click through. Ctrl-C stops everything."""
    from saas import demo as demonstration
    from saas.db.migrate import admin_url

    def say(text: str) -> None:
        click.echo(text, err=True)

    async def run(settings: Settings) -> None:
        async with admin_url(settings):  # keeps the embedded server up between preparing and serving
            found = await demonstration.prepare(settings, say=say)
            found = demonstration.with_addresses(found, settings, port)
            shown = json.dumps(found, ensure_ascii=False, indent=2) if as_json else demonstration.as_text(found)
            if no_serve:
                click.echo(shown)
                return
            from saas.serve import serve as serve_app

            def ready() -> None:
                click.echo(shown)
                if not as_json:
                    click.echo("\nReady. Ctrl-C stops.")

            await serve_app(demonstration.for_looking_around(settings, host), host=host, port=port, ready=ready)

    _run(run, data_dir=data_dir, as_json=as_json)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--no-jobs", is_flag=True, help="Leave background jobs to `saas worker`.")
def serve(host: str, port: int, workers: int, no_jobs: bool) -> None:
    """Serve the application (and background jobs, unless --no-jobs)."""
    from saas.serve import serve as serve_app
    from saas.serve import serve_many

    if workers > 1:
        try:
            serve_many(read_settings(), host=host, port=port, workers=workers, jobs=not no_jobs)
        except (AppError, InvalidSettings) as error:
            fail(error, as_json=False)
        return
    _run(lambda settings: serve_app(settings, host=host, port=port, jobs=not no_jobs))


@main.command()
def worker() -> None:
    """Run background jobs and schedules only."""
    from saas.serve import work

    _run(work)


def _run(function: Callable[[Settings], Any], *, data_dir: Path | None = None, as_json: bool = False) -> None:
    """For the commands that stay: on uvloop, with Ctrl-C as a normal end."""
    import uvloop

    from saas.log import log_as

    try:
        settings = read_settings(data_dir)
        log_as(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(function(settings))
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except (AppError, InvalidSettings) as error:
        fail(error, as_json=as_json)


@command(main, "migrate")
@click.option("--wait", default=30, show_default=True, help="Seconds to wait for a database that does not answer yet.")
async def migrate(settings: Settings, wait: int) -> Any:
    """Bring the database to the present schema. Safe to repeat."""
    from saas.db.migrate import migrate as run_migrations

    report = await run_migrations(settings, wait_seconds=wait)
    text = "\n".join([f"applied {name}" for name in (*report.applied, *report.partitions)] or ["Nothing to do."])
    return report, text


@command(main, "doctor")
async def doctor(settings: Settings) -> Any:
    """Prove schema, roles, policies and isolation on the live database. Exit 0 only if all holds."""
    from saas.db.doctor import examine

    report = await examine(settings)
    return report.as_dict(), report.as_text(), 0 if report.is_healthy else 1


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[NAME] [OPTIONS]")
def bench(arguments: tuple[str, ...]) -> None:
    """Benchmarks, from a checkout of the source; without a name: which there are."""
    root = Path(__file__).parent.parent
    if not (root / "tests" / "benchmarks" / "command.py").exists():
        click.echo("Error: the benchmarks are not part of the installed package; run this in a checkout of the source.", err=True)
        raise SystemExit(2)
    sys.path.insert(0, str(root))
    from importlib import import_module

    raise SystemExit(import_module("tests.benchmarks.command").main(arguments))


@command(main, "pooler-users")
async def pooler_users(settings: Settings) -> Any:
    """The lines of pgbouncer's userlist.txt: our two logins with their passwords, which follow from SAAS_SECRET_KEY. Keep them secret."""
    from saas.db.roles import APP, SYSTEM, role_password

    users = {role: role_password(settings.secret_key, role) for role in (APP, SYSTEM)}
    return {"users": users}, "\n".join(f'"{role}" "{password}"' for role, password in users.items())


# ---- tenants -----------------------------------------------------------------------------------------------------------------


@main.group()
def tenant() -> None:
    """Companies."""


@command(tenant, "create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--pack", "pack_key", required=True, help="Key of a shipped pack, see `saas pack list`.")
@click.option("--locale", type=LOCALE, default="en", show_default=True)
@click.option("--admin-email", required=True)
@click.option("--admin-password", required=True)
@click.option("--plan", "plan_key", help="Key of a plan (docs/plans.md). Without it nothing is limited.")
@click.option("--sample-data", is_flag=True, help="Also create the pack's sample people and records.")
async def tenant_create(settings: Settings, slug: str, sample_data: bool, plan_key: str | None, **options: Any) -> Any:
    """Create a company with a pack, its administrator and, if wanted, sample data."""
    from saas.provision import provision_tenant
    from saas.tenants import USUAL, get_tenant

    async with opened(settings):
        tenant_id = await provision_tenant(slug, sample_data=sample_data, plan_key=plan_key or USUAL, **options)
        row = await get_tenant(tenant_id)
    return row, f"Created {row.slug} ({row.id})."


@command(tenant, "list")
async def tenant_list(settings: Settings) -> Any:
    """All companies."""
    from saas.tenants import list_tenants

    async with opened(settings):
        rows = [plain(row) for row in await list_tenants()]
    columns = ["slug", "name", "status", "plan_key", "pack_key", "locale", "config_revision", "created_at"]
    return {"tenants": rows}, table(rows, columns)


@command(tenant, "show")
@click.argument("slug")
async def tenant_show(settings: Settings, slug: str) -> Any:
    """One company, what it uses of its plan, and its people."""
    from saas.db import tenant_transaction
    from saas.runtime import usage
    from saas.tenants import find_tenant, list_users

    async with opened(settings):
        row = await find_tenant(slug)
        people = await list_users(row.id)
        async with tenant_transaction(row.id) as conn:
            lines = [line.to_json() for line in await usage.lines(conn, row.id, row.limits)]
    document = {**plain(row), "usage": lines, "users": plain(people)}
    head = "\n".join(f"{key}: {value}" for key, value in plain(row).items())
    used = table(lines, ["limit", "used", "allowed", "percent"])
    return document, f"{head}\n\n{used}\n\n{table(document['users'], ['email', 'name', 'status', 'role_keys'])}"


@command(tenant, "suspend")
@click.argument("slug")
async def tenant_suspend(settings: Settings, slug: str) -> Any:
    """Close a company: nobody can work in it until it is resumed. Nothing is deleted."""
    return await _set_status(settings, slug, "suspended")


@command(tenant, "resume")
@click.argument("slug")
async def tenant_resume(settings: Settings, slug: str) -> Any:
    """Open a suspended company again."""
    return await _set_status(settings, slug, "active")


async def _set_status(settings: Settings, slug: str, status: str) -> Any:
    from saas.tenants import set_tenant_status

    async with opened(settings):
        row = await set_tenant_status(slug, status)
    return row, f"{row.slug} is {row.status}."


@command(tenant, "export")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-passwords", is_flag=True, help="Also the hashes of passwords, so that people can sign in where it is imported. Keep the file secret.")
async def tenant_export(settings: Settings, slug: str, file: Path, with_passwords: bool) -> Any:
    """Write everything a company has to FILE, while people work in it."""
    from saas.runtime.archive import write_archive
    from saas.tenants import find_tenant, record_export

    async with opened(settings):
        row = await find_tenant(slug)
        written = await write_archive(row.id, file, with_passwords=with_passwords, report=_counter("rows"))
        await record_export(row.id, slug, rows=written.rows, with_passwords=with_passwords)
    document = {"file": str(file), "rows": written.rows, "bytes": written.bytes, "files": written.manifest["files"]["count"], "missing": written.missing}
    return document, f"Wrote {written.rows} rows and {document['files']} files of {slug} to {file} ({written.bytes} bytes)." + (f" Files that are gone: {len(written.missing)}." if written.missing else "")


@command(tenant, "import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--slug", help="Another address than the one in the archive.")
@click.option("--name", help="Another name.")
@click.option("--plan", "plan_key", help="Key of a plan (docs/plans.md). Without it nothing is limited.")
@click.option("--admin-email", help="Somebody in the archive who gets --admin-password: passwords are not exported.")
@click.option("--admin-password")
async def tenant_import(settings: Settings, file: Path, slug: str | None, name: str | None, plan_key: str | None, admin_email: str | None, admin_password: str | None) -> Any:
    """Make a company of an archive, completely or not at all."""
    from saas.runtime.archive import restore_archive
    from saas.tenants import USUAL, find_user, record_import, set_password
    from saas.tenants.passwords import check_strength

    if (admin_email is None) != (admin_password is None):
        raise BadRequest("--admin-email and --admin-password go together")
    if admin_password is not None:
        check_strength(admin_password)
    async with opened(settings):
        made = await restore_archive(file, slug=slug, name=name, plan_key=plan_key or USUAL, needs=admin_email, report=_counter())
        await record_import(made.tenant_id, made.slug, rows=sum(made.rows.values()))
        if admin_email and admin_password:
            person = await find_user(made.tenant_id, email=admin_email)
            await set_password(made.tenant_id, person["id"], admin_password, must_change=True)
    document = {"id": made.tenant_id, "slug": made.slug, "rows": made.rows, "files": made.files, "collisions": made.collisions}
    return document, f"Restored {made.slug} ({made.tenant_id}): {sum(made.rows.values())} rows, {made.files} files."


def _counter(noun: str = "") -> Callable[..., None]:
    """Progress on stderr, now and then."""
    shown = {"step": noun, "percent": -10}

    def report(*told: Any) -> None:
        step, done, total = told if len(told) == 3 else (noun, *told)
        percent = 100 * done // total if total else 0
        if step != shown["step"] or percent >= int(shown["percent"]) + 10:
            shown.update(step=step, percent=percent)
            click.echo(f"{step}: {percent} %", err=True)

    return report


@command(tenant, "delete")
@click.argument("slug")
@click.option("--now", is_flag=True, help="Without the days of grace.")
@click.option("--undo", is_flag=True, help="Take the request back.")
@click.option("--yes", is_flag=True, help="Do not ask. With --now everything the company has is removed for good.")
async def tenant_delete(settings: Settings, slug: str, now: bool, undo: bool, yes: bool) -> Any:
    """Have a company deleted after 14 days of grace, in which it can be read and the request taken back; or now."""
    from saas.tenants import find_tenant, keep_tenant, remove_tenant, request_deletion

    if now and not yes:
        raise BadRequest("Deleting cannot be undone: repeat with --yes")
    async with opened(settings):
        if now:
            proof = await remove_tenant(slug)
            text = f"Deleted {slug}: {sum(proof.removed.values())} rows, {proof.files_removed} files. Left: {sum(proof.left.values())} rows in {len(proof.left)} tables, {proof.files_left} files."
            return proof, text, 0 if proof.is_complete else 1
        row = await find_tenant(slug)
        if undo:
            await keep_tenant(row.id)
            return {"slug": slug, "delete_after": None}, f"{slug} stays."
        moment = await request_deletion(row.id)
    return {"slug": slug, "delete_after": moment}, f"{slug} will be deleted after {moment:%Y-%m-%d %H:%M} UTC; until then it can only be read. `saas tenant delete {slug} --undo` takes it back."


@command(tenant, "move")
@click.argument("slug")
@click.argument("cell")
@click.option("--keep", "keep_days", default=0, type=click.IntRange(0, 365), help="Days to keep the old rows; deleted at once without.")
async def tenant_move(settings: Settings, slug: str, cell: str, keep_days: int) -> Any:
    """Move a company to another database (a key of SAAS_CELLS, or home) while people work in it."""
    from saas.tenants import move_tenant

    async with opened(settings):
        done = await move_tenant(slug, cell, keep_days=keep_days, say=lambda text: click.echo(text, err=True))
    lines = [
        f"Moved {slug} from {done['source']} to {done['target']}: {sum(done['rows'].values())} rows in {len(done['rows'])} tables, equal on both sides ({done['compared']}).",
        f"Copied in {done['copy_seconds']:.1f} s; read-only for {done['read_only_seconds']:.2f} s.",
        f"The old rows are kept until {done['kept_until']:%Y-%m-%d}." if keep_days else f"Old rows left in {done['source']}: {sum(done['left'].values())}.",
    ]
    return done, "\n".join(lines), 0 if not done["left"] else 1


# ---- people ------------------------------------------------------------------------------------------------------------------


@main.group()
def user() -> None:
    """People of a company."""


@command(user, "create")
@click.argument("slug")
@click.option("--email", required=True)
@click.option("--password", required=True)
@click.option("--name", required=True)
@click.option("--role", "roles", required=True, multiple=True, help="Role key; may be given several times.")
@click.option("--department", help="Department key.")
@click.option("--locale", type=LOCALE)
async def user_create(
    settings: Settings, slug: str, email: str, password: str, name: str, roles: tuple[str, ...], department: str | None, locale: str | None
) -> Any:
    """Add a person to a company."""
    from saas.metadata.store import revision
    from saas.tenants import create_user, find_tenant, find_user

    async with opened(settings):
        row = await find_tenant(slug)
        known = [role["key"] for role in ((await revision(row.id)).bundle or {}).get("roles", [])] if row.config_revision else roles
        for role in roles:
            if role not in known:
                raise NotFound(f"There is no role {role!r}; known: {', '.join(sorted(known))}")
        user_id = await create_user(row.id, email, password, name, list(roles), department, locale)
        person = await find_user(row.id, user_id=user_id)
    return person, f"Created {person['email']} ({user_id})."


@main.group()
def operator() -> None:
    """People who run the installation."""


@command(operator, "create")
@click.argument("email")
@click.option("--password", required=True)
@click.option("--name", default="")
async def operator_create(settings: Settings, email: str, password: str, name: str) -> Any:
    """Add an operator."""
    from saas.tenants import create_operator

    async with opened(settings):
        operator_id = await create_operator(email, password, name=name)
    return {"id": operator_id, "email": email.strip().lower()}, f"Created operator {email}. The second factor is set up at the first sign-in."


@command(operator, "reset")
@click.argument("email")
@click.option("--password", default=None, help="A new password as well.")
async def operator_reset(settings: Settings, email: str, password: str | None) -> Any:
    """For an operator who lost phone and recovery codes: the next sign-in sets up a new second factor. Inactive ones are active again."""
    from saas.tenants import create_operator, list_operators, reset_operator_factor

    async with opened(settings):
        found = next((o for o in await list_operators() if o["email"] == email.strip().lower()), None)
        if found is None:
            raise NotFound()
        if password is not None:
            await create_operator(email, password, replace=True)
        await reset_operator_factor(found["id"], reactivate=True)
    return {"id": found["id"], "email": found["email"]}, f"{found['email']} signs in with the password and sets up a new second factor."


# ---- configuration as code -----------------------------------------------------------------------------------------------------


@main.group()
def pack() -> None:
    """Configuration as code."""


@command(pack, "list")
async def pack_list(settings: Settings) -> Any:
    """The packs that ship with the product."""
    from saas.i18n import pick
    from saas.metadata.packs import list_packs

    packs = [plain(found) for found in list_packs()]
    rows = [{**found, "label": pick(found["label"])} for found in packs]
    return {"packs": packs}, table(rows, ["key", "version", "label", "has_sample"])


@command(pack, "validate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Refuse warnings, too: missing languages, dead ends, what nobody uses.")
async def pack_validate(settings: Settings, file: Path, strict: bool) -> Any:
    """Check a bundle; lists every problem with its place."""
    from saas.metadata.lint import lint
    from saas.metadata.parse import problems_of
    from saas.runtime import load_kinds

    load_kinds()
    warnings: list[Any] = []
    try:
        raw = _read_bundle(file)
        problems = [plain(problem) for problem in problems_of(raw)]
        warnings = [plain(warning) for warning in lint(raw)] if strict else []
    except InvalidDefinition as error:
        problems = [plain(problem) for problem in error.problems]
    text = "\n".join([*_problem_lines([*problems, *warnings]), _counts(len(problems), len(warnings), strict)])
    document = {"valid": not problems and not warnings, "problems": problems, **({"warnings": warnings} if strict else {})}
    return document, text, 0 if document["valid"] else 1


def _problem_lines(problems: list[Any]) -> list[str]:
    return [f"{problem['path']}: {problem['message']}" + (f"\n    {problem['hint']}" if problem["hint"] else "") for problem in problems]


def _counts(problems: int, warnings: int, strict: bool) -> str:
    if not problems and not warnings:
        return "No problems."
    return f"{problems} problems, {warnings} warnings." if strict else f"{problems} problems."


_DECIDING = [
    click.option("--mine", "side", flag_value="mine", help="Where both sides changed something, keep the company's."),
    click.option("--theirs", "side", flag_value="theirs", help="Where both sides changed something, take the pack's."),
    click.option("--choose", "chosen", multiple=True, metavar="PATH=SIDE", help="For one conflict: its path, and mine or theirs. May be given several times."),
    click.option("--data", "steps", type=click.Path(path_type=Path, dir_okay=False), help="JSON file with data steps (docs/configuration.md)."),
]  # fmt: skip


def _deciding(function: Any) -> Any:
    for option in reversed(_DECIDING):
        function = option(function)
    return function


def _choices(side: str | None, chosen: tuple[str, ...]) -> Any:
    found = {}
    for item in chosen:
        path, _, which = item.rpartition("=")
        if not path or which not in ("mine", "theirs"):
            raise BadRequest(f"{item!r} is not PATH=mine or PATH=theirs")
        found[path] = which
    if side and found:
        raise BadRequest(f"Either --{side} for all conflicts, or --choose for each")
    return side or found


@command(pack, "plan")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path))
@_deciding
async def pack_plan(settings: Settings, slug: str, file: Path, side: str | None, chosen: tuple[str, ...], steps: Path | None) -> Any:
    """Say what applying a pack would change in a company and mean for its data. Changes nothing. Exit 0 if it could be applied."""
    raw = _read_bundle(file)
    async with _company(settings, slug) as ctx:
        _, _, document, text = await _planned(ctx, raw, _choices(side, chosen), steps)
    return document, text, 0 if document["can_publish"] and not document["open"] else 1


@command(pack, "apply")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path))
@_deciding
@click.option("--replace", is_flag=True, help="Replace a configuration that does not come from this pack.")
@click.option("--yes", is_flag=True, help="Also when something destructive changes.")
@click.option("--message", default="", help="Why; shown in the list of revisions.")
async def pack_apply(
    settings: Settings, slug: str, file: Path, side: str | None, chosen: tuple[str, ...], steps: Path | None, replace: bool, yes: bool, message: str
) -> Any:
    """Publish a pack as a company's configuration, all or nothing; what its administrators changed themselves is kept."""
    from saas.runtime.packs import apply_pack, refuse_open

    raw = _read_bundle(file)
    async with _company(settings, slug) as ctx:
        found, made, document, text = await _planned(ctx, raw, _choices(side, chosen), steps)
        if found.mode == "same":
            return {**document, "number": found.base_revision, "applied": False}, "Nothing to do: the configuration is this pack already."
        try:
            refuse_open(found, replace=replace)
        except Conflict as error:
            hint = "--replace" if found.mode == "replace" else "--mine, --theirs or --choose PATH=SIDE"
            return _not_applied(document, text, f"{error.message} ({hint})")
        if not document["can_publish"]:
            return _not_applied(document, text, "It cannot be applied: " + " ".join(document["obstacles"]))
        if document["kind"] == "destructive" and not yes:
            return _not_applied(document, text, "Something destructive would change: look at the plan, then repeat with --yes.")
        revision = await apply_pack(ctx, found, plan_id=made.id, replace=replace, message=message or f"Applied {file.name}")
    document = {**document, **plain(revision), "bundle": None, "applied": True}
    return document, f"{text}\n\nPublished revision {revision.number}."


def _not_applied(document: dict[str, Any], text: str, reason: str) -> Any:
    return {**document, "applied": False, "reason": reason}, f"{text}\n\nNot applied. {reason}", 1


@asynccontextmanager
async def _company(settings: Settings, slug: str) -> AsyncIterator[Any]:
    """The database, and the system's own context in one company."""
    from saas.runtime import load_kinds
    from saas.runtime.contexts import system_context
    from saas.tenants import find_tenant

    load_kinds()
    async with opened(settings):
        yield await system_context((await find_tenant(slug)).id)


async def _planned(ctx: Any, raw: Any, choices: Any, steps: Path | None) -> tuple[Any, Any, dict[str, Any], str]:
    """What the pack comes to, its plan, and both as a document and as text."""
    from saas.runtime.configuration import make_plan
    from saas.runtime.packs import conflict_json, plan_pack

    found = await plan_pack(ctx, raw, choices)
    made = await make_plan(ctx, found.raw, data=[*found.data, *(_read_bundle(steps) if steps else [])], base_revision=found.base_revision)
    report = made.report
    document = {
        **plain(made), "kind": made.kind, "report": None, "bundle": None, "mode": found.mode, "pack": found.key, "version": found.version, "installed": found.installed,
        "kept": list(found.kept), "conflicts": [conflict_json(c) for c in found.conflicts], "open": [c.path for c in found.open],
        "changes": [plain(c) for c in report.changes], "problems": plain(list(report.problems)),
        "impacts": [i.shown() for i in report.impacts], "examples": plain(list(report.examples)), "seconds": report.seconds,
        "can_publish": report.can_publish, "obstacles": [str(o) for o in report.obstacles],
    }  # fmt: skip
    document = {k: v for k, v in document.items() if k not in ("report", "bundle")}
    return found, made, document, "\n".join(_plan_lines(document))


MODES = {
    "same": "The configuration is this pack already.", "install": "Installs {pack} {version}.", "upgrade": "Brings {pack} from {installed} to {version}.",
    "replace": "REPLACES the configuration with {pack} {version}: it does not come from this pack.",
}  # fmt: skip


def _plan_lines(document: dict[str, Any]) -> list[str]:
    lines = [MODES[document["mode"]].format(**document)]
    lines += [f"  {c['kind']}: {c['message']}" + (f" ({c['records']} records)" if c["records"] else "") for c in document["changes"]] or ["  No changes."]
    if document["kept"]:
        lines += ["Kept as the company has it:", *(f"  {path}" for path in document["kept"])]
    if document["conflicts"]:
        lines += ["Changed on both sides:", *(f"  {c['path']}" + (" (open)" if c["path"] in document["open"] else "") for c in document["conflicts"])]
    if document["impacts"]:
        lines += ["What it means for the data:", *(f"  {i['severity']}: {i['message']}" + (f" {i['note']}" if i["note"] else "") for i in document["impacts"])]
    lines += [f"  {line}" for line in _problem_lines(document["problems"])]
    lines += [f"  Example “{e['key']}” does not hold: {e['message']}" for e in document["examples"] if not e["passed"]]
    return [*lines, f"Plan {document['id']} ({document['kind']})"]


@command(pack, "export")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
async def pack_export(settings: Settings, slug: str, file: Path | None) -> Any:
    """Write a company's configuration to FILE, or to stdout."""
    from saas.metadata.store import revision
    from saas.tenants import find_tenant

    async with opened(settings):
        found = await revision((await find_tenant(slug)).id)
    text = json.dumps(found.bundle, ensure_ascii=False, indent=2)
    if file is None:
        return found.bundle, text
    await asyncio.to_thread(file.write_text, text + "\n", encoding="utf-8")
    return {"file": str(file), "revision": found.number, "hash": found.hash}, f"Wrote revision {found.number} to {file}."


def _read_bundle(file: Path) -> Any:
    from saas.metadata.parse import read_json

    try:
        return read_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        problem = DefinitionProblem("", "not_json", f"{file.name} is not a text in UTF-8: {error}")
        raise InvalidDefinition([problem]) from error


# ---- billing -------------------------------------------------------------------------------------------------------------------


@main.group()
def billing() -> None:
    """Plans and payments at the payment provider."""


@command(billing, "sync")
async def billing_sync(settings: Settings) -> Any:
    """Bring products and prices at Stripe to the plan catalogue. Safe to repeat; run it after plans or prices changed."""
    from saas.tenants.billing import catalogue

    async with opened(settings):
        done = await catalogue.sync()
    return done, f"Made {len(done.made)}, changed {len(done.changed)}, archived {len(done.archived)}; {done.kept} were as they should be."


@command(billing, "reconcile")
async def billing_reconcile(settings: Settings) -> Any:
    """Compare everything with Stripe and repair it, as every night. Exit 1 when something is left for a person."""
    from saas.runtime import billing as running
    from saas.runtime import load_kinds

    load_kinds()
    async with opened(settings):
        report = await running.compare()
    rows = [plain(line) for line in report.drift]
    text = f"{report.examined} customers compared, {len(rows)} differences." + (f"\n{table(rows, ['slug', 'what', 'here', 'there', 'repaired'])}" if rows else "")
    return report, text + (f"\n{report.error}" if report.error else ""), 1 if report.error or not all(line.repaired for line in report.drift) else 0


# ---- schedules, the clock ------------------------------------------------------------------------------------------------------


@main.group()
def schedule() -> None:
    """Rules that run by the clock."""


@command(schedule, "run")
@click.argument("slug")
@click.option("--at", "at", required=True, help="ISO 8601; without a zone, the company's.")
async def schedule_run(settings: Settings, slug: str, at: str) -> Any:
    """Run what is due as if the company's clock stood at this moment."""
    from zoneinfo import ZoneInfo

    from saas.runtime import load_kinds
    from saas.runtime.contexts import system_context
    from saas.runtime.schedules import run_due
    from saas.tenants import find_tenant

    load_kinds()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise BadRequest(f"{at!r} is not a moment such as 2026-03-01T08:00:00") from error
    async with opened(settings):
        row = await find_tenant(slug)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(row.time_zone))).astimezone(UTC)
        reports = [plain(report) for report in await run_due(await system_context(row.id, origin="schedule", at=moment), again=True)]
    return {"at": moment, "schedules": reports}, table(reports, ["schedule", "matched", "done", "skipped", "failed"])


@command(main, "clock")
@click.argument("slug")
@click.option("--by", help="How far forward: 3d, 2w, 12h.")
@click.option("--to", help="Forward to this moment, ISO 8601; without a zone, the company's.")
@click.option("--real", is_flag=True, help="Back to real time.")
async def clock(settings: Settings, slug: str, by: str | None, to: str | None, real: bool) -> Any:
    """Show a company's clock, move it forward, or put it back. What is due on the way runs, in order."""
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from saas.runtime import clock as moving
    from saas.runtime import load_kinds
    from saas.runtime.contexts import system_context
    from saas.runtime.worker import run_now
    from saas.tenants import find_tenant, get_tenant

    if sum(map(bool, (by, to, real))) > 1:
        raise BadRequest("Give one of --by, --to and --real")
    load_kinds()
    ran: list[Any] = []
    async with opened(settings):
        row = await find_tenant(slug)
        ctx = await system_context(row.id)
        if real:
            await moving.reset(ctx)
        elif by or to:
            try:
                moment = ctx.now + timedelta(**{_UNITS[by[-1:]]: int(by[:-1])}) if by else datetime.fromisoformat(to or "")
            except (ValueError, KeyError, OverflowError) as error:
                raise BadRequest(f"{by or to!r} is neither a span such as 3d, 2w or 12h nor a moment such as 2026-03-01T08:00:00") from error
            job = await run_now(ctx, await moving.begin_move(ctx, moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(row.time_zone))))
            if job.status != "done":
                raise Conflict(job.error or f"The clock did not arrive: {job.status}")
            ran = list((job.result or {}).get("ran", []))
        row = await get_tenant(row.id)
        now = (await system_context(row.id)).now
    shown = {"slug": slug, "now": now.astimezone(ZoneInfo(row.time_zone)), "offset_seconds": row.clock_offset_seconds, "ran": ran}
    return shown, f"{shown['now'].isoformat(timespec='seconds')} ({row.clock_offset_seconds} seconds ahead of real time)" + (f"\n{table(ran, ['at', 'what', 'matched', 'done', 'failed'])}" if ran else "")


_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
