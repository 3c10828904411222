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
    ("variable", "value", "told"),
    [
        ("ORACLE_PORT", "70000", "must be at most 65,535"),
        ("ORACLE_PORT", "tcp:8000", "must be a whole number"),
        ("ORACLE_WORKERS", "0", "must be at least 1"),
        ("ORACLE_RETENTION_DAYS", "-1", "must be at least 0"),
        ("ORACLE_LOG_LEVEL", "loud", "must be '"),
        ("ORACLE_POLICY", '{"name": "guess"}', "must be the name of a policy, or its settings"),
        ("ORACLE_POLICY", "guess", "must be the name of a policy, or its settings"),
        ("ORACLE_POLICY", '{"name": "population", "risk": 2}', "`risk` must be below 1"),
        ("ORACLE_ALLOWED_ORIGINS", "*", "must be origins of pages"),
        ("ORACLE_ALLOWED_ORIGINS", "ui.example", "must be origins of pages"),
        ("ORACLE_ALLOWED_ORIGINS", "https://ui.example/page", "must be origins of pages"),
        ("ORACLE_ALLOWED_ORIGINS", "file:///x", "must be origins of pages"),
        ("ORACLE_ALLOWED_HOSTS", "https://a.example", "must be host names"),
        ("ORACLE_ALLOWED_HOSTS", "a.example/x", "must be host names"),
        ("ORACLE_ALLOWED_HOSTS", "[", "must be host names"),
        ("ORACLE_ALLOWED_ORIGINS", "http://[", "must be origins of pages"),
        ("ORACLE_ALLOWED_ORIGINS", "http://h:99999", "must be origins of pages"),
        ("ORACLE_WEBHOOK_URL", "http://[", "must be an address"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, value: str, told: str) -> None:
    with pytest.raises(InvalidHistory) as error:
        Settings.from_environment({variable: value})
    assert str(error.value).startswith(f"`{variable}` must be ")
    assert told in str(error.value)
    assert value[:30] in str(error.value)


def test_a_bad_option_is_named_as_it_is_typed() -> None:
    with pytest.raises(InvalidHistory, match=r"^`--port` must be at least 0, but got -1\."):
        Settings.from_environment({"ORACLE_PORT": "1"}, port=-1)


def test_what_kubernetes_says_of_a_service_named_oracle_is_no_setting() -> None:
    """For a Service `oracle` every container of its namespace gets these."""
    theirs = {
        "ORACLE_PORT": "tcp://10.96.14.2:8000",
        "ORACLE_SERVICE_HOST": "10.96.14.2",
        "ORACLE_SERVICE_PORT": "8000",
        "ORACLE_PORT_8000_TCP": "tcp://10.96.14.2:8000",
        "ORACLE_PORT_8000_TCP_ADDR": "10.96.14.2",
    }
    assert Settings.from_environment(theirs) == Settings()
    assert Settings.from_environment(theirs, port=9000).port == 9000


def test_what_is_meant_is_taken() -> None:
    variables = {
        "ORACLE_POLICY": " threshold ",
        "ORACLE_LOG_LEVEL": "INFO",
        "ORACLE_ALLOWED_HOSTS": "A.example:8000, [::1]:80, *",
        # as copied from the address bar; and with the port that browsers leave out
        "ORACLE_ALLOWED_ORIGINS": "http://localhost:8888/, https://UI.example:443,http://[::1]:80",
    }
    settings = Settings.from_environment(variables)
    assert settings.policy.name == "threshold"
    assert settings.log_level == "info"
    assert settings.allowed_hosts == ("a.example", "[::1]", "*")
    origins = ("http://localhost:8888", "https://ui.example", "http://[::1]")
    assert settings.allowed_origins == origins
    assert Settings.from_environment(settings.to_environment()) == settings


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
