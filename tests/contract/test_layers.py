"""Imports point one way, from package to package, and importing the library stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import oracle
from oracle._moved import MOVED
from oracle.history.libraries import ADAPTERS

ROOT = Path(__file__).parents[2]


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


#: Module -> its file.
FILES = {
    module_of(file): file
    for file in sorted([*ROOT.glob("oracle/**/*.py"), *ROOT.glob("collector/**/*.py")])
}
MODULES = FILES.keys()
#: What is not imported by name but read by people: the tests, and what makes the pages of docs/.
ASIDE = sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/**/*.py")])

#: Our packages, lowest first -> those below that they use. A single module counts as a package.
#: A module belongs to the longest name here that it begins with; nothing stands outside.
USES: dict[str, tuple[str, ...]] = {
    "oracle.forks": (),
    # __init__ and _moved: they only name what is above, and load it on use
    "oracle": ("oracle.forks",),
    "oracle.errors": (),
    "oracle.types": ("oracle.errors", "oracle.forks"),
    "oracle.history": ("oracle.errors", "oracle.forks", "oracle.types"),
    "oracle.model": ("oracle.errors", "oracle.forks", "oracle.types", "oracle.history"),
    "oracle.forecast": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.model",
    ),
    "oracle.decision": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.forecast",
    ),
    "oracle.hook": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.forecast",
        "oracle.decision",
    ),
    "oracle.integrations": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.forecast",
        "oracle.decision", "oracle.hook",
    ),
    "oracle.search": (
        "oracle.errors", "oracle.types", "oracle.history", "oracle.forecast", "oracle.decision",
        "oracle.hook", "oracle.integrations",
    ),
    "oracle.pictures": ("oracle.errors", "oracle.types"),
    "oracle.evaluation": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.forecast",
        "oracle.decision",
    ),
    "oracle.audit": ("oracle.errors", "oracle.types", "oracle.history", "oracle.decision"),
    "oracle.reports": (
        "oracle.errors", "oracle.types", "oracle.history", "oracle.decision", "oracle.evaluation",
        "oracle.audit",
    ),
    "oracle.training": (
        "oracle.errors", "oracle.types", "oracle.history", "oracle.model", "oracle.forecast",
        "oracle.pictures", "oracle.evaluation",
    ),
    "oracle.sequences": (
        "oracle.errors", "oracle.types", "oracle.history", "oracle.model", "oracle.forecast",
        "oracle.pictures", "oracle.training",
    ),
    "oracle.server.settings": ("oracle.errors", "oracle.types"),
    "oracle.server.storage": ("oracle.errors", "oracle.forks", "oracle.types"),
    "oracle.server.http": (
        "oracle.errors", "oracle.types", "oracle.audit", "oracle.server.settings",
    ),
    "oracle.server.runs": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.forecast",
        "oracle.decision",
        "oracle.server.storage", "oracle.server.http",
    ),
    "oracle.server.searches": (
        "oracle.errors", "oracle.forks", "oracle.types", "oracle.history", "oracle.decision",
        "oracle.audit", "oracle.server.storage", "oracle.server.http", "oracle.server.runs",
    ),
    "oracle.server": (
        "oracle", "oracle.errors", "oracle.types", "oracle.history", "oracle.model",
        "oracle.audit", "oracle.server.searches",
        "oracle.forecast", "oracle.decision", "oracle.search", "oracle.server.settings",
        "oracle.server.storage",
        "oracle.server.http", "oracle.server.runs",
    ),
    "oracle.deadline": (),
    "oracle.exchange": ("oracle.errors", "oracle.types"),
    "oracle.client": (
        "oracle.errors", "oracle.types", "oracle.audit", "oracle.deadline", "oracle.exchange",
        "oracle.server.http",
    ),
    "collector.recorded": (
        "oracle.errors", "oracle.types", "oracle.history", "oracle.integrations",
    ),
    # The collector walks MiniSom through the very steps that a user's own training is watched by.
    "collector": (
        "oracle", "oracle.errors", "oracle.types", "oracle.history", "oracle.hook",
        "oracle.integrations", "collector.recorded",
    ),
    "oracle.commands": (
        "oracle", "oracle.errors", "oracle.forks", "oracle.types", "oracle.history",
        "oracle.model", "oracle.forecast",
        "oracle.decision", "oracle.hook", "oracle.search", "oracle.pictures", "oracle.evaluation",
        "oracle.audit", "oracle.reports", "oracle.client", "oracle.training", "oracle.sequences",
        "oracle.server.settings", "oracle.server.storage", "oracle.server.http",
        "oracle.server.runs", "oracle.server.searches", "oracle.server", "collector.recorded",
        "collector",
    ),
    "oracle.cli": ("oracle", "oracle.errors", "oracle.types", "oracle.commands"),
    "oracle.__main__": ("oracle.cli",),
}  # fmt: skip

#: The arrows upward, imported when they are called: module -> the one it reaches.
LATE = {
    ("oracle.types.forecast", "oracle.pictures.fan"),  # Forecast.plot
    ("oracle.types.forecast", "oracle.forecast.forecaster"),  # Forecast.explain
    ("oracle.types.explanation", "oracle.pictures.why"),  # Explanation.plot
    # context_of and train_map: by name, when a map of the library is met
    *(("oracle.history.libraries", module) for module in ADAPTERS.values()),
}

#: Third-party library -> packages that may import it, at their top or inside a function.
#: What is not listed may be imported anywhere.
ONLY_IN = {
    ("tensorflow", "keras"): ("oracle.training", "oracle.sequences.networks"),
    ("onnxruntime",): ("oracle.model",),
    ("onnx",): (),
    ("fastapi", "starlette", "sqlalchemy", "alembic", "prometheus_client"): ("oracle.server",),
    ("psycopg",): ("oracle.server", "oracle.hook.places.postgresql"),
    ("uvicorn",): ("oracle.server", "oracle.commands.serve"),
    ("mcp",): ("oracle.commands.mcp",),
    ("typer",): ("oracle.cli", "oracle.commands"),
    ("httpx",): ("oracle.client", "oracle.deadline", "oracle.exchange"),
    ("deap",): ("oracle.integrations.deap",),
    ("pymoo",): ("oracle.integrations.pymoo", "oracle.search.pymoo"),
    ("optuna",): (
        "oracle.integrations.optuna", "oracle.integrations.optuna_study",
        "oracle.integrations.optuna_finish", "oracle.integrations.optuna_trials",
        "oracle.search.optuna", "oracle.evaluation", "oracle.commands.replay",
    ),
    ("mlflow",): ("oracle.integrations.mlflow",),
    ("ray",): ("collector.on_ray", "oracle.integrations.ray_tune"),
    ("minisom",): ("oracle.integrations.minisom", "collector"),
    ("numba",): ("collector",),
    ("sklearn",): ("oracle.evaluation", "oracle.training", "collector"),
    # types: for type checkers alone
    ("matplotlib",): ("oracle.types", "oracle.pictures", "oracle.sequences"),
    ("yaml",): ("oracle.sequences",),
    # types: for type checkers alone
    ("pandas",): ("oracle.history.frames", "collector"),
    ("pyarrow",): ("oracle.history.parquet",),
    ("pickle", "joblib", "dill", "shelve", "marshal"): (),
}  # fmt: skip

#: Modules that a person sees at once.
MOST_IN_A_FOLDER = 18
MOST_LINES = 400
#: The folders of the page's modules, lowest first.
PAGE = ("words", "data", "charts", "panels", "views")

#: Loaded by no part of the library that an EA worker imports.
HEAVY = (
    "tensorflow", "keras", "fastapi", "sqlalchemy", "sklearn", "scipy", "pandas", "matplotlib",
    "optuna", "minisom", "numba", "typer", "httpx", "pyarrow",
)  # fmt: skip


@cache
def imports_of(file: Path, *, at_load: bool = False) -> frozenset[str]:
    """Modules that `file` imports or names in a string to import.

    `at_load` leaves out strings, functions and TYPE_CHECKING blocks.
    """
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
            within = {f"{node.module}.{a.name}" for a in node.names}
            found.update(within & MODULES)  # `from oracle import types` names a module
            if within - MODULES:
                found.add(node.module or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not at_load:
            found.update({node.value.partition(":")[0]} & MODULES - {"oracle", "collector"})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(found)


def within(module: str, packages: Iterable[str]) -> list[str]:
    """The packages that a module is part of, the innermost last."""
    return sorted((p for p in packages if f"{module}.".startswith(f"{p}.")), key=len)


def package_of(module: str) -> str:
    return within(module, USES)[-1]


def arrows() -> set[tuple[str, str]]:
    """Our modules' imports of our modules of other packages, the late ones left out."""
    found = {(m, used) for m, file in FILES.items() for used in imports_of(file) & MODULES}
    # The face and the old paths load each name when it is asked for.
    ours = {(a, b) for a, b in found - LATE if package_of(a) != "oracle"}
    return {(a, b) for a, b in ours if package_of(a) != package_of(b)}


def test_our_packages_point_one_way() -> None:
    seen: set[str] = set()
    for package, used in USES.items():
        assert set(used) <= seen, package
        seen.add(package)


def test_a_package_uses_what_the_list_says() -> None:
    wrong = {f"{a} -> {b}" for a, b in arrows() if package_of(b) not in USES[package_of(a)]}
    assert not wrong


def test_late_arrows_exist_and_do_not_load() -> None:
    for module, used in LATE:
        assert used in imports_of(FILES[module])
        assert used not in imports_of(FILES[module], at_load=True)


@pytest.mark.parametrize("libraries", ONLY_IN, ids=lambda libraries: libraries[0])
def test_third_party_libraries_stay_in_their_packages(libraries: tuple[str, ...]) -> None:
    users = {
        module
        for module, file in FILES.items()
        if {name.partition(".")[0] for name in imports_of(file)} & set(libraries)
    }
    assert not {module for module in users if not within(module, ONLY_IN[libraries])}


def test_every_lock_is_one_that_a_fork_renews() -> None:
    kinds = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
    kinds |= {"cached_property"}  # it has a lock of its own up to Python 3.11
    made = {
        module
        for module, file in FILES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (
            (isinstance(node, ast.ImportFrom) and node.module in ("threading", "functools"))
            and kinds & {alias.name for alias in node.names}
        )
        or (
            (isinstance(node, ast.Attribute) and node.attr in kinds)
            and ast.unparse(node.value) in ("threading", "functools")
        )
    }
    assert made == {"oracle.forks"}


def test_no_import_cycle() -> None:
    graph = {m: imports_of(file, at_load=True) & MODULES for m, file in FILES.items()}
    tuple(TopologicalSorter(graph).static_order())


def test_no_package_hides_a_public_function() -> None:
    """`import oracle.decide.x` would turn `from oracle import decide` into a module."""
    beside = {module.split(".")[1] for module in FILES if module.startswith("oracle.")}
    assert beside >= {"decision", "client"}
    assert not beside & set(oracle._HOME)


def test_a_folder_is_seen_at_once() -> None:
    files = [*FILES.values(), *ASIDE]
    sizes = Counter(file.parent for file in files if file.name != "__init__.py")
    assert {str(folder): n for folder, n in sizes.items() if n > MOST_IN_A_FOLDER} == {}


def test_a_file_is_read_at_once() -> None:
    lines = {file: len(file.read_text().splitlines()) for file in [*FILES.values(), *ASIDE]}
    assert {str(file): n for file, n in lines.items() if n > MOST_LINES} == {}


def test_the_page_points_one_way() -> None:
    assets = ROOT / "oracle/server/dashboard/assets"
    for place, room in enumerate(PAGE):
        files = sorted((assets / room).glob("*.js"))
        assert 1 <= len(files) <= MOST_IN_A_FOLDER
        for file in files:
            text = file.read_text(encoding="utf-8")
            assert len(text.splitlines()) <= MOST_LINES, file.name
            used = {PAGE.index(name) for name in re.findall(r'from "\.\./(\w+)/', text)}
            assert all(one < place for one in used), file.name


def test_unit_tests_need_no_tensorflow() -> None:
    heavy = {"tensorflow", "keras"}
    graph = {m: imports_of(file, at_load=True) for m, file in FILES.items()}
    for module in TopologicalSorter(graph).static_order():
        if graph.get(module, frozenset()) & heavy:
            heavy.add(module)
    for file in ROOT.glob("tests/unit/**/*.py"):
        used = imports_of(file)
        assert not used & heavy | {n for n in used if n.partition(".")[0] in heavy}, file


def test_old_paths_lead_to_the_new_ones_and_warn() -> None:
    from oracle.history.metrics import measure

    assert MOVED.keys().isdisjoint(MODULES)
    assert set(MOVED.values()) <= MODULES
    with pytest.warns(oracle.OracleWarning, match="`oracle.metrics` is now `oracle.history.met"):
        module = import_module("oracle.metrics")
    assert module.measure is measure
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        import_module("oracle.nowhere")


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
