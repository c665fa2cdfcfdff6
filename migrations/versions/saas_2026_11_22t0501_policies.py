"""Row security and grants for every table. All of it can run twice."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect
from saas.db.roles import APP, SYSTEM

ID = "2026-11-22T05:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Policies and grants"

FULL = (
    "app_user", "user_role", "department", "user_department", "session",
    "entity", "field_column", "config_revision", "config_draft",
    "record", "stage_history", "search_token", "unique_value", "record_link", "counter",
    "notification", "job", "schedule_run", "schedule_log", "automation_log", "file", "saved_view", "idempotency_key",
)
APPEND_ONLY = ("record_event", "audit_event")
OPERATORS = ("operator_account", "operator_session", "operator_audit")
# A tenant shapes itself, but its plan, its status and its address belong to the operator.
TENANT_COLUMNS = "name, locale, time_zone, currency, country, pack_key, brand, clock_offset_seconds, config_revision"


async def protect_tables() -> None:
    await DB.run_script(f"GRANT USAGE ON SCHEMA public TO {APP}, {SYSTEM}")
    await DB.run_script(*protect("tenant", "id"), *grant("tenant", f"SELECT, INSERT, UPDATE ({TENANT_COLUMNS})"))
    for table in FULL:
        await DB.run_script(*protect(table), *grant(table))
    for table in APPEND_ONLY:
        await DB.run_script(*protect(table), *grant(table, "SELECT, INSERT"))
    for table in OPERATORS:
        await DB.run_script(*grant(table, ""))
    await DB.run_script(f"REVOKE ALL ON migration FROM PUBLIC, {APP}", f"GRANT SELECT ON migration TO {SYSTEM}")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(protect_tables)
    return manager
