"""Imports point one way, and importing the library stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("oracle/**/*.py"), *ROOT.glob("collector/**/*.py")])

#: Third-party library -> modules that may import it, at their top or inside a function.
#: What is not listed may be imported anywhere. A trailing dot means the whole package.
ONLY_IN = {
    ("tensorflow", "keras"): (
        "oracle.architectures", "oracle.losses", "oracle.callbacks", "oracle.trainer",
        "oracle.export", "oracle.recipe", "oracle.finetune", "oracle.publish",
    ),
    ("onnxruntime",): ("oracle.runtime",),
    ("onnx",): ("oracle.export", "oracle.onnx_file", "oracle.finetune"),
    ("fastapi", "starlette", "sqlalchemy", "alembic", "prometheus_client", "psycopg"): (
        "oracle.server.",
    ),
    ("uvicorn",): ("oracle.server.", "oracle.commands.serve"),
    ("typer",): ("oracle.cli", "oracle.commands."),
    ("httpx",): ("oracle.client",),
    ("deap",): ("oracle.integrations.deap",),
    ("pymoo",): ("oracle.integrations.pymoo",),
    ("optuna",): ("oracle.integrations.optuna", "oracle.rivals", "oracle.commands.replay"),
    ("minisom",): ("oracle.integrations.minisom", "collector."),
    ("numba",): ("collector.",),
    ("pickle", "joblib", "dill", "shelve", "marshal"): (),
}  # fmt: skip

#: Our own module or package -> those that may import it.
OURS_ONLY_IN = {
    "collector": ("collector.", "oracle.commands.collect"),
    # The client: the answers' types in wire.py.
    "oracle.server": ("oracle.server.", "oracle.commands.", "oracle.client"),
    # the collector walks MiniSom through the very steps that a user's own training is watched by
    "oracle.integrations": ("oracle.integrations.", "collector."),
    "oracle.commands": ("oracle.commands.",),
    "oracle.cli": ("oracle.__main__",),
}

#: The collector may use these parts of oracle and no other.
COLLECTOR_USES = {
    "oracle", "oracle.types", "oracle.errors", "oracle.metrics", "oracle.dataset", "oracle.hook",
    "oracle.tables", "oracle.context", "oracle.integrations.minisom",
    "oracle.integrations.nexussom",
}  # fmt: skip

#: Loaded by no part of the library that an EA worker imports.
HEAVY = (
    "tensorflow", "keras", "fastapi", "sqlalchemy", "sklearn", "scipy", "pandas", "matplotlib",
    "optuna", "minisom", "numba", "typer", "httpx",
)  # fmt: skip


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(file: Path, *, at_load: bool = False) -> frozenset[str]:
    """Modules that `file` imports; `at_load` leaves out functions and TYPE_CHECKING blocks."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if at_load and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            found.add(node.module or "")
            # `from oracle import types` names a module too
            found.update(f"{node.module}.{a.name}" for a in node.names if is_module(node, a))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(found)


def is_module(node: ast.ImportFrom, alias: ast.alias) -> bool:
    path = ROOT / f"{node.module}.{alias.name}".replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == a or (a.endswith(".") and f"{module}.".startswith(a)) for a in allowed)


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_third_party_libraries_stay_in_their_modules(file: Path) -> None:
    module = module_of(file)
    used = {name.partition(".")[0] for name in imports_of(file)}
    wrong = [
        library
        for libraries, allowed in ONLY_IN.items()
        for library in libraries
        if library in used and not within(module, allowed)
    ]
    assert not wrong


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_our_layers_point_one_way(file: Path) -> None:
    module = module_of(file)
    used = imports_of(file)
    for target, allowed in OURS_ONLY_IN.items():
        if any(within(name, (f"{target}.",)) for name in used):
            assert within(module, allowed), f"{module} must not import {target}"
    if module.startswith("collector"):
        foreign = {n for n in used if within(n, ("oracle.",))} - COLLECTOR_USES
        assert not foreign


def test_types_and_errors_know_nobody() -> None:
    # At load: `Forecast.plot` draws through oracle.fan, imported when it is called.
    ours = {
        f: {n for n in imports_of(f, at_load=True) if within(n, ("oracle.", "collector."))}
        for f in FILES
    }
    assert ours[ROOT / "oracle/errors.py"] == set()
    assert ours[ROOT / "oracle/types.py"] == {"oracle.errors"}


def test_no_import_cycle() -> None:
    graph = {module_of(f): imports_of(f, at_load=True) for f in FILES}
    tuple(TopologicalSorter({m: uses & graph.keys() for m, uses in graph.items()}).static_order())


def test_unit_tests_need_no_tensorflow() -> None:
    keras_modules = ONLY_IN["tensorflow", "keras"]
    for file in ROOT.glob("tests/unit/**/*.py"):
        used = imports_of(file)
        heavy = {n for n in used if n.partition(".")[0] in ("tensorflow", "keras")}
        assert not heavy | (used & set(keras_modules)), file


@pytest.mark.parametrize(
    "statement",
    [
        "import oracle",
        "from oracle import History, Oracle, Policy, context_of, decide, measure, watch",
        "import oracle.integrations.nexussom",
    ],
)
def test_import_stays_light(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_import_oracle_alone_loads_no_numpy() -> None:
    code = "import oracle, sys; print('numpy' in sys.modules or 'pydantic' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
