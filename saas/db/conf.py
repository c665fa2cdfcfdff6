"""Piccolo's configuration (PICCOLO_CONF=saas.db.conf). Imported by Piccolo only; importing it connects to nothing."""

from piccolo.conf.apps import AppRegistry

from saas.db.engine import DB

__all__ = ["APP_REGISTRY", "DB"]

APP_REGISTRY = AppRegistry(apps=["migrations.piccolo_app"])
