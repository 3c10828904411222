"""Every limit and path of the service: name, default, unit and one sentence of help.

A setting `x` is read from the environment variable `ORACLE_X`; `oracle serve` has options for the
few that change from start to start. docs/deploy.md lists them all, and a test keeps it so.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from oracle.errors import InvalidHistory, must_be
from oracle.types import Policy, explain
from oracle.types.addresses import taken_apart

ENVIRONMENT_PREFIX = "ORACLE_"
#: What browsers leave out of an origin.
_PORTS = {"http": ":80", "https": ":443"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Names = tuple[str, ...]


def _setting(default: Any, unit: str, help: str, **rules: Any) -> Any:
    return Field(default, description=help, json_schema_extra={"unit": unit}, **rules)


class Settings(BaseModel):
    """The service's settings; immutable, secrets masked in repr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Where it listens
    host: str = _setting("127.0.0.1", "address", "Address to listen on.")
    port: int = _setting(
        8000, "port", "Port to listen on; 0 lets the system choose.", ge=0, le=65_535
    )
    workers: int = _setting(1, "processes", "Worker processes that share the port.", ge=1, le=256)
    insecure: bool = _setting(
        False, "yes/no", "Listen on a public address although there are no API keys."
    )
    allowed_hosts: Names = _setting(
        (),
        "host names, by comma",
        "Accepted Host headers; empty: any with API keys; without them loopback names, and on a "
        "public address IP addresses and the machine's own name.",
    )
    allowed_origins: Names = _setting(
        (), "origins, by comma", "Web origins besides the service's own whose pages may call it."
    )

    # Who may call
    api_keys: SecretStr = _setting(
        SecretStr(""), "NAME:SHA256, by comma", "API keys, each by its owner's name and digest."
    )
    api_keys_file: Path | None = _setting(
        None, "file", "File of API keys, one `NAME:SHA256` a line."
    )
    rate_limit_per_s: float = _setting(
        500.0,
        "requests/s",
        "Sustained requests of one key, each history of a batch one; counted by each worker.",
        gt=0,
    )
    rate_limit_burst: int = _setting(
        1000, "requests", "Requests of one key at once, counted by each worker.", ge=1
    )
    wrong_keys_per_s: float = _setting(
        5.0,
        "attempts/s",
        "Wrong or missing keys from one address; ten times that at once.",
        gt=0,
    )

    # What a request may cost
    max_body_bytes: int = _setting(1_000_000, "bytes", "Largest body of a request.", ge=1_000)
    max_batch_body_bytes: int = _setting(
        8_000_000, "bytes", "Largest body of a batch request.", ge=1_000
    )
    max_batch_histories: int = _setting(
        1_000, "histories", "Most histories in one batch.", ge=1, le=10_000
    )
    max_waiting_batches: int = _setting(
        4, "batches", "Batches in work or waiting, each worker; beyond it the answer is 503.", ge=1
    )
    batch_timeout_s: Seconds = _setting(
        30.0, "s", "Time for a batch, waiting included; beyond it the answer is 503."
    )
    max_waiting_requests: int = _setting(
        64,
        "requests",
        "Requests in work at once, of each kind (stateless, reading, writing, probes) and each "
        "worker; beyond it the answer is 503.",
        ge=1,
    )
    max_connections: int = _setting(4_000, "connections", "Open connections, each worker.", ge=1)
    max_event_streams: int = _setting(64, "streams", "Open event streams, each worker.", ge=1)
    receive_timeout_s: Seconds = _setting(5.0, "s", "Time to receive a whole request.")
    # Longer than balancers keep theirs (60 s as a rule): a connection that both ends may close is
    # now and then closed by one just as the other sends.
    keep_alive_s: Seconds = _setting(
        75.0, "s", "Time an idle connection stays open, rounded up to whole seconds."
    )
    write_timeout_s: Seconds = _setting(
        10.0, "s", "Time a client may leave an answer unread before it is cut off."
    )
    store_timeout_s: Seconds = _setting(5.0, "s", "Time to wait for the store before a 503.")
    shutdown_timeout_s: Seconds = _setting(
        10.0, "s", "Time for open requests when told to end, rounded up to whole seconds."
    )
    retry_after_s: int = _setting(1, "s", "What Retry-After says with a 503.", ge=1, le=3_600)

    # The store
    data_dir: Path = _setting(Path("data"), "folder", "Folder of the service's own files.")
    database_url: SecretStr = _setting(
        SecretStr(""), "URL", "Database of runs; empty: SQLite file oracle.db in data_dir."
    )
    retention_days: float = _setting(
        0.0, "days", "Runs untouched for longer are deleted; 0 keeps them for ever.", ge=0
    )
    events_kept: int = _setting(
        100_000, "events", "Events kept for clients that resume a stream.", ge=100
    )
    policy: Policy = _setting(
        Policy(name="population"), "JSON", "Policy of stored runs where a request names none."
    )

    # The model
    model: str = _setting(
        "", "name or folder", "Model to serve; empty: the activated one, else the shipped default."
    )
    model_poll_s: Seconds = _setting(2.0, "s", "How often to look for a newly activated model.")
    model_retry_s: Seconds = _setting(
        60.0, "s", "Longest pause between attempts to load a model that was refused."
    )

    # Who is told
    webhook_url: str = _setting(
        "", "URL", "Where alerts are posted, see docs/deploy.md; empty: nowhere.", max_length=2_000
    )
    webhook_key: SecretStr = _setting(
        SecretStr(""), "text", "Signs what is posted there (HMAC-SHA256)."
    )
    webhook_private: bool = _setting(
        False, "yes/no", "Post also to addresses of this machine and of private networks."
    )
    webhook_every_s: Seconds = _setting(15.0, "s", "How often to look for new alerts to post.")

    # What it tells
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "level", "Least severe log line that is written."
    )
    log_requests: bool = _setting(False, "yes/no", "Log every request, not only those that failed.")

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, names: Names) -> Names:
        return tuple(_host(name) for name in names)

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, names: Names) -> Names:
        return tuple(_origin(name) for name in names)

    @field_validator("webhook_url")
    @classmethod
    def _check_webhook(cls, url: str) -> str:
        if not url:
            return url
        found = taken_apart(url)
        fine = found is not None and found.scheme in _PORTS
        if not fine or not url.isascii() or not url.isprintable() or " " in url:
            rule = "an address that begins with https:// or http://"
            raise ValueError(must_be("webhook_url", rule, url[:100]))
        return url

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("policy", mode="before")
    @classmethod
    def _parse_policy(cls, value: Any) -> Any:
        """Take a policy's JSON, or its name alone."""
        if not isinstance(value, str):
            return value
        text = value if value.lstrip().startswith("{") else json.dumps({"name": value.strip()})
        try:
            return Policy.model_validate_json(text)
        except ValidationError as error:
            rule = f"the name of a policy, or its settings as JSON ({explain(error).rstrip('.')})"
            raise ValueError(must_be("policy", rule, value)) from None

    @property
    def store_url(self) -> str:
        """The database in use, SQLite under data_dir by default."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'oracle.db'}"

    @property
    def is_loopback(self) -> bool:
        """True where only this machine can connect."""
        return self.host in LOOPBACK

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, **overrides: Any
    ) -> Settings:
        """Read the settings from ORACLE_* variables; `overrides` (not None) win.

        Raises:
            InvalidHistory: naming the variable, its rule and, unless secret, what came.
        """
        given = {name: environment.get(variable_of(name)) for name in cls.model_fields}
        if (given["port"] or "").startswith(("tcp://", "udp://")):
            given["port"] = None  # Kubernetes', of a Service that is called `oracle`
        options = {name: value for name, value in overrides.items() if value is not None}
        values = {name: value for name, value in given.items() if value} | options
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            told = explain(error)
            for name in values:
                said = f"--{name.replace('_', '-')}" if name in options else variable_of(name)
                told = told.replace(f"`{name}`", f"`{said}`").replace(f"`{name}.", f"`{said}.")
            raise InvalidHistory(told) from None

    def to_environment(self) -> dict[str, str]:
        """Write the settings that differ from the defaults as ORACLE_* variables, for workers."""
        variables = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value != field.default:
                variables[variable_of(name)] = _as_text(value)
        return variables


def variable_of(name: str) -> str:
    """Name the environment variable of a setting."""
    return ENVIRONMENT_PREFIX + name.upper()


def _host(name: str) -> str:
    """Take a name as Host headers have it, its port left out."""
    found = taken_apart(f"//{name}")
    if name != "*" and (found is None or found.netloc != name):
        raise ValueError(must_be("allowed_hosts", "host names, e.g. oracle.example", name))
    return re.sub(r":\d*$", "", name) if not name.endswith("]") else name


def _origin(text: str) -> str:
    """Take an origin as browsers send it: no slash at its end, no port that is the usual one."""
    found = taken_apart(text.removesuffix("/"))
    plain = found and (found.scheme, found.netloc, "", "", "")
    if found is None or found.scheme not in _PORTS or found != plain or found.username:
        rule = "origins of pages, e.g. https://ui.example"
        raise ValueError(must_be("allowed_origins", rule, text, "Name each of them, without path."))
    return f"{found.scheme}://{found.netloc.removesuffix(_PORTS[found.scheme])}"


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Policy):
        return value.model_dump_json()
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def refuse_public_without_keys(settings: Settings, has_keys: bool) -> None:
    """Refuse to listen where others can connect while nobody has to say who he is.

    Raises:
        InvalidHistory: on a public address without keys, unless told `insecure`.
    """
    if not (settings.is_loopback or has_keys or settings.insecure):
        raise InvalidHistory(
            must_be(
                "--host (ORACLE_HOST)",
                "a loopback address while there are no API keys",
                settings.host,
                "Set ORACLE_API_KEYS or ORACLE_API_KEYS_FILE (`oracle serve --new-key NAME` "
                "makes one), or say --insecure.",
            )
        )
