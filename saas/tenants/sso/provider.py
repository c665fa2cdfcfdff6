"""Speaking with a tenant's provider: what it says of itself, its keys, codes for tokens, and what an ID token must be to be believed.

Every request goes out through saas.outbound: a tenant names these addresses.
"""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jws
from joserfc.errors import JoseError

from saas.db import current_database
from saas.errors import NotAuthenticated
from saas.i18n import LazyString, lazy
from saas.log import get_logger
from saas.observe.seen import outside
from saas.outbound import Answer, OutboundFailed, check_url, request
from saas.tenants.sso.store import SingleSignOn

log = get_logger(__name__)
DISCOVERY = "/.well-known/openid-configuration"
# Signatures with a public key only. No "none", and no HS…: its key would be the client secret, or the public key taken for one.
ALGORITHMS = {"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA", "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
KEEP_SECONDS, FRESH_SECONDS = 3600.0, 30.0  # how long answers are kept; how long until keys are fetched again for an unknown one
FAILED_SECONDS = 10.0  # how long one that failed is not asked again
LEEWAY_SECONDS = 60
MOST_PROVIDERS, MOST_KEYS, MOST_TOKEN = 2000, 40, 20_000
MINIMUM_RSA_BITS = 2048

REASONS: Mapping[str, LazyString] = {
    "off": lazy("Single sign-on is not switched on here."),
    "away": lazy("The sign-in service of your company cannot be reached at the moment."),
    "metadata": lazy("The sign-in service does not describe itself as it must. Please tell your administrator."),
    "state": lazy("This sign-in took too long, was used already, or began in another browser. Please try again."),
    "denied": lazy("The sign-in service did not let you in."),
    "issuer": lazy("The answer came from another sign-in service than the one that was asked."),
    "token": lazy("The answer of the sign-in service could not be believed. Please tell your administrator."),
    "email": lazy("The sign-in service did not give an e-mail address that it has verified."),
    "domain": lazy("This e-mail address does not belong to your company."),
    "unknown": lazy("There is no account for this e-mail address here. Please ask your administrator."),
    "inactive": lazy("Your account here is not active. Please ask your administrator."),
    "bound": lazy("This account is connected with another identity of the sign-in service. Please ask your administrator."),
    "seats": lazy("Your company's plan has no free seat. Please ask your administrator."),
    "required": lazy("Your company asks everybody to use single sign-on."),
}


class SignInRefused(NotAuthenticated):
    """`reason` is a key of REASONS; `detail` is for the administrator who tries it, `noted` what of it may stand in the log."""

    code = "single_sign_on_refused"

    def __init__(self, *, reason: str = "token", detail: str = "", noted: str | None = None) -> None:
        super().__init__(REASONS[reason], reason=reason)
        self.reason, self.detail, self.noted = reason, detail, detail if noted is None else noted


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself, checked."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    auth_methods: tuple[str, ...]
    names_itself: bool  # it adds `iss` to its answers (RFC 9207)


@dataclass(slots=True)
class _Known:
    metadata: Metadata
    until: float
    keys: tuple[Any, ...] = ()
    keys_at: float = 0.0


_Key = tuple[UUID, str]  # tenant, issuer
_known: dict[_Key, _Known] = {}
_failed: dict[_Key, tuple[float, SignInRefused]] = {}  # until when
_asking: dict[_Key, asyncio.Task[_Known]] = {}


def forget_provider(tenant_id: UUID) -> None:
    """After its settings were changed, in this process; others follow within the hour, or at the first unknown key."""
    for key in [key for key in _known if key[0] == tenant_id]:
        _known.pop(key, None)
    for key in [key for key in _failed if key[0] == tenant_id]:
        _failed.pop(key, None)


async def discover(tenant_id: UUID, issuer: str, *, fresh: bool = False) -> Metadata:
    """Errors: SignInRefused (away, metadata)."""
    return (await _provider(tenant_id, issuer, fresh=fresh)).metadata


async def _provider(tenant_id: UUID, issuer: str, *, fresh: bool = False) -> _Known:
    key, now = (tenant_id, issuer), time.monotonic()
    if not fresh:
        found = _known.get(key)
        if found is not None and found.until > now:
            return found
        until, error = _failed.get(key, (0.0, None))
        if error is not None and until > now:
            raise SignInRefused(reason=error.reason, detail=error.detail)
    # Anybody can begin a sign-in: however many do at once, the provider is asked once. It goes on when the first of them leaves.
    task = _asking.get(key)
    if task is None:
        task = _asking[key] = asyncio.create_task(_look_up(key))
        task.add_done_callback(lambda done: _looked_up(key, done))
    async with outside():
        return await asyncio.shield(task)


async def _look_up(key: _Key) -> _Known:
    said = await _get_json(key[1].rstrip("/") + DISCOVERY)
    return _Known(read_metadata(said, key[1]), time.monotonic() + KEEP_SECONDS)


def _looked_up(key: _Key, task: asyncio.Task[_Known]) -> None:
    _asking.pop(key, None)
    error = None if task.cancelled() else task.exception()  # looked at here, too: perhaps nobody waits for it any more
    for kept in (_known, _failed):
        if len(kept) >= MOST_PROVIDERS:
            kept.clear()
    if isinstance(error, SignInRefused):
        _failed[key] = (time.monotonic() + FAILED_SECONDS, error)
    elif error is None and not task.cancelled():
        _known[key] = task.result()
        _failed.pop(key, None)


def read_metadata(said: Mapping[str, Any], issuer: str) -> Metadata:
    """Errors: SignInRefused. The issuer must be the very text that the tenant entered: else anybody could speak for anybody."""
    if said.get("issuer") != issuer:
        raise SignInRefused(reason="metadata", detail=f"issuer: {str(said.get('issuer'))[:200]!r} ≠ {issuer!r}")
    settings = current_database().settings
    addresses = {}
    for name, needed in (("authorization_endpoint", True), ("token_endpoint", True), ("jwks_uri", True), ("userinfo_endpoint", False), ("end_session_endpoint", False)):
        value = said.get(name) or ""
        try:
            if value or needed:
                check_url(str(value), settings)
        except OutboundFailed as error:
            raise SignInRefused(reason="metadata", detail=f"{name}: {error.message}") from error
        addresses[name] = str(value)
    methods = said.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer, **addresses, auth_methods=tuple(str(m) for m in methods) if isinstance(methods, list) else ("client_secret_basic",),
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
    )  # fmt: skip


async def _keys(tenant_id: UUID, issuer: str, *, fresh: bool) -> tuple[Any, ...]:
    known = await _provider(tenant_id, issuer)
    age = time.monotonic() - known.keys_at
    if not known.keys or age > KEEP_SECONDS or (fresh and age > FRESH_SECONDS):
        said = await _get_json(known.metadata.jwks_uri)
        known.keys, known.keys_at = read_keys(said), time.monotonic()
    return known.keys


def read_keys(said: Mapping[str, Any]) -> tuple[Any, ...]:
    """Public keys for signatures; what we cannot use is passed over. Errors: SignInRefused when none is left."""
    found, given = [], said.get("keys")
    for raw in given[:MOST_KEYS] if isinstance(given, list) else ():
        if not isinstance(raw, dict) or raw.get("kty") not in ("RSA", "EC", "OKP") or raw.get("use", "sig") != "sig":
            continue
        public = {name: value for name, value in raw.items() if name in ("kty", "kid", "n", "e", "crv", "x", "y")}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a weak key is passed over right below
                key = jwk.import_key(public)
                bits = key.public_key.key_size if key.key_type == "RSA" else MINIMUM_RSA_BITS
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if bits >= MINIMUM_RSA_BITS:
            found.append(key)
    if not found:
        raise SignInRefused(reason="metadata", detail="jwks_uri: no usable key")
    return tuple(found)


async def exchange(single: SingleSignOn, metadata: Metadata, *, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
    """The provider's tokens for a code. Errors: SignInRefused."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    if single.client_secret and "client_secret_basic" in metadata.auth_methods:  # each part is form-encoded first (RFC 6749, 2.3.1)
        pair = f"{quote(single.client_id, safe='')}:{quote(single.client_secret, safe='')}"
        headers["authorization"] = "Basic " + b64encode(pair.encode()).decode()
    else:
        form |= {"client_id": single.client_id} | ({"client_secret": single.client_secret} if single.client_secret else {})
    answer = await _ask("POST", metadata.token_endpoint, headers=headers, content=urlencode(form).encode())
    said = _json(answer)
    if not answer.is_good:
        raise SignInRefused(reason="away" if answer.status >= 500 else "token", detail=f"token_endpoint: {answer.status} {str(said.get('error', ''))[:100]} {str(said.get('error_description', ''))[:200]}".strip())
    if not isinstance(said.get("id_token"), str):
        raise SignInRefused(reason="token", detail="id_token: missing")
    return said


async def verify(tenant_id: UUID, single: SingleSignOn, token: str, *, nonce: str, access_token: str | None) -> dict[str, Any]:
    """The claims of an ID token that holds: signature, algorithm, issuer, audience, authorised party, times, nonce.
    Errors: SignInRefused."""
    if len(token) > MOST_TOKEN or token.count(".") != 2:
        raise SignInRefused(reason="token", detail="id_token: not a signed token")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError) as error:
        raise SignInRefused(reason="token", detail="id_token: unreadable") from error
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or "crit" in header:
        raise SignInRefused(reason="token", detail=f"alg: {str(algorithm)[:20]}")
    for fresh in (False, True):  # keys change: an unknown one is looked for once more
        candidates = [
            key for key in await _keys(tenant_id, single.issuer, fresh=fresh)
            if key.key_type == ALGORITHMS[algorithm] and ("kid" not in header or key.kid in (None, header["kid"]))
        ]  # fmt: skip
        for key in candidates:
            claims = _opened(token, key, algorithm)
            if claims is not None:
                return _checked(claims, header, single, nonce, access_token)
        if candidates:
            break
    raise SignInRefused(reason="token", detail="signature")


def _opened(token: str, key: Any, algorithm: str) -> dict[str, Any] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EdDSA is also called Ed25519 now
            claims = json.loads(jws.deserialize_compact(token.encode(), key, algorithms=[algorithm]).payload or b"")
    except (JoseError, ValueError, TypeError):
        return None
    return claims if isinstance(claims, dict) else None


def _checked(claims: dict[str, Any], header: Mapping[str, Any], single: SingleSignOn, nonce: str, access_token: str | None) -> dict[str, Any]:
    options = {
        "iss": {"essential": True, "values": [single.issuer]}, "aud": {"essential": True, "values": [single.client_id]}, "sub": {"essential": True}, "exp": {"essential": True},
        "iat": {"essential": True}, "nonce": {"essential": True},
    }  # fmt: skip
    try:
        if not isinstance(claims.get("nonce"), str):  # a list with ours among others would be another's
            raise ValueError("nonce")
        found = CodeIDToken(claims, dict(header), options, {"nonce": nonce, "client_id": single.client_id, "access_token": access_token})
        found.validate(leeway=LEEWAY_SECONDS)
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject.strip() or len(subject) > 255:
            raise ValueError("sub")
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise SignInRefused(reason="issuer" if "iss" in str(error).split("'") else "token", detail=str(error)[:200]) from error
    return claims


async def user_info(metadata: Metadata, access_token: str, subject: str) -> dict[str, Any]:
    """More claims, where the ID token is thin; nothing when the provider answers for somebody else. Errors: SignInRefused."""
    answer = await _ask("GET", metadata.userinfo_endpoint, headers={"authorization": f"Bearer {access_token}", "accept": "application/json"})
    if not answer.is_good:  # as if there were no claims would take people's roles
        raise SignInRefused(reason="away", detail=f"userinfo_endpoint: {answer.status}")
    said = _json(answer)
    return said if said.get("sub") == subject else {}


async def _get_json(url: str) -> dict[str, Any]:
    answer = await _ask("GET", url, headers={"accept": "application/json"})
    if not answer.is_good:
        raise SignInRefused(reason="away" if answer.status >= 500 else "metadata", detail=f"{url}: {answer.status}")
    return _json(answer)


async def _ask(method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"") -> Answer:
    try:
        return await request(method, url, settings=current_database().settings, headers=headers, content=content, max_bytes=500_000)
    except OutboundFailed as error:
        log.info("sso.provider_failed", reason=error.reason)
        raise SignInRefused(reason="metadata" if error.for_good else "away", detail=f"{url}: {error.message}") from error


def _json(answer: Answer) -> dict[str, Any]:
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise SignInRefused(reason="token" if answer.is_good else "away", detail=f"{answer.status}: no JSON")
    return said
