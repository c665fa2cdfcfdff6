"""Single sign-on by OpenID Connect: each tenant names a provider of its own (docs/sso.md)."""

from saas.tenants.sso.flow import Identity, Started, begin, finish, log_out_address
from saas.tenants.sso.people import (
    Verdict,
    forget_subject,
    list_subjects,
    load_hint,
    open_sso_session,
    sign_in,
    what_would_happen,
)
from saas.tenants.sso.provider import REASONS, SignInRefused, forget_provider
from saas.tenants.sso.store import (
    MODES,
    SingleSignOn,
    end_password_sessions,
    get_single_sign_on,
    password_opens,
    set_single_sign_on,
)

__all__ = [
    "MODES",
    "REASONS",
    "Identity",
    "SignInRefused",
    "SingleSignOn",
    "Started",
    "Verdict",
    "begin",
    "end_password_sessions",
    "finish",
    "forget_provider",
    "forget_subject",
    "get_single_sign_on",
    "list_subjects",
    "load_hint",
    "log_out_address",
    "open_sso_session",
    "password_opens",
    "set_single_sign_on",
    "sign_in",
    "what_would_happen",
]
