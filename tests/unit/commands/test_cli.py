"""One way to fail: a line on stderr, an exit code, never a traceback."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer

from oracle import cli
from oracle.errors import ArtifactCorrupt, DatasetError, InvalidHistory, Overloaded
from oracle.types import History


def run(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oracle", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_help_lists_every_command_in_full() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name, command in cli.COMMANDS.items():
        assert f"{name} " in done.stdout
        assert command.help in done.stdout  # not cut short at 80 columns


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"som-oracle {cli.oracle.__version__}\n")


@pytest.mark.parametrize("args", [["nonsense"], ["--nonsense"], []])
def test_wrong_usage_is_exit_2(args: list[str]) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_activate_says_where_it_wrote_and_who_reads_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "models/active"
    done = run("models", "activate", "shipped-default", cwd=tmp_path)
    assert done.returncode == 0
    assert str(written) in done.stdout
    assert "ORACLE_MODELS" in done.stderr
    assert written.read_text() == "shipped-default\n"
    monkeypatch.setenv("ORACLE_MODELS", str(tmp_path / "models"))
    done = run("models", "activate", "shipped-default", cwd=tmp_path)
    assert str(written) in done.stdout
    assert done.stderr == ""


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from oracle.cli import main\n"
        "try: main(['--help'])\n"
        "finally: print([m for m in sys.modules if m.startswith('oracle.commands.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def raise_validation_error() -> None:
    History.model_validate({"epochs": [1.0]})


def os_error(number: int, path: str | None = None) -> OSError:
    return OSError(number, "text", path) if path else OSError(number, "text")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InvalidHistory("`mqe` must be finite."), 2, "Error: `mqe` must be finite.\n"),
        (DatasetError("broken", file="d.csv", row=3), 2, "Error: d.csv, row 3: broken\n"),
        (ArtifactCorrupt("digest"), 2, "Error: digest\n"),
        (Overloaded("later"), 1, "Error: later\n"),
        (os_error(errno.ENOENT, "a.json"), 2, "Error: There is no such file or folder: a.json.\n"),
        (os_error(errno.EADDRINUSE), 2, "--port"),
        (os_error(errno.ENOSPC, "d.csv"), 1, "Error: text: d.csv.\n"),
        (ModuleNotFoundError("x", name="tensorflow"), 1, "[train]'"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("two\nlines"), 1, "Unexpected RuntimeError: two lines. Set ORACLE_DEBUG=1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_failure(
    error: BaseException,
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> None:
        raise error

    assert says in stderr_of(fails, code, capsys, monkeypatch)


class Installed:
    """The package as pip notes it."""

    def __init__(self, url: str | None, editable: bool = False) -> None:
        self.url, self.editable = url, editable
        self.requires = metadata.requires("som-oracle")

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        about = {"editable": True} if self.editable else {}
        return json.dumps({"url": self.url, "dir_info": about}) if self.url else None


@pytest.mark.parametrize(
    ("installed", "module", "extra", "says"),
    [
        (Installed("file:///home/me/som%20oracle"), "tensorflow", "train",
         "-m pip install '/home/me/som oracle[train]'"),
        (Installed("file:///clone", editable=True), "tqdm", "collect",
         "install -e '/clone[collect]'"),
        (Installed(None), "fastapi", "serve", "-m pip install 'som-oracle[serve]'"),
        (Installed("https://host/som.whl"), "fastapi", "serve", "install 'som-oracle[serve]'"),
        (Installed("file:///clone"), "sqlalchemy", "collect", "'/clone[serve]'"),
        (Installed("file:///clone"), "scipy.stats", "", "'/clone[train]'"),
        (Installed("file:///clone"), "tensorboard.compat", "collect", "'/clone[train]'"),
        (Installed("file:///clone"), "sklearn", "collect", "'/clone[collect]'"),
        (Installed("file:///clone"), "typer", "", "'/clone'"),
    ],
)  # fmt: skip
def test_what_is_missing_is_installed_from_where_this_was(
    installed: Installed, module: str, extra: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _: installed)
    told = cli.how_to_install(module, extra)
    assert told.startswith(sys.executable)
    assert told.endswith(says)


def test_validation_error_names_the_field(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    err = stderr_of(raise_validation_error, 2, capsys, monkeypatch)
    assert "`mqe` must be given" in err


def stderr_of(
    command: Callable[[], None],
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Run `command` in the place of `oracle train`; at most one line may come of it."""

    def build(*wanted: str) -> typer.Typer:
        assert wanted == ("train",)
        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        app.callback()(lambda: None)
        app.command("train")(command)
        return app

    monkeypatch.setattr(cli, "build", build)
    with pytest.raises(SystemExit) as left:
        cli.main(["train"])
    captured = capsys.readouterr()
    assert left.value.code == code
    assert captured.err.count("\n") <= 1
    return captured.err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*wanted: str) -> typer.Typer:
        raise InvalidHistory("inside")

    monkeypatch.setattr(cli, "build", build)
    monkeypatch.setenv("ORACLE_DEBUG", "1")
    with pytest.raises(InvalidHistory):
        cli.main(["train"])


def test_wide_numbers_of_a_forecast_stand_apart(tmp_path: Path) -> None:
    path = tmp_path / "wide.json"
    mqe = [90_000.0, 70_000.0, 60_000.0, 55_000.0]
    rest = {"topographic_error": [0.1] * 4, "dead_neuron_ratio": [0.0] * 4, "total_epochs": 20}
    context = {"mqe_of_mean": 120_000.0}
    path.write_text(json.dumps({"epochs": [1, 2, 3, 4], "mqe": mqe, **rest, "context": context}))
    done = run("predict", str(path))
    assert done.returncode == 0
    table = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    numbers = [line[28:].split() for line in table]
    assert {len(cells) for cells in numbers} == {5}
    assert max(len(cell) for cells in numbers for cell in cells) >= 10  # wider than a column was
    assert len({len(line) for line in table}) == 1  # and in line with each other


@pytest.mark.parametrize("name", ["empty.csv", "empty.json"])
def test_an_empty_history_is_told_as_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for content in ("", " \n\n"):
        path.write_text(content)
        done = run("predict", str(path))
        assert done.returncode == 2
        assert "must hold a history" in done.stderr
        assert "but is empty" in done.stderr


@pytest.mark.parametrize("option", ["--png", "--states"])
@pytest.mark.parametrize("picture", ["nodir/p.png", "p.xyz"])
def test_a_picture_that_cannot_be_written_is_told_before_the_forecast(
    tmp_path: Path, option: str, picture: str
) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"epochs": [1], "mqe": [1.0]}))
    done = run("predict", str(path), option, str(tmp_path / picture))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"`{option}` must be a" in done.stderr
