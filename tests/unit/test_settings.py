"""Settings: everything checked at once, secrets hidden, the key made once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError

import pytest

from saas.settings import InvalidSettings, Settings

KEY = "k" * 40


def test_all_problems_at_once_by_name_and_without_values(tmp_path):
    bad = {
        "DATABASE_URL": "mysql://root:hunter2@x/y",
        "SAAS_BASE_DOMAIN": "https://crm.example.com/",
        "SAAS_SECRET_KEY": "hunter2",
        "STRIPE_API_BASE": "nowhere",
        "SMTP_URL": "http://hunter2",
        "SAAS_POOL_SIZE": "many",
    }
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_env(bad)
    assert len(caught.value.problems) == len(bad)
    assert all(any(problem.startswith(name + ":") for problem in caught.value.problems) for name in bad)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_in_repr(tmp_path):
    settings = Settings.from_env(
        {
            "DATABASE_URL": "postgresql://a:hunter2@h/d", "SAAS_SECRET_KEY": KEY, "STRIPE_API_KEY": "sk_hunter2",
            "STRIPE_WEBHOOK_SECRET": "whsec_hunter2", "SMTP_URL": "smtp://u:hunter2@mail:25", "SAAS_DATA_DIR": str(tmp_path),
        }
    )
    assert "hunter2" not in repr(settings) and KEY not in repr(settings)
    with pytest.raises(FrozenInstanceError):
        settings.base_domain = "other"


def test_the_key_is_made_once_and_private_even_when_many_start(tmp_path):
    def read(_: int) -> str:
        return Settings.from_env({"SAAS_DATA_DIR": str(tmp_path / "data")}).secret_key

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(read, range(16)))
    assert len(keys) == 1 and len(keys.pop()) == 64
    files = list((tmp_path / "data").iterdir())
    assert [path.name for path in files] == ["secret_key"] and files[0].stat().st_mode & 0o777 == 0o600


def test_no_key_file_when_one_is_given(tmp_path):
    Settings.from_env({"SAAS_DATA_DIR": str(tmp_path / "data"), "SAAS_SECRET_KEY": KEY})
    assert not (tmp_path / "data").exists()


def test_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({"SAAS_SECRET_KEY": KEY, "DATABASE_URL": "  "})
    assert settings.base_domain == "localhost" and settings.data_dir == tmp_path / "data" and settings.database_url is None
    assert settings.is_local and not Settings(base_domain="crm.example.com").is_local


def test_a_unix_socket_url_is_fine():
    url = "postgresql:///crm?host=/run/postgresql"
    assert Settings.from_env({"DATABASE_URL": url, "SAAS_SECRET_KEY": KEY}).database_url == url


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match="SAAS_DATA_DIR"):
        Settings.from_env({"SAAS_DATA_DIR": str(tmp_path / "file" / "data")})


def test_cells_have_numbers_of_their_own_and_hide_their_logins():
    text = '{"east": {"number": 1, "url": "postgresql://a:hunter2@e/d", "replica": "postgresql://a:hunter2@r/d"}, "west": {"number": 2, "url": "postgresql://w/d"}}'
    settings = Settings.from_env({"SAAS_CELLS": text, "SAAS_SECRET_KEY": KEY, "SAAS_POOLER_URL": "postgresql://p:6432/d", "SAAS_REPLICA_URL": "postgresql://r:hunter2@r/d"})
    assert list(settings.cells) == ["east", "west"] and settings.cells["east"].replica_url and settings.cells["west"].pooler_url is None
    assert "hunter2" not in repr(settings) and "hunter2" not in repr(settings.cells)


@pytest.mark.parametrize(
    "text",
    [
        "east", "[]", '{"east": "postgresql://e/d"}', '{"home": {"number": 1, "url": "postgresql://e/d"}}', '{"east": {"number": 0, "url": "postgresql://e/d"}}',
        '{"east": {"number": 201, "url": "postgresql://e/d"}}', '{"East!": {"number": 1, "url": "postgresql://e/d"}}', '{"east": {"number": 1, "url": "mysql://e/d"}}',
        '{"east": {"number": 1}}', '{"east": {"number": 1, "url": "postgresql://e/d", "replicas": "x"}}',
        '{"east": {"number": 1, "url": "postgresql://e/d"}, "west": {"number": 1, "url": "postgresql://w/d"}}', '{"east": {"number": true, "url": "postgresql://e/d"}}',
    ],
)
def test_cells_that_make_no_sense_are_refused(text):
    with pytest.raises(InvalidSettings, match="SAAS_CELLS"):
        Settings.from_env({"SAAS_CELLS": text, "SAAS_SECRET_KEY": KEY})


@pytest.mark.parametrize(("host", "said", "expected"), [("127.0.0.1", "", "optional"), ("0.0.0.0", "", "pages"), ("127.0.0.1", "pages", "pages")])
def test_a_demonstration_on_this_machine_asks_operators_for_no_phone(monkeypatch, host, said, expected):
    from saas.demo import for_looking_around

    monkeypatch.setenv("SAAS_OPERATOR_TOTP", said)
    assert for_looking_around(Settings(), host).operator_totp == expected
