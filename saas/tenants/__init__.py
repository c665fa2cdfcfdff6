"""Who: tenants, their people, departments and sessions; operators. Knows nothing of configurations or records."""

from saas.tenants.audit import list_audit, record_audit
from saas.tenants.auth import authenticate, change_password, set_password
from saas.tenants.departments import create_department, delete_department, list_departments, update_department
from saas.tenants.housekeeping import clean_up
from saas.tenants.ids import new_id
from saas.tenants.leaving import Proof, keep_tenant, record_export, record_import, remove_due, remove_tenant, request_deletion
from saas.tenants.moves import cell_of, move_tenant
from saas.tenants.operators import (
    OperatorInfo,
    authenticate_operator,
    close_operator_session,
    create_operator,
    find_operator_session,
    open_operator_session,
    record_operator_audit,
)
from saas.tenants.plans import Limits, limits_of
from saas.tenants.sessions import (
    SessionInfo,
    UserRow,
    close_session,
    find_session,
    list_sessions,
    load_user,
    open_session,
    revoke_session,
    set_view_as,
)
from saas.tenants.tenants import (
    TenantRow,
    check_slug,
    create_tenant,
    delete_tenant,
    find_tenant,
    forget_host,
    get_tenant,
    list_tenants,
    resolve_host,
    set_tenant_plan,
    set_tenant_status,
)
from saas.tenants.users import count_by_role, create_user, find_user, list_users, set_roles, update_user

__all__ = [
    "Limits",
    "OperatorInfo",
    "Proof",
    "SessionInfo",
    "TenantRow",
    "UserRow",
    "authenticate",
    "authenticate_operator",
    "cell_of",
    "change_password",
    "check_slug",
    "clean_up",
    "close_operator_session",
    "close_session",
    "count_by_role",
    "create_department",
    "create_operator",
    "create_tenant",
    "create_user",
    "delete_department",
    "delete_tenant",
    "find_operator_session",
    "find_session",
    "find_tenant",
    "find_user",
    "forget_host",
    "get_tenant",
    "keep_tenant",
    "limits_of",
    "list_audit",
    "list_departments",
    "list_sessions",
    "list_tenants",
    "list_users",
    "load_user",
    "move_tenant",
    "new_id",
    "open_operator_session",
    "open_session",
    "record_audit",
    "record_export",
    "record_import",
    "record_operator_audit",
    "remove_due",
    "remove_tenant",
    "request_deletion",
    "resolve_host",
    "revoke_session",
    "set_password",
    "set_roles",
    "set_tenant_plan",
    "set_tenant_status",
    "set_view_as",
    "update_department",
    "update_user",
]
