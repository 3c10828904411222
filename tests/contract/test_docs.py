"""The documentation is complete: every command, route, setting and verb; no dead link."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from oracle.cli import COMMANDS, build
from oracle.model.artifact import resolve
from oracle.server.settings import ENVIRONMENT_PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generate() -> Any:
    spec = spec_from_file_location("generate_docs", ROOT / "docs/generate.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_and_option_is_in_the_cli_page(generate: Any) -> None:
    assert text("docs/cli.md") == generate.cli_page(), "run `make docs`"


def test_every_module_is_in_the_architecture_page(generate: Any) -> None:
    assert text("docs/architecture.md") == generate.architecture_page(), "run `make docs`"
    assert "| `forecaster` |" in generate.house()


def test_every_reason_is_in_the_reasons_page(generate: Any) -> None:
    assert text("docs/reasons.md") == generate.reasons.page(), "run `make docs`"


def test_each_reason_is_provoked_by_its_name(generate: Any) -> None:
    from oracle import Reason

    assert set(generate.reasons.provoked()) == set(Reason)


def test_every_public_name_is_in_the_python_page(generate: Any) -> None:
    assert text("docs/python.md") == generate.python_page(), "run `make docs`"


def test_every_method_of_the_client_is_in_its_page() -> None:
    from oracle import Client

    page = text("docs/client.md")
    methods = [name for name in vars(Client) if not name.startswith("_")]
    assert len(methods) > 15
    assert not [name for name in methods if f"`{name}(" not in page]


def documented() -> list[str]:
    """Commands that the pages tell people to type, comments and shown output left out."""
    found = {
        line
        for page in PAGES
        for line in re.findall(r"^ *(?:\$ )?(oracle [a-z][^#\n`]*)", page.read_text("utf-8"), re.M)
        if page.name != "cli.md"
    }
    return sorted(line for line in found if line.split()[1] in COMMANDS)


@pytest.mark.parametrize("line", documented())
def test_documented_commands_can_be_typed(line: str) -> None:
    _, verb, *words = line.split()
    command: Any = get_command(build(verb)).commands[verb]  # type: ignore[attr-defined]
    if hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known
    for option, value in pairwise(words):
        if option == "--model" or (verb, option) == ("train", "--from"):
            assert "<" in value or resolve(value).is_dir()


def test_commands_are_documented() -> None:
    assert len(documented()) > 20


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_deploy_page(name: str) -> None:
    assert f"`{ENVIRONMENT_PREFIX}{name.upper()}`" in text("docs/deploy.md")


def test_every_route_is_in_the_api_page() -> None:
    from oracle.server.app import create_app

    page = text("docs/api.md")
    routes = {
        f"{method} {getattr(route, 'path_format', route.path)}"
        for route in create_app().routes
        for method in getattr(route, "methods", None) or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert routes
    undocumented = {
        r for r in routes if f"`{r.partition(' ')[0]} {r.partition(' ')[2]}`" not in page
    }
    assert not undocumented


def test_the_description_names_types_and_formats() -> None:
    from oracle.server.app import create_app

    document = create_app().openapi()
    items = document["components"]["schemas"]["BatchRequest"]["properties"]["histories"]["items"]
    assert {"$ref": "#/components/schemas/History"} in items["anyOf"]
    events = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]
    assert list(events) == ["text/event-stream"]


def test_every_property_and_parameter_is_described() -> None:
    """What the docstrings say of a field, the machine-readable description says too."""
    from oracle.server.app import create_app

    document = create_app().openapi()
    fields = {
        f"{name}.{field}": inner
        for name, schema in document["components"]["schemas"].items()
        for field, inner in schema.get("properties", {}).items()
    } | {
        f"{verb} {path} ?{parameter['name']}": parameter
        for path, operations in document["paths"].items()
        for verb, operation in operations.items()
        for parameter in operation.get("parameters", ())
    }
    assert len(fields) > 300
    silent = [name for name, told in fields.items() if not told.get("description")]
    assert not silent, "say it in the docstring's `Attributes:`, or in Query(description=...)"
    raw = [n for n, s in document["components"]["schemas"].items() if "Attr" in str(s)]
    assert not raw


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts of Markdown make them, and those it sets."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.M)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings)
    return {re.sub(r"\s", "-", heading) for heading in plain} | {
        *re.findall(r"<a id='([^']+)'>", prose)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target)
        ):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_verbs_exist(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z0-9]+):", text("Makefile"), flags=re.MULTILINE))
    named = set(
        re.findall(
            r"(?:`|^)make (?:PYTHON=\S+ )?([a-z0-9]+)", page.read_text(encoding="utf-8"), re.M
        )
    )
    assert named <= verbs


def test_every_dependency_is_explained() -> None:
    """Each dependency carries the reason why it is there."""
    block = text("pyproject.toml").split("dependencies = [", 1)[1].split("[project.scripts]")[0]
    requirements = [line for line in block.splitlines() if re.match(r'\s+"[a-z]', line)]
    obvious = ("pytest", "hypothesis", "ruff", "mypy", "som-oracle")
    unexplained = [
        r for r in requirements if "#" not in r and not r.strip().strip('"').startswith(obvious)
    ]
    assert not unexplained
