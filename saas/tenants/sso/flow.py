"""One sign-in: off to the provider with state, nonce and PKCE, and back. What belongs to it is sealed in a cookie of the browser that
began it, bound to the tenant; each state counts once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from saas.db import tenant_transaction
from saas.tenants.links import address_of
from saas.tenants.sealing import CannotUnseal, seal, unseal
from saas.tenants.sso import provider
from saas.tenants.sso.provider import SignInRefused
from saas.tenants.sso.store import SingleSignOn, get_single_sign_on
from saas.tenants.tenants import TenantRow

CALLBACK = "/sso/callback"
LIFE_SECONDS = 600
COOKIE = "sso_"  # with the beginning of the state: several tabs may sign in at once
SCOPE = "openid email profile"
_ERRORS = frozenset((  # RFC 6749, 4.1.2.1; OpenID Connect Core, 3.1.2.6
    "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable", "interaction_required", "login_required",
    "account_selection_required", "consent_required", "invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported", "registration_not_supported",
))  # fmt: skip
_PURPOSE, _HINT = "sign-in by sso", "sign-out hint"


@dataclass(frozen=True, slots=True)
class Started:
    """Where the browser goes, and the cookie that brings it back."""

    url: str
    cookie: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for. `email` is empty unless it is verified. `trial_of`: an administrator only wants to look."""

    issuer: str
    subject: str
    email: str
    name: str
    claims: Mapping[str, Any]
    next: str
    trial_of: UUID | None
    id_token: str = field(repr=False)
    said_email: str = ""


def cookie_name(state: str) -> str:
    return COOKIE + "".join(c for c in state[:12] if c.isalnum())


def redirect_uri(tenant: TenantRow) -> str:
    """The one address the provider may send people back to: by settings and the tenant's row, whatever a request says."""
    return address_of(tenant, CALLBACK)


async def begin(tenant: TenantRow, *, next_: str = "/", trial_of: UUID | None = None, login_hint: str = "") -> Started:
    """Errors: SignInRefused (off, away, metadata)."""
    single = await get_single_sign_on(tenant.id)
    if single is None or (not single.is_on and trial_of is None):
        raise SignInRefused(reason="off")
    metadata = await provider.discover(tenant.id, single.issuer, fresh=trial_of is not None)
    state, nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    kept = {
        "state": state, "nonce": nonce, "verifier": verifier, "next": next_, "issuer": single.issuer, "client_id": single.client_id, "redirect_uri": redirect_uri(tenant),
        "at": int(time.time()), "trial_of": str(trial_of) if trial_of else None,
    }  # fmt: skip
    query = {
        "response_type": "code", "client_id": single.client_id, "redirect_uri": kept["redirect_uri"], "scope": SCOPE, "state": state, "nonce": nonce,
        "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256", **({"login_hint": login_hint} if login_hint else {}),
    }  # fmt: skip
    there = metadata.authorization_endpoint
    url = f"{there}{'&' if '?' in there else '?'}{urlencode(query)}"
    return Started(url, cookie_name(state), base64.urlsafe_b64encode(seal(_PURPOSE, json.dumps(kept), tenant.id)).decode())


async def finish(tenant: TenantRow, query: Mapping[str, str], cookies: Mapping[str, str]) -> Identity:
    """Whom the provider sent back. Errors: SignInRefused."""
    state = query.get("state", "")
    kept = _open(tenant.id, state, cookies.get(cookie_name(state), ""))
    # Before anything goes out: whoever comes with the same answer once more, at the same moment or later, is told so.
    async with tenant_transaction(tenant.id) as conn:
        first = await conn.fetchval(
            "INSERT INTO sso_used (tenant_id, state_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true", tenant.id, hashlib.sha256(state.encode()).digest()
        )
    if not first:
        raise SignInRefused(reason="state", detail="used already")
    trial_of = UUID(kept["trial_of"]) if kept["trial_of"] else None
    single = await get_single_sign_on(tenant.id)
    if single is None or (not single.is_on and trial_of is None):
        raise SignInRefused(reason="off")
    if (single.issuer, single.client_id, redirect_uri(tenant)) != (kept["issuer"], kept["client_id"], kept["redirect_uri"]):
        raise SignInRefused(reason="state", detail="the settings were changed meanwhile")
    metadata = await provider.discover(tenant.id, single.issuer)
    if (metadata.names_itself or "iss" in query) and query.get("iss") != single.issuer:
        raise SignInRefused(reason="issuer", detail=f"iss: {query.get('iss', '')[:200]}", noted="iss")
    if "error" in query or not query.get("code"):
        # The browser brought these words, whoever wrote them: only those of the protocol are kept.
        code = query.get("error", "")
        raise SignInRefused(reason="denied", detail=f"{code} {query.get('error_description', '')}"[:300].strip(), noted=code if code in _ERRORS else "")
    tokens = await provider.exchange(single, metadata, code=query["code"], verifier=kept["verifier"], redirect_uri=kept["redirect_uri"])
    return await _identity(tenant.id, single, metadata, tokens, kept, trial_of)


def _open(tenant_id: UUID, state: str, sealed: str) -> dict[str, Any]:
    """What was kept when this state was made, by this browser, for this tenant, not long ago."""
    try:
        kept = json.loads(unseal(_PURPOSE, base64.urlsafe_b64decode(sealed.encode()), tenant_id))
    except (CannotUnseal, ValueError) as error:
        raise SignInRefused(reason="state") from error
    if not state or not hmac.compare_digest(kept["state"].encode(), state.encode()) or not 0 <= time.time() - kept["at"] <= LIFE_SECONDS:
        raise SignInRefused(reason="state")
    return kept


async def _identity(
    tenant_id: UUID, single: SingleSignOn, metadata: provider.Metadata, tokens: Mapping[str, Any], kept: Mapping[str, Any], trial_of: UUID | None
) -> Identity:
    access = tokens.get("access_token") if isinstance(tokens.get("access_token"), str) else None
    claims = await provider.verify(tenant_id, single, tokens["id_token"], nonce=kept["nonce"], access_token=access)
    thin = not claims.get("email") or (single.role_claim and single.role_claim not in claims)
    if thin and access and metadata.userinfo_endpoint:
        claims = {**await provider.user_info(metadata, access, claims["sub"]), **claims}
    said = str(claims.get("email") or "").strip().lower()[:256]
    verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"  # some write it as a text
    name = str(claims.get("name") or claims.get("preferred_username") or said.partition("@")[0]).strip()[:200]
    return Identity(
        single.issuer, claims["sub"], said if verified else "", name, claims, kept["next"], trial_of, tokens["id_token"] if len(tokens["id_token"]) <= 8000 else "", said
    )  # fmt: skip


async def log_out_address(tenant: TenantRow, hint: str) -> str | None:
    """Where somebody signs out at the provider, too; None where it offers none. Errors: SignInRefused (away, metadata)."""
    single = await get_single_sign_on(tenant.id)
    if single is None or not single.is_on:
        return None
    there = (await provider.discover(tenant.id, single.issuer)).end_session_endpoint
    if not there:
        return None
    query = {"client_id": single.client_id, "post_logout_redirect_uri": address_of(tenant, "/login"), **({"id_token_hint": hint} if hint else {})}
    return f"{there}{'&' if '?' in there else '?'}{urlencode(query)}"


def trial_of(tenant_id: UUID, state: str, cookies: Mapping[str, str]) -> UUID | None:
    """The administrator who tries it, where this answer belongs to a trial."""
    try:
        kept = _open(tenant_id, state, cookies.get(cookie_name(state), ""))
    except SignInRefused:
        return None
    return UUID(kept["trial_of"]) if kept["trial_of"] else None


def seal_hint(tenant_id: UUID, id_token: str) -> str:
    """The ID token for the minutes between signing out here and there, for a cookie."""
    return base64.urlsafe_b64encode(seal(_HINT, id_token, tenant_id)).decode()


def read_hint(tenant_id: UUID, sealed: str) -> str:
    """ "" for what is none."""
    try:
        return unseal(_HINT, base64.urlsafe_b64decode(sealed.encode()), tenant_id)
    except (CannotUnseal, ValueError):
        return ""
