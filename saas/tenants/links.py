"""Addresses of pages as they stand in messages. Built from the settings and the tenant's own row, never from what a request says
about its host: whoever asks for a message must not decide where its link leads."""

from __future__ import annotations

from urllib.parse import urlsplit

from saas.db import current_database
from saas.settings import Settings
from saas.tenants.tenants import TenantRow


def address_of(tenant: TenantRow, path: str = "/", *, settings: Settings | None = None) -> str:
    """`https://acme.example.com/path`, or by the domain of its own that the tenant has proved and made its main address. `settings`
    defaults to those of the open database."""
    settings = settings or current_database().settings
    return _address(tenant.domain or f"{tenant.slug}.{settings.base_domain}", path, settings)


def own_address_of(tenant: TenantRow, path: str = "/", *, settings: Settings | None = None) -> str:
    """The address under our own domain, which works whatever happens to the tenant's."""
    return platform_address(path, slug=tenant.slug, settings=settings)


def platform_address(path: str = "/", *, slug: str = "", settings: Settings | None = None) -> str:
    """`https://example.com/path`: a page of the apex host, or with `slug` of the workspace that has or is to have this address."""
    settings = settings or current_database().settings
    return _address(f"{f'{slug}.' if slug else ''}{settings.base_domain}", path, settings)


def _address(host: str, path: str, settings: Settings) -> str:
    origin = urlsplit(settings.link_origin)
    return f"{origin.scheme}://{host}{f':{origin.port}' if origin.port else ''}{path}"
