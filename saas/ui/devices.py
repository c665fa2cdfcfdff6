"""What a browser calls itself, in words a person knows: "Chrome on Windows". A guess, shown beside address and time."""

from __future__ import annotations

from saas.i18n import gettext as _

# The first that is found counts: browsers name those they resemble, too.
_BROWSERS = (
    ("MicroMessenger", "WeChat"), ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox/", "Firefox"), ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))
_PROGRAMS = ("curl", "python-httpx", "python-requests", "PostmanRuntime", "Go-http-client", "okhttp")


def device_words(user_agent: str) -> str:
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s", browser=browser, system=system)
    if browser or system:
        return browser or system
    program = next((name for name in _PROGRAMS if user_agent.startswith(name)), "")
    return program or _("Unknown device")
