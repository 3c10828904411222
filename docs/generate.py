"""Write docs/cli.md from the commands themselves: `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import typer

from oracle.cli import COMMANDS

CLI = Path(__file__).parent / "cli.md"
HEAD = """\
# The command line

`make docs` writes this page from the commands' own help.

Exit codes: 0 done, 1 failure, 2 usage or bad input, 130 interrupted. An error is one line on
stderr; `ORACLE_DEBUG=1` shows its traceback. Where a command has `--json`, its result is one JSON
document on stdout and everything else goes to stderr.
"""


def every_command() -> list[list[str]]:
    """Every command with its subcommands, as words."""
    found: list[list[str]] = [[]]
    for name, command in COMMANDS.items():
        found.append([name])
        target = command.load()
        if isinstance(target, typer.Typer):
            found += [
                [name, str(sub.name or sub.callback.__name__)]
                for sub in target.registered_commands
                if sub.callback
            ]
    return found


def help_of(words: list[str]) -> str:
    """The help text of one command, at a fixed width."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "oracle", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def cli_page() -> str:
    """The page's whole text."""
    parts = [HEAD]
    for words in every_command():
        title = " ".join(["oracle", *words])
        parts.append(
            f"{'##' if len(words) < 2 else '###'} {title}\n\n```text\n{help_of(words)}\n```\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    CLI.write_text(cli_page(), encoding="utf-8")
