"""The `oracle` command: a table of subcommands, loaded when called, and one way to fail.

A subcommand lives in oracle/commands/, one a file: a function with Typer annotations, or a
`typer.Typer` with subcommands of its own. Only the one that is called is imported, so
`oracle --help` is quick and `oracle serve` needs no TensorFlow.

Exit codes: 0 done, 1 failure, 2 usage or bad input, 130 interrupted. An error is one line on
stderr; ORACLE_DEBUG=1 shows its traceback.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import typer

import oracle
from oracle.errors import OracleError, Overloaded, StoreUnavailable

FAILURE, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Command(NamedTuple):
    """One row of the table.

    Attributes:
        target: "module:name" of a function or a Typer app.
        help: the line in `oracle --help`.
        extra: what to install when a library is missing.
    """

    target: str
    help: str
    extra: str = ""

    def load(self) -> Any:
        """Import the function or Typer app."""
        module, _, name = self.target.partition(":")
        return getattr(import_module(module), name)


COMMANDS = {
    "collect": Command(
        "oracle.commands.collect:app",
        "Make datasets of histories: simulate, run, merge, ingest.",
        "collect",
    ),
    "train": Command("oracle.commands.train:train", "Train an oracle on a dataset.", "train"),
    "evaluate": Command(
        "oracle.commands.evaluate:evaluate",
        "Measure forecasts and stopping on a dataset.",
        "train",
    ),
    "replay": Command(
        "oracle.commands.replay:replay",
        "Replay decisions over recorded runs: saved against lost.",
        "train",
    ),
    "predict": Command(
        "oracle.commands.predict:predict",
        "Forecast one history and recommend what to do.",
        "train",  # pictures
    ),
    "suggest": Command(
        "oracle.commands.suggest:suggest",
        "Suggest settings for maps of a table, before any is trained.",
        "train",  # pictures
    ),
    "checkpoints": Command(
        "oracle.commands.checkpoints:checkpoints",
        "Find the fewest checkpoints that forecasts need.",
        "train",
    ),
    "check-policy": Command(
        "oracle.commands.check_policy:check_policy",
        "Refuse a policy that would have stopped past bests.",
    ),
    "show": Command("oracle.commands.show:show", "Draw one history and its forecast.", "train"),
    "sequences": Command(
        "oracle.commands.sequences:app",
        "Forecast series whose answers are known, or your own.",
        "train",
    ),
    "runs": Command(
        "oracle.commands.runs:runs", "Tell how the searches of a population file went."
    ),
    "report": Command(
        "oracle.commands.report:report",
        "Write a search as one HTML file to forward.",
        "serve",
    ),
    "models": Command(
        "oracle.commands.models:app", "List, verify, show and activate model artifacts."
    ),
    "mcp": Command(
        "oracle.commands.mcp:mcp", "Serve the oracle as tools of an agent, over stdio.", "mcp"
    ),
    "serve": Command(
        "oracle.commands.serve:serve", "Serve the HTTP API and the live page.", "serve"
    ),
}


def build(*wanted: str) -> typer.Typer:
    """Assemble the command line with the `wanted` subcommands loaded, the others as help lines."""
    app = typer.Typer(
        name="oracle",
        help="Forecast how a self-organizing map's training will end, and decide whether to stop.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # main() below says it in one line
        rich_markup_mode=None,  # plain help: importing rich would double the start-up time
    )

    @app.callback()
    def options(
        version: bool = typer.Option(
            False, "--version", is_eager=True, callback=_version, help="Print the version."
        ),
    ) -> None:
        pass

    for name, command in COMMANDS.items():
        target = command.load() if name in wanted else _not_loaded
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=command.help)
        else:
            app.command(name, help=None if name in wanted else command.help)(target)
    return app


def _not_loaded() -> None:
    """Stand in for a subcommand that this call does not use."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"som-oracle {oracle.__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit; every failure becomes one line and an exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    name = next((a for a in args if not a.startswith("-")), "")
    try:
        build(name)(args=args, prog_name="oracle")
    except KeyboardInterrupt:
        _fail("Interrupted.", INTERRUPTED)
    except Exception as error:
        if os.environ.get("ORACLE_DEBUG") == "1":
            raise
        _fail(*explain(error, name))


def explain(error: Exception, command: str = "") -> tuple[str, int]:
    """Say what went wrong in one line, with the exit code it deserves."""
    if isinstance(error, OracleError):
        later = isinstance(error, Overloaded | StoreUnavailable)
        return str(error), FAILURE if later else BAD_INPUT
    if isinstance(error, ModuleNotFoundError):
        extra = COMMANDS[command].extra if command in COMMANDS else ""
        return (
            f"`oracle {command}` needs {error.name}, which is not installed. "
            f"Install it with: {how_to_install(error.name or '', extra)}",
            FAILURE,
        )
    if isinstance(error, OSError):
        return _explain_os_error(error)
    if type(error).__name__ == "ValidationError":
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            from oracle.types import explain as explain_validation

            return explain_validation(error), BAD_INPUT
    return (
        f"Unexpected {type(error).__name__}: {error}. Set ORACLE_DEBUG=1 to see where.",
        FAILURE,
    )


#: Modules that are not named as what brings them.
_BROUGHT_BY = {"sklearn": "scikit-learn"}


def how_to_install(module: str, extra: str = "") -> str:
    """Give the command that installs a module, from where this package itself was installed.

    Args:
        module: what is missing.
        extra: of the command that needs it; another one where that does not bring the module.
    """
    from importlib import metadata  # only to say what is missing

    library = _BROUGHT_BY.get(module, module).partition(".")[0]
    where, editable = "som-oracle", ""
    extras: list[str] = []
    with suppress(metadata.PackageNotFoundError):
        package = metadata.distribution("som-oracle")
        for line in package.requires or ():
            if re.match(rf"{re.escape(library)}(?![\w-])", line, re.IGNORECASE):
                extras += set(re.findall(r"extra == [\"'](\w+)", line)) - {"all", "dev"}
        told = json.loads(package.read_text("direct_url.json") or "{}")
        url = urlsplit(told.get("url", ""))
        if url.scheme == "file":  # a clone: no index has this package
            where = unquote(url.path)
            editable = "-e " if told.get("dir_info", {}).get("editable") else ""
    if extras and extra not in extras:
        extra = extras[0]
    return f"{sys.executable} -m pip install {editable}'{where}{f'[{extra}]' if extra else ''}'"


#: The caller can put these right by giving another path or port.
_BAD_INPUT_ERRNOS = {
    errno.ENOENT: "There is no such file or folder",
    errno.ENOTDIR: "A part of the path is not a folder",
    errno.EISDIR: "A file is needed, this is a folder",
    errno.EEXIST: "This exists already",
    errno.EACCES: "Permission denied",
    errno.EADDRINUSE: "The address is in use; choose another --port or end the other server",
    errno.EADDRNOTAVAIL: "This machine has no such address; choose another --host",
}


def _explain_os_error(error: OSError) -> tuple[str, int]:
    what = _BAD_INPUT_ERRNOS.get(error.errno or 0)
    where = f": {error.filename}" if error.filename is not None else ""
    if what is not None:
        return f"{what}{where}.", BAD_INPUT
    return f"{error.strerror or error}{where}.", FAILURE


def _fail(message: str, code: int) -> None:
    one_line = " ".join(message.split())
    print(f"Error: {one_line}", file=sys.stderr)
    raise SystemExit(code)
