"""Write docs/cli.md, python.md, reasons.md and the table of architecture.md from the code.

Run by `make docs`.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

import typer

import oracle
from docs import reasons
from oracle.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
CLI = ROOT / "docs/cli.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
REASONS = ROOT / "docs/reasons.md"
#: The table stands between these lines.
BEGIN, END = "<!-- the house: written by `make docs` -->\n", "<!-- end of the house -->\n"
PYTHON = ROOT / "docs/python.md"
PYTHON_HEAD = """\
# Public names

`make docs` writes this page from the docstrings; `help(oracle.watch)` has the whole of each. These
names stay: what goes is told in the [changelog](../CHANGELOG.md), and asking for it says what to
use instead. So do `oracle.hook`, `oracle.integrations`, `oracle.search`, `oracle.types` and
`oracle.errors`, as far as these pages name what is in them. The rest is ours to change.
`oracle.__version__` is the version.

```python
import oracle

print(oracle.__version__, [name for name in dir(oracle) if name[0].islower()])
```

| Name | What it is |
|---|---|
"""
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
    """The help text of one command, at a fixed width; in this process: forty starts are slow."""
    said, fixed = io.StringIO(), {"COLUMNS": "100", "NO_COLOR": "1"}
    with patch.dict(os.environ, fixed), redirect_stdout(said), suppress(SystemExit):
        main([*words, "--help"])
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


def cli_page() -> str:
    """The page's whole text."""
    parts = [HEAD]
    for words in every_command():
        title = " ".join(["oracle", *words])
        parts.append(
            f"{'##' if len(words) < 2 else '###'} {title}\n\n```text\n{help_of(words)}\n```\n"
        )
    return "\n".join(parts)


def python_page() -> str:
    """The page of the public names: how each is called, and what it is."""
    rows = []
    for name in sorted(oracle._HOME, key=lambda n: (n[0].isupper(), n)):
        value = getattr(oracle, name)
        made = inspect.isclass(value) and "__init__" not in vars(value)
        given = "" if made else f"({', '.join(_arguments(value))})"
        told = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").rstrip(":")
        rows.append(f"| `{name}{given}` | {told.replace('|', '&#124;')} |")
    return PYTHON_HEAD + "\n".join(rows) + "\n"


def _arguments(value: Callable[..., object]) -> Iterator[str]:
    """How a function or a class is called: an argument by its name alone ends with `=`."""
    for argument in inspect.signature(value).parameters.values():
        match argument.kind:
            case argument.VAR_KEYWORD:
                yield f"**{argument.name}"
            case argument.VAR_POSITIONAL:
                yield f"*{argument.name}"
            case argument.KEYWORD_ONLY:
                yield f"{argument.name}="
            case _:
                yield argument.name


def packages() -> list[str]:
    """Folders of code, lowest first, in the order that the layers' test holds."""
    layers = ast.parse((ROOT / "tests/contract/test_layers.py").read_text(encoding="utf-8"))
    names = next(
        [ast.literal_eval(key).replace(".", "/") for key in node.value.keys if key]
        for node in layers.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
        if ast.unparse(node.target) == "USES"
    )
    return [name for name in names if (ROOT / name).is_dir()]


def first_line(file: Path) -> str:
    """What a module says of itself."""
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]


def house() -> str:
    """The table of all packages and their modules."""
    rows = ["| Module | What it is for |", "|---|---|"]
    for package in packages():
        for file in sorted((ROOT / package).glob("*.py"), key=lambda f: (f.stem != "__init__", f)):
            name = f"**`{package}/`**" if file.stem == "__init__" else f"`{file.stem}`"
            rows.append(f"| {name} | {first_line(file)} |")
    return "\n".join(rows) + "\n"


def architecture_page() -> str:
    """The page with its table anew."""
    before, _, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{house()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PYTHON.write_text(python_page(), encoding="utf-8")
    REASONS.write_text(reasons.page(), encoding="utf-8")
    ARCHITECTURE.write_text(architecture_page(), encoding="utf-8")
    CLI.write_text(cli_page(), encoding="utf-8")
