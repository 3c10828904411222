"""Settings: from the environment, over to workers, and what they refuse."""

from __future__ import annotations

import socket

import pytest
import uvicorn

from oracle.commands import serve
from oracle.errors import InvalidHistory
from oracle.server.settings import Settings, refuse_public_without_keys
from oracle.types import Policy


def test_the_environment_is_read_and_written_alike() -> None:
    settings = Settings(
        port=1,
        allowed_hosts=("a", "b"),
        policy=Policy(name="population", risk=0.1),
        insecure=True,
        api_keys="x:y",
    )
    variables = settings.to_environment()
    assert variables["ORACLE_ALLOWED_HOSTS"] == "a,b"
    assert Settings.from_environment(variables) == settings
    assert Settings().to_environment() == {}


def test_options_win_over_the_environment() -> None:
    settings = Settings.from_environment({"ORACLE_PORT": "1"}, port=2, host=None)
    assert (settings.port, settings.host) == (2, "127.0.0.1")


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("ORACLE_PORT", "70000", "port"),
        ("ORACLE_WORKERS", "0", "workers"),
        ("ORACLE_RETENTION_DAYS", "-1", "retention_days"),
        ("ORACLE_LOG_LEVEL", "loud", "log_level"),
        ("ORACLE_POLICY", '{"name": "guess"}', "name"),
    ],
)
def test_a_bad_value_names_its_setting(variable: str, value: str, named: str) -> None:
    with pytest.raises(InvalidHistory, match=named):
        Settings.from_environment({variable: value})


def test_secrets_are_masked() -> None:
    settings = Settings(api_keys="secret", database_url="postgresql://u:secret@h/d")
    assert "secret" not in repr(settings)


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["unit"], name


def test_public_addresses_need_keys_or_the_word() -> None:
    refuse_public_without_keys(Settings(), has_keys=False)
    refuse_public_without_keys(Settings(host="0.0.0.0"), has_keys=True)
    refuse_public_without_keys(Settings(host="0.0.0.0", insecure=True), has_keys=False)
    with pytest.raises(InvalidHistory, match="loopback"):
        refuse_public_without_keys(Settings(host="0.0.0.0"), has_keys=False)


def test_parts_of_seconds_are_rounded_up_where_only_whole_ones_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0.5 s must not become 0, which closes every idle connection at once."""
    seen: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: seen.append(server.config))
    monkeypatch.setenv("ORACLE_KEEP_ALIVE_S", "0.5")
    monkeypatch.setenv("ORACLE_SHUTDOWN_TIMEOUT_S", "2.1")
    monkeypatch.setattr(serve, "_raise_descriptor_limit", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(SystemExit):
        serve._run(listening, 1)
    assert (seen[0].timeout_keep_alive, seen[0].timeout_graceful_shutdown) == (1, 3)
