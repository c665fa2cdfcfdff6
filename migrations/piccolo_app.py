"""The one Piccolo app of the product."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from saas.tenants.tables import TABLES

APP_CONFIG = AppConfig(
    app_name="saas",
    migrations_folder_path=str(Path(__file__).parent / "versions"),
    table_classes=TABLES,
    migration_dependencies=[],
    commands=[],
)
