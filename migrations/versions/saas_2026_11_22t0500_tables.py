"""Every table of the first release. Policies and grants follow in the next file: until then nobody but the owner sees them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.partitions import make_hash_partitions, make_month_partitions

ID = "2026-11-22T05:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Tables"

# ---- operators and tenants ------------------------------------------------------------------------------------------------

CONTROL = """
CREATE TABLE IF NOT EXISTS tenant (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    name text NOT NULL,
    locale text NOT NULL DEFAULT 'en',
    time_zone text NOT NULL DEFAULT 'UTC',
    currency text NOT NULL DEFAULT 'CNY',
    country text NOT NULL DEFAULT 'CN',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleting')),
    plan_key text NOT NULL DEFAULT 'free',
    pack_key text NOT NULL DEFAULT '',
    brand jsonb NOT NULL DEFAULT '{}',
    clock_offset_seconds int NOT NULL DEFAULT 0,
    config_revision int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS operator_account (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL DEFAULT '',
    password_hash text NOT NULL,
    totp_secret text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
    failed_count int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz
);
CREATE TABLE IF NOT EXISTS operator_session (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    operator_id uuid NOT NULL REFERENCES operator_account (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('web', 'api')),
    csrf_secret text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    ip text NOT NULL DEFAULT '',
    user_agent text NOT NULL DEFAULT '',
    revoked_at timestamptz
);
CREATE TABLE IF NOT EXISTS operator_audit (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    operator_id uuid,
    kind text NOT NULL,
    tenant_id_text text NOT NULL DEFAULT '',
    ip text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS operator_audit_at ON operator_audit (at DESC);
"""

# ---- people ---------------------------------------------------------------------------------------------------------------

PEOPLE = """
CREATE TABLE IF NOT EXISTS app_user (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    email text NOT NULL CHECK (email = lower(email)),
    name text NOT NULL,
    password_hash text NOT NULL DEFAULT '',
    locale text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
    superior_id uuid,
    title text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    successor_id uuid,
    failed_count int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    must_change_password boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email)
);
CREATE INDEX IF NOT EXISTS app_user_superior ON app_user (tenant_id, superior_id) WHERE superior_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS user_role (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role_key text NOT NULL,
    PRIMARY KEY (tenant_id, user_id, role_key),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS department (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    key text NOT NULL,
    name jsonb NOT NULL DEFAULT '{}',
    parent_id uuid,
    position int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES department (tenant_id, id)
);
CREATE TABLE IF NOT EXISTS user_department (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    department_id uuid NOT NULL,
    is_primary boolean NOT NULL DEFAULT true,
    title text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, user_id, department_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, department_id) REFERENCES department (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS user_department_members ON user_department (tenant_id, department_id);
CREATE TABLE IF NOT EXISTS session (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('web', 'api')),
    csrf_secret text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    ip text NOT NULL DEFAULT '',
    user_agent text NOT NULL DEFAULT '',
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS session_of_user ON session (tenant_id, user_id);
CREATE TABLE IF NOT EXISTS audit_event (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor_id uuid,
    kind text NOT NULL,
    target text,
    ip text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS audit_event_at ON audit_event (tenant_id, at DESC);
"""

# ---- configuration ----------------------------------------------------------------------------------------------------------

CONFIGURATION = """
CREATE TABLE IF NOT EXISTS entity (
    tenant_id uuid NOT NULL,
    id int GENERATED ALWAYS AS IDENTITY,
    key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key)
);
CREATE TABLE IF NOT EXISTS field_column (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    field_key text NOT NULL,
    column_name text NOT NULL,
    storage text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, entity_id, field_key),
    UNIQUE (tenant_id, entity_id, column_name)
);
CREATE TABLE IF NOT EXISTS config_revision (
    tenant_id uuid NOT NULL,
    number int NOT NULL,
    hash text NOT NULL,
    bundle jsonb NOT NULL,
    message text NOT NULL DEFAULT '',
    author_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, number)
);
CREATE TABLE IF NOT EXISTS config_draft (
    tenant_id uuid PRIMARY KEY,
    base_revision int NOT NULL,
    bundle jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by uuid
);
"""

# ---- records ----------------------------------------------------------------------------------------------------------------

SLOTS = {"t": ("text", 40, 8), "i": ("int8", 20, 4), "n": ("float8", 16, 4), "d": ("timestamptz", 20, 4), "r": ("uuid", 24, 8)}
SLOT_COLUMNS = [f"{letter}{n} {kind}" for letter, (kind, count, _) in SLOTS.items() for n in range(1, count + 1)]
INDEXED = [f"{letter}{n}" for letter, (_, _, indexed) in SLOTS.items() for n in range(1, indexed + 1)]
INDEXED += ["owner_id", "state", "created_at", "updated_at", "deleted_at"]

RECORD = f"""
CREATE TABLE IF NOT EXISTS record (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    id uuid NOT NULL,
    version int NOT NULL DEFAULT 1,
    owner_id uuid,
    department_id uuid,
    state text,
    state_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by uuid,
    deleted_at timestamptz,
    deleted_by uuid,
    doc jsonb NOT NULL DEFAULT '{{}}',
    {", ".join(SLOT_COLUMNS)},
    PRIMARY KEY (tenant_id, entity_id, id)
) PARTITION BY HASH (entity_id);
"""
# An entity number belongs to one tenant, so these lead with it and only carry the tenant along for the policy.
RECORD_INDEXES = "\n".join(
    f"CREATE INDEX IF NOT EXISTS record_{column} ON record (entity_id, {column}, id) INCLUDE (tenant_id) "
    f"WHERE {column} IS NOT NULL;"
    for column in INDEXED
)

AROUND_RECORDS = """
CREATE TABLE IF NOT EXISTS record_event (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor_id uuid,
    origin text NOT NULL,
    kind text NOT NULL,
    operation_id uuid,
    transition text,
    version int NOT NULL,
    changes jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, entity_id, record_id, at, id)
) PARTITION BY RANGE (at);
CREATE INDEX IF NOT EXISTS record_event_record ON record_event (tenant_id, entity_id, record_id, at DESC);
CREATE INDEX IF NOT EXISTS record_event_operation ON record_event (tenant_id, operation_id) WHERE operation_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS stage_history (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    id uuid NOT NULL,
    stage text NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now(),
    left_at timestamptz,
    user_id uuid,
    PRIMARY KEY (tenant_id, entity_id, record_id, id)
);
CREATE INDEX IF NOT EXISTS stage_history_stage ON stage_history (tenant_id, entity_id, stage, entered_at);
CREATE TABLE IF NOT EXISTS search_token (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    token text COLLATE "C" NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, token, record_id)
);
CREATE INDEX IF NOT EXISTS search_token_record ON search_token (tenant_id, entity_id, record_id);
CREATE TABLE IF NOT EXISTS unique_value (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    rule_key text NOT NULL,
    value text NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, rule_key, value)
);
CREATE INDEX IF NOT EXISTS unique_value_record ON unique_value (tenant_id, entity_id, record_id);
CREATE TABLE IF NOT EXISTS record_link (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    field_key text NOT NULL,
    from_id uuid NOT NULL,
    to_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, field_key, from_id, to_id)
);
CREATE INDEX IF NOT EXISTS record_link_to ON record_link (tenant_id, entity_id, field_key, to_id);
CREATE TABLE IF NOT EXISTS counter (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    field_key text NOT NULL,
    period text NOT NULL,
    value bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, entity_id, field_key, period)
);
"""

# ---- the engine's own ---------------------------------------------------------------------------------------------------------

ENGINE = """
CREATE TABLE IF NOT EXISTS notification (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    title text NOT NULL,
    body text NOT NULL DEFAULT '',
    entity_key text,
    record_id uuid,
    kind text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS notification_user ON notification (tenant_id, user_id, created_at DESC);
CREATE TABLE IF NOT EXISTS job (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    payload jsonb NOT NULL DEFAULT '{}',
    progress int NOT NULL DEFAULT 0,
    total int,
    result jsonb,
    error text,
    run_at timestamptz NOT NULL DEFAULT now(),
    attempts int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
-- Workers look for due jobs of all tenants, so this one index leads with the time.
CREATE INDEX IF NOT EXISTS job_due ON job (run_at) WHERE status IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS job_created ON job (tenant_id, created_at DESC);
CREATE TABLE IF NOT EXISTS schedule_run (
    tenant_id uuid NOT NULL,
    schedule_key text NOT NULL,
    record_id uuid NOT NULL,
    period text NOT NULL,
    ran_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, schedule_key, record_id, period)
);
CREATE TABLE IF NOT EXISTS schedule_log (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    schedule_key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    matched int NOT NULL DEFAULT 0,
    done int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS schedule_log_at ON schedule_log (tenant_id, schedule_key, at DESC);
CREATE TABLE IF NOT EXISTS automation_log (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    automation_key text NOT NULL,
    entity_id int,
    record_id uuid,
    at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS automation_log_at ON automation_log (tenant_id, automation_key, at DESC);
CREATE TABLE IF NOT EXISTS file (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    entity_key text,
    record_id uuid,
    field_key text,
    name text NOT NULL,
    size_bytes int8 NOT NULL,
    content_type text NOT NULL,
    sha256 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS file_record ON file (tenant_id, record_id) WHERE record_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS saved_view (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    entity_key text NOT NULL,
    key text NOT NULL,
    user_id uuid,
    shared boolean NOT NULL DEFAULT false,
    definition jsonb NOT NULL,
    position int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS saved_view_entity ON saved_view (tenant_id, entity_key, position);
CREATE TABLE IF NOT EXISTS idempotency_key (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    status int,
    response jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id, key)
);
CREATE INDEX IF NOT EXISTS idempotency_key_created ON idempotency_key (tenant_id, created_at);
"""


async def make_tables() -> None:
    await DB.run_script(CONTROL, PEOPLE, CONFIGURATION, RECORD)
    # Indexes after the partitions exist: each is made on the parent once and reaches all of them.
    await make_hash_partitions("record", 32)
    await DB.run_script(RECORD_INDEXES, AROUND_RECORDS)
    await make_month_partitions("record_event", "2025-01", "2027-12")
    await DB.run_script(ENGINE)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
