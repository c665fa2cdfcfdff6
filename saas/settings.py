"""Settings: one frozen object, built once from the environment. The only module that reads the environment."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(r"^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,190}\Z")
MINIMUM_SECRET_LENGTH = 32


class InvalidSettings(Exception):
    """Every bad variable at once, each with what to write instead. Values are never repeated: they may be secrets."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("The environment has problems:\n" + "\n".join(f"  {problem}" for problem in problems))


HOME = "home"  # the database of DATABASE_URL, which also keeps the directory of tenants


@dataclass(frozen=True, slots=True)
class Cell:
    """One database with tenants: its administrator's URL, and those of its pooler and its replica if it has them.

    `number` gives it entity numbers of its own; home is 0. It must never change.
    """

    key: str
    number: int
    url: str = field(repr=False)
    pooler_url: str | None = field(default=None, repr=False)
    replica_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """`database_url` None means the embedded server in `data_dir`. It names an administrator's login: the product makes
    and uses its own roles in that database. It is the direct address: migrations, LISTEN and moves of tenants go there.
    `pooler_url`: where requests and jobs go instead, in transaction mode; `replica_url`: a streaming replica that answers
    reads; `cells`: further databases that hold tenants, by key (docs/scaling.md). `outbound_allow`: places of the operator's own
    network that tenants' addresses may lead to (saas.outbound); `dns_servers`: who is asked about tenants' domains instead of the
    machine's own; `domain_target`: what those domains point to, the base domain without it. What is logged and
    measured: docs/observability.md. Secrets stay out of `repr`."""

    base_domain: str = "localhost"
    data_dir: Path = Path("data")
    secret_key: str = field(default="", repr=False)
    database_url: str | None = field(default=None, repr=False)
    database_pooler: bool = False
    database_citus: bool = False
    pooler_url: str | None = field(default=None, repr=False)
    replica_url: str | None = field(default=None, repr=False)
    cells: Mapping[str, Cell] = field(default_factory=dict)
    pool_size: int = 10
    stripe_api_key: str | None = field(default=None, repr=False)
    stripe_api_base: str | None = None
    stripe_webhook_secret: str | None = field(default=None, repr=False)
    billing_grace_days: int = 7  # from the announcement that a payment is overdue until nothing can be changed any more
    billing_read_only_days: int = 14  # from then until the workspace is suspended
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    public_url: str | None = None
    product_name: str = "saas"
    signup_open: bool = True
    signup_plan: str = ""
    outbound_allow: frozenset[tuple[str, int]] = frozenset()
    dns_servers: tuple[tuple[str, int], ...] = ()
    trusted_proxy: bool = False
    internal_secret: str | None = field(default=None, repr=False)
    domain_target: str | None = None
    log_level: str = "INFO"
    log_format: str = "auto"
    log_errors: str = "places"
    metrics_token: str | None = field(default=None, repr=False)
    metrics_tenants: int = 0
    worker_metrics: str | None = None
    slow_query_ms: float = 500.0
    tenant_concurrency: int = 6
    operator_totp: str = "pages"  # who of the operators needs a second factor: always (also for API tokens), pages, optional

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, data_dir: Path | None = None) -> Settings:
        """Check everything, then build; `data_dir` goes before SAAS_DATA_DIR. Without SAAS_SECRET_KEY a key is made once and
        kept in the data directory."""
        environ = os.environ if environ is None else environ
        problems: list[str] = []
        values: dict[str, Any] = {}
        for name, (attribute, convert) in _VARIABLES.items():
            text = environ.get(name, "").strip()
            if not text:
                continue
            try:
                values[attribute] = convert(text)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if "public_url" in values and urlsplit(values["public_url"]).hostname != values.get("base_domain", cls.base_domain):
            problems.append("SAAS_PUBLIC_URL: its host must be SAAS_BASE_DOMAIN; tenants' names come before it")
        if problems:
            raise InvalidSettings(problems)
        settings = cls(**{**values, **({"data_dir": data_dir} if data_dir else {})})
        settings = replace(settings, data_dir=settings.data_dir.expanduser().absolute())
        if not settings.secret_key:
            try:
                settings = replace(settings, secret_key=_kept_secret(settings.data_dir))
            except OSError as error:
                reason = error.strerror or "cannot be written"
                raise InvalidSettings([f"SAAS_DATA_DIR: the secret key cannot be kept there ({reason})"]) from error
        return settings

    @property
    def mail_sender(self) -> str:
        """Our own address in messages; the name before it is the tenant's."""
        return self.mail_from or f"no-reply@{self.base_domain}"

    @property
    def link_origin(self) -> str:
        """Scheme, base domain and port of links in messages: `public_url`, or what follows from the base domain."""
        return self.public_url or (f"http://{self.base_domain}:8000" if self.is_local else f"https://{self.base_domain}")

    @property
    def is_local(self) -> bool:
        """True on a developer's machine, where cookies cannot insist on https."""
        return self.base_domain == "localhost" or self.base_domain.endswith(".localhost")


_METRICS = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name, looked at when it is imported
_TRACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")  # OpenTelemetry's own


def metrics_directory() -> Path | None:
    """Where several processes put their figures together."""
    found = os.environ.get(_METRICS)
    return Path(found) if found else None


def share_metrics(directory: str | None) -> None:
    """For the processes started from here on; None: each for itself."""
    if directory is None:
        os.environ.pop(_METRICS, None)
    else:
        os.environ[_METRICS] = directory


def traced_as(usual: str) -> str | None:
    """The name of this process in traces; None where no traces are wanted."""
    return os.environ.get("OTEL_SERVICE_NAME", usual) if any(os.environ.get(name) for name in _TRACES) else None


def point_piccolo_here() -> None:
    """Piccolo finds its configuration through the environment of the process; its own tables have no other way."""
    os.environ["PICCOLO_CONF"] = "saas.db.conf"


def _host(text: str) -> str:
    if not _HOST.match(text.lower()):
        raise ValueError("must be a bare host name such as crm.example.com, without scheme, port or path")
    return text.lower()


def _url(*schemes: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        problem = f"must be a URL starting with {' or '.join(scheme + '://' for scheme in schemes)}"
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            raise ValueError(f"{problem}, with a port number if any") from None
        if parts.scheme not in schemes or (not parts.netloc and not parts.query):
            raise ValueError(problem)
        return text

    return convert


def _smtp(text: str) -> str:
    _url("smtp", "smtps")(text)
    parts = urlsplit(text)
    if not parts.hostname or parts.query not in ("", "tls=require", "tls=offered", "tls=off"):
        raise ValueError("must be like smtp://user:password@host:587 or smtps://…; after it may stand ?tls=require, ?tls=offered or ?tls=off")
    return text


def _origin(text: str) -> str:
    _url("http", "https")(text)
    parts = urlsplit(text)
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError("must be scheme, base domain and port only, such as https://crm.example.com")
    return text.rstrip("/").lower()


def _mailbox(text: str) -> str:
    if not _MAILBOX.match(text):
        raise ValueError("must be one bare address such as crm@example.com")
    return text


def _secret(text: str) -> str:
    if len(text) < MINIMUM_SECRET_LENGTH:
        raise ValueError(f"must have at least {MINIMUM_SECRET_LENGTH} characters; make one with `openssl rand -hex 32`")
    return text


def _flag(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be 1 or 0")


def _open(text: str) -> bool:
    if text.lower() not in ("open", "closed"):
        raise ValueError("must be open or closed")
    return text.lower() == "open"


def _name(text: str) -> str:
    if len(text) > 60 or not text.isprintable():
        raise ValueError("must be a name of at most 60 characters")
    return text


def _plan_key(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", text):
        raise ValueError("must be the key of a plan, such as free")
    return text


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 500:
        raise ValueError("must be a whole number between 1 and 500")
    return int(text)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 365:
        raise ValueError("must be a whole number of days between 1 and 365")
    return int(text)


def _place(text: str, *, default_port: int | None = None) -> tuple[str, int]:
    """`host:port`, `[::1]:port`; the port may be left out where there is a usual one."""
    parts = urlsplit(f"//{text.strip()}")
    try:
        port = parts.port or default_port
    except ValueError:
        port = None
    if not parts.hostname or not port or parts.path or parts.username or parts.query:
        raise ValueError("must be host:port, several separated by commas")
    return parts.hostname.lower().removesuffix("."), port


def _places(text: str) -> frozenset[tuple[str, int]]:
    return frozenset(_place(part) for part in text.split(",") if part.strip())


def _servers(text: str) -> tuple[tuple[str, int], ...]:
    found = tuple(_place(part, default_port=53) for part in text.split(",") if part.strip())
    try:
        return tuple((str(ipaddress.ip_address(host)), port) for host, port in found)
    except ValueError:
        raise ValueError("must be IP addresses of name servers, with :port unless it is 53, separated by commas") from None


_CELL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,30}\Z")
MAXIMUM_CELLS = 200  # entity numbers are four bytes wide: each cell has ten million


def _cells(text: str) -> dict[str, Cell]:
    problem = 'must be a JSON object such as {"east": {"number": 1, "url": "postgresql://…"}}; also "pooler" and "replica"'
    try:
        given = json.loads(text)
        found = {key: _cell(key, value) for key, value in given.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(problem) from None
    numbers = [cell.number for cell in found.values()]
    if len(set(numbers)) != len(numbers):
        raise ValueError("each cell needs a number of its own, which never changes")
    return found


def _cell(key: str, value: Mapping[str, Any]) -> Cell:
    url = _url("postgresql", "postgres")
    number = value["number"]
    if key == HOME or not _CELL_KEY.match(key) or isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAXIMUM_CELLS:
        raise ValueError(key)
    if set(value) - {"number", "url", "pooler", "replica"}:
        raise ValueError(key)
    pooler, replica = value.get("pooler"), value.get("replica")
    return Cell(key, number, url(value["url"]), url(pooler) if pooler else None, url(replica) if replica else None)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")
        return text.lower()

    return convert


def _number(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number between {least} and {most}")
        return int(text)

    return convert


def _token(text: str) -> str:
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must have at least 16 characters, without blanks")
    return text


def _address(text: str) -> str:
    host, sign, port = text.rpartition(":")
    if not sign or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be an address and a port such as 127.0.0.1:9100")
    return text


def _level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def _operator_totp(text: str) -> str:
    if text.lower() not in {"always", "pages", "optional"}:
        raise ValueError("must be always, pages or optional")
    return text.lower()


def is_said(name: str) -> bool:
    """Whether the environment gives a setting, or it only has its default."""
    return bool(os.environ.get(name))


_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "DATABASE_URL": ("database_url", _url("postgresql", "postgres")),
    "SAAS_BASE_DOMAIN": ("base_domain", _host),
    "SAAS_SECRET_KEY": ("secret_key", _secret),
    "SAAS_OPERATOR_TOTP": ("operator_totp", _operator_totp),
    "SAAS_DATA_DIR": ("data_dir", Path),
    "SAAS_DATABASE_POOLER": ("database_pooler", _flag),
    "SAAS_DATABASE_CITUS": ("database_citus", _flag),
    "SAAS_POOLER_URL": ("pooler_url", _url("postgresql", "postgres")),
    "SAAS_REPLICA_URL": ("replica_url", _url("postgresql", "postgres")),
    "SAAS_CELLS": ("cells", _cells),
    "SAAS_POOL_SIZE": ("pool_size", _size),
    "SAAS_LOG_LEVEL": ("log_level", _level),
    "SAAS_LOG_FORMAT": ("log_format", _one_of("auto", "json", "text")),
    "SAAS_LOG_ERRORS": ("log_errors", _one_of("places", "full")),
    "SAAS_METRICS_TOKEN": ("metrics_token", _token),
    "SAAS_METRICS_TENANTS": ("metrics_tenants", _number(0, 200)),
    "SAAS_WORKER_METRICS": ("worker_metrics", _address),
    "SAAS_SLOW_QUERY_MS": ("slow_query_ms", _number(0, 600_000)),
    "SAAS_TENANT_CONCURRENCY": ("tenant_concurrency", _number(0, 500)),
    "STRIPE_API_KEY": ("stripe_api_key", str),
    "STRIPE_API_BASE": ("stripe_api_base", _url("http", "https")),
    "STRIPE_WEBHOOK_SECRET": ("stripe_webhook_secret", str),
    "SAAS_BILLING_GRACE_DAYS": ("billing_grace_days", _days),
    "SAAS_BILLING_READ_ONLY_DAYS": ("billing_read_only_days", _days),
    "SMTP_URL": ("smtp_url", _smtp),
    "SAAS_MAIL_FROM": ("mail_from", _mailbox),
    "SAAS_PUBLIC_URL": ("public_url", _origin),
    "SAAS_PRODUCT_NAME": ("product_name", _name),
    "SAAS_SIGNUP": ("signup_open", _open),
    "SAAS_SIGNUP_PLAN": ("signup_plan", _plan_key),
    "SAAS_OUTBOUND_ALLOW": ("outbound_allow", _places),
    "SAAS_DNS_SERVERS": ("dns_servers", _servers),
    "SAAS_TRUSTED_PROXY": ("trusted_proxy", _flag),
    "SAAS_INTERNAL_SECRET": ("internal_secret", _secret),
    "SAAS_DOMAIN_TARGET": ("domain_target", _host),
}


def _kept_secret(data_dir: Path) -> str:
    """Several processes may start at once: the first link wins and all read the same key."""
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=data_dir)  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(secrets.token_hex(32))
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):
                Path(path).hardlink_to(temporary)
        finally:
            Path(temporary).unlink()
    return path.read_text().strip()
