-- Typed tables of one CRM, the indexes its lists and boards need, and the same row security as the product's.
DROP SCHEMA IF EXISTS baseline CASCADE;
CREATE SCHEMA baseline;
SET search_path = baseline;

CREATE TABLE tenant (id uuid PRIMARY KEY, slug text NOT NULL UNIQUE, name text NOT NULL, status text NOT NULL);
CREATE TABLE app_user (
    tenant_id uuid NOT NULL REFERENCES tenant, id uuid NOT NULL, email text NOT NULL, name text NOT NULL, role text NOT NULL, status text NOT NULL DEFAULT 'active',
    department_id uuid, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email)
);
CREATE TABLE department (tenant_id uuid NOT NULL REFERENCES tenant, id uuid NOT NULL, name text NOT NULL, parent_id uuid, PRIMARY KEY (tenant_id, id));
CREATE TABLE session (
    tenant_id uuid NOT NULL, token_hash bytea NOT NULL, user_id uuid NOT NULL, kind text NOT NULL, csrf_secret text NOT NULL, expires_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, token_hash)
);
CREATE TABLE notification (tenant_id uuid NOT NULL, id uuid NOT NULL, user_id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), read_at timestamptz, title text NOT NULL, PRIMARY KEY (tenant_id, id));
CREATE INDEX notification_unread ON notification (tenant_id, user_id) WHERE read_at IS NULL;

CREATE TABLE region (tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, manager text, deleted_at timestamptz, PRIMARY KEY (tenant_id, id));
CREATE TABLE product (tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, price bigint, deleted_at timestamptz, PRIMARY KEY (tenant_id, id));
CREATE TABLE campaign (tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, starts_on date, deleted_at timestamptz, PRIMARY KEY (tenant_id, id));

CREATE TABLE customer (
    tenant_id uuid NOT NULL, id uuid NOT NULL, version int NOT NULL DEFAULT 1, owner_id uuid, department_id uuid,
    created_at timestamptz NOT NULL, created_by uuid, updated_at timestamptz NOT NULL, updated_by uuid, deleted_at timestamptz,
    name text NOT NULL, name_en text, code text, level text, industry text, status text, region_id uuid, product_id uuid, campaign_id uuid, city text, phone text, mail text,
    employees int, score float8, revenue bigint, founded_on date, last_contact_at timestamptz, next_contact_on date, vip boolean, note text, deal_amount bigint NOT NULL DEFAULT 0
);
CREATE TABLE deal (
    tenant_id uuid NOT NULL, id uuid NOT NULL, version int NOT NULL DEFAULT 1, owner_id uuid, department_id uuid, stage text NOT NULL, stage_since timestamptz NOT NULL,
    created_at timestamptz NOT NULL, created_by uuid, updated_at timestamptz NOT NULL, updated_by uuid, deleted_at timestamptz,
    name text NOT NULL, customer_id uuid NOT NULL, amount bigint, probability float8, expected_on date, product_id uuid, campaign_id uuid, region_id uuid, source text,
    priority text, quantity int, discount float8, contact text, phone text, next_step text, competitor text, renewal boolean, decided_at timestamptz, reason text, note text
);
CREATE TABLE task (
    tenant_id uuid NOT NULL, id uuid NOT NULL, version int NOT NULL DEFAULT 1, owner_id uuid, department_id uuid, created_at timestamptz NOT NULL, created_by uuid,
    updated_at timestamptz NOT NULL, updated_by uuid, deleted_at timestamptz, name text NOT NULL, customer_id uuid, deal_id uuid, due date, done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE history (
    tenant_id uuid NOT NULL, entity text NOT NULL, record_id uuid NOT NULL, id uuid NOT NULL, at timestamptz NOT NULL, actor_id uuid, kind text NOT NULL, version int NOT NULL,
    changes jsonb NOT NULL
);
CREATE TABLE deal_stage (tenant_id uuid NOT NULL, deal_id uuid NOT NULL, id uuid NOT NULL, stage text NOT NULL, entered_at timestamptz NOT NULL, left_at timestamptz, user_id uuid);
CREATE TABLE search_token (tenant_id uuid NOT NULL, entity text NOT NULL, token text COLLATE "C" NOT NULL, record_id uuid NOT NULL);
CREATE TABLE job (
    tenant_id uuid NOT NULL, id uuid NOT NULL, kind text NOT NULL, status text NOT NULL, progress int NOT NULL DEFAULT 0, total int, result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(), created_by uuid, PRIMARY KEY (tenant_id, id)
);
