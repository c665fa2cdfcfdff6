"""For every table that holds tenants' rows: another tenant reads, writes, counts, deletes nothing. And the proof of the proof:
take any one safeguard away from any one table, and the doctor notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from saas.db import probes, schema_checks
from saas.db.doctor import Check, examine_url
from saas.db.rls import PERMISSIVE, RESTRICTIVE
from saas.db.roles import APP, OWNER, SYSTEM, role_login
from saas.db.scope import set_tenant
from saas.settings import Settings

TABLES = {
    "app_user", "audit_event", "automation_log", "billing_account", "billing_invoice", "billing_usage", "brand_file", "config_draft", "config_draft_step", "config_plan", "config_revision", "counter", "department", "entity",
    "field_column", "field_index", "file", "idempotency_key", "invitation", "job", "mail", "notification", "ownership_event", "pack_install", "password_reset", "record", "record_event", "record_link", "record_share", "saved_view",
    "schedule_log", "schedule_run", "search_token", "session", "slow_query", "stage_history", "tenant", "unique_value", "user_department", "user_segment",
    "usage_day", "usage_delta", "usage_notice", "user_role", "view_measure", "second_factor", "recovery_code", "sign_in_step", "announcement_dismissed", "support_access", "hand_over", "sample_record", "first_steps",
    "message", "opt_out", "integration", "exchange", "connector_state", "form_entry", "notice_seen",
    "approval_flow", "approval_task", "approval_person", "approval_event", "approval_deputy",
    "record_merge", "record_trace", "twin_pair", "twin_dismissed", "review_item", "outbox", "sso_provider", "sso_subject", "sso_used", "tenant_domain",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def broken(clone_database) -> AsyncIterator[Settings]:
    """A database of this module's own, to break and mend."""
    yield Settings(database_url=await clone_database(), secret_key="tests-only-secret-key-0123456789abcdef")


@pytest_asyncio.fixture(scope="module")
async def owner(broken: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**role_login(broken.database_url, broken.secret_key, OWNER))
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def app(broken: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**role_login(broken.database_url, broken.secret_key, APP))
    yield connection
    await connection.close()


async def test_the_list_of_tables_is_complete(owner):
    """A new table appears here by hand, so that somebody thinks about it."""
    assert set(await schema_checks.tenant_tables(owner)) >= TABLES


async def test_everything_holds_on_a_fresh_database(broken):
    report = await examine_url(broken.database_url, broken)
    assert report.is_healthy, report.as_text()
    assert {check.key for check in report.checks} >= {"roles", "policies", "grants", "reading", "writing", "no_tenant", "owner"}


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_another_tenant_reaches_nothing(table, app, owner):
    for _, _, probe in probes.ALL:
        check = Check("probe", table)
        await probe(check, app, await _closure(owner, table))
        assert check.holds, check.problems


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_any_missing_safeguard_is_noticed(table, owner, app):
    mutations = {
        "row security off": f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        "not forced": f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        "no restrictive policy": f"DROP POLICY {RESTRICTIVE} ON {table}",
        "no permissive policy": f"DROP POLICY {PERMISSIVE} ON {table}",
        "an open policy": f"ALTER POLICY {RESTRICTIVE} ON {table} USING (true) WITH CHECK (true)",
        "an open check": f"ALTER POLICY {PERMISSIVE} ON {table} WITH CHECK (true)",
        "a stray policy": f"CREATE POLICY stray ON {table} USING (true)",
    }
    for name, sql in mutations.items():
        transaction = owner.transaction()
        await transaction.start()
        try:
            await owner.execute(sql)
            found = Check("row_security", ""), Check("policies", "")
            await schema_checks.check_row_security(found[0], owner)
            await schema_checks.check_policies(found[1], owner)
        finally:
            await transaction.rollback()
        problems = [problem for check in found for problem in check.problems]
        assert any(problem.startswith(f"{table}:") for problem in problems), (table, name)


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_the_probes_notice_by_themselves(table, owner, app):
    """The same without looking at the catalogue: rows must leak, or the table must be shut, when a safeguard is gone."""
    tables = await _closure(owner, table)

    async def problems(connection: asyncpg.Connection, *, stray: bool = False) -> list[str]:
        found: list[str] = []
        for _, _, probe in probes.ALL[:2] if stray else probes.ALL:
            check = Check("probe", table)
            try:
                await probe(check, connection, tables)
            except asyncpg.PostgresError as error:
                check.problems.append(str(error))
            found += check.problems
        return found

    assert await problems(app) == []
    async with _changed(owner, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"):
        assert await problems(app)
    async with _changed(owner, f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"):
        assert await problems(owner)
    open_up = f"ALTER POLICY {PERMISSIVE} ON {table} USING (true) WITH CHECK (true)"
    rule = f"{tables[table]} = (SELECT NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
    close = f"ALTER POLICY {PERMISSIVE} ON {table} USING ({rule}) WITH CHECK ({rule})"
    async with _changed(owner, open_up, close):
        assert await problems(app) == [], "the restrictive policy alone keeps tenants apart"
        async with _changed(
            owner,
            f"DROP POLICY {RESTRICTIVE} ON {table}",
            f"CREATE POLICY {RESTRICTIVE} ON {table} AS RESTRICTIVE USING ({rule}) WITH CHECK ({rule})",
        ):
            assert await problems(app)
    async with _changed(
        owner, f"DROP POLICY {PERMISSIVE} ON {table}", f"CREATE POLICY {PERMISSIVE} ON {table} USING ({rule}) WITH CHECK ({rule})"
    ):
        assert await problems(app), "without a permissive policy nothing can be stored"
    assert await problems(app) == []


@pytest.mark.parametrize(
    ("sql", "undo", "key"),
    [
        ("GRANT UPDATE ON record_event TO saas_app", "REVOKE UPDATE ON record_event FROM saas_app", "grants"),
        ("GRANT SELECT ON record_p00 TO saas_app", "REVOKE SELECT ON record_p00 FROM saas_app", "grants"),
        ("GRANT SELECT ON operator_account TO saas_app", "REVOKE SELECT ON operator_account FROM saas_app", "grants"),
        ("GRANT UPDATE (plan_key) ON tenant TO saas_app", "REVOKE UPDATE (plan_key) ON tenant FROM saas_app", "grants"),
        ("GRANT SELECT ON app_user TO PUBLIC", "REVOKE SELECT ON app_user FROM PUBLIC", "grants"),
        (
            "CREATE FUNCTION leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM record'",
            "DROP FUNCTION leak()",
            "functions",
        ),
        ("CREATE VIEW leak AS SELECT * FROM app_user", "DROP VIEW leak", "functions"),
        ("CREATE TABLE forgotten (tenant_id uuid)", "DROP TABLE forgotten", "row_security"),
        ("CREATE UNIQUE INDEX leak ON app_user (email)", "DROP INDEX leak", "keys"),
        ("DELETE FROM migration WHERE name = (SELECT max(name) FROM migration)", None, "migrations"),
    ],
)
async def test_the_doctor_as_a_whole_goes_red(sql, undo, key, broken, owner):
    saved = await owner.fetch("SELECT name, app_name, ran_on FROM migration")
    await owner.execute(sql)
    try:
        report = await examine_url(broken.database_url, broken)
    finally:
        if undo:
            await owner.execute(undo)
        else:
            await owner.execute("DELETE FROM migration")
            await owner.executemany("INSERT INTO migration (name, app_name, ran_on) VALUES ($1, $2, $3)", [tuple(r) for r in saved])
    assert not report.is_healthy
    assert key in {check.key for check in report.checks if not check.holds}, report.as_text()
    assert not report.as_dict()["healthy"] and "FAIL" in report.as_text()


async def test_the_app_role_that_could_become_another_is_noticed(broken, server_url):
    """Roles belong to the whole server, so the change is made and looked at inside one transaction."""
    admin = await asyncpg.connect(broken.database_url)
    transaction = admin.transaction()
    await transaction.start()
    try:
        for sql in (f"GRANT {SYSTEM} TO {APP}", f"GRANT {OWNER} TO {APP}"):
            savepoint = admin.transaction()
            await savepoint.start()
            await admin.execute(sql)
            check = Check("roles", "")
            await schema_checks.check_roles(check, admin)
            await savepoint.rollback()
            assert any("can become" in problem for problem in check.problems)
    finally:
        await transaction.rollback()
        await admin.close()


async def test_no_setting_survives_a_transaction(app):
    async with app.transaction():
        await set_tenant(app, (await _some_tenant(app)))
    assert await app.fetchval("SELECT current_setting('app.tenant_id', true)") in (None, "")
    assert await app.fetchval("SELECT count(*) FROM tenant") == 0


async def test_the_app_role_cannot_turn_row_security_off(app):
    await app.execute("SET row_security = off")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch("SELECT * FROM app_user")
    finally:
        await app.execute("SET row_security = on")
    for sql in ("SET ROLE saas_owner", "SET ROLE saas_system", "ALTER TABLE record DISABLE ROW LEVEL SECURITY", "SELECT * FROM record_p00"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(sql)


async def test_wrong_secret_key_is_said_plainly(broken):
    from saas.errors import Unavailable

    with pytest.raises(Unavailable, match="SAAS_SECRET_KEY"):
        await examine_url(broken.database_url, replace(broken, secret_key="x" * 40))


async def _some_tenant(app: asyncpg.Connection):
    return await app.fetchval("SELECT gen_random_uuid()")


async def _closure(owner: asyncpg.Connection, table: str) -> dict[str, str]:
    """The table and those its rows refer to."""
    everything = await schema_checks.tenant_tables(owner)
    names, waiting = set(), [table]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += [row["target"] for row in (await probes.shape_of(owner, name))[1]]
    return {name: everything[name] for name in everything if name in names}


@asynccontextmanager
async def _changed(owner: asyncpg.Connection, sql: str, undo: str) -> AsyncIterator[None]:
    await owner.execute(sql)
    try:
        yield
    finally:
        await owner.execute(undo)
