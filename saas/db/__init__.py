"""The only code that speaks about connections: tenants' transactions, the system role, the embedded server, migrations."""

from saas.db import limits
from saas.db.reading import primary, request_reads, session_known
from saas.db.reasons import SystemReason
from saas.db.scope import (
    cells,
    close_database,
    count_queries,
    current_database,
    direct_connection,
    hold,
    in_transaction,
    is_database_open,
    is_frozen,
    let_go,
    may_write,
    one_transaction,
    only_read,
    open_database,
    open_tenant,
    own_limits,
    plan_by_values,
    query_count,
    system_transaction,
    tenant_transaction,
)
from saas.db.together import Write, write_and_ask, write_together

__all__ = [
    "SystemReason",
    "Write",
    "cells",
    "close_database",
    "count_queries",
    "current_database",
    "direct_connection",
    "hold",
    "in_transaction",
    "is_database_open",
    "is_frozen",
    "let_go",
    "limits",
    "may_write",
    "one_transaction",
    "only_read",
    "open_database",
    "open_tenant",
    "own_limits",
    "plan_by_values",
    "primary",
    "query_count",
    "request_reads",
    "session_known",
    "system_transaction",
    "tenant_transaction",
    "write_and_ask",
    "write_together",
]
