"""The public names: all there, typed, documented, and the same for people and type checkers."""

from __future__ import annotations

import ast
import inspect
from importlib import metadata
from pathlib import Path

import pytest

import oracle


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    block = next(
        n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name  # `X as X` is what re-exports under mypy --strict
    }
    assert seen == oracle._HOME


@pytest.mark.parametrize("name", sorted(oracle._HOME))
def test_name_is_there_and_documented(name: str) -> None:
    value = getattr(oracle, name)
    assert inspect.getdoc(value), f"oracle.{name} has no docstring"
    assert name in dir(oracle)


def test_unknown_name_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Orakel'"):
        _ = oracle.Orakel


def test_a_name_that_went_says_what_to_do() -> None:
    with pytest.raises(AttributeError, match=r"'Follower': Oracle\.forecast on the history"):
        _ = oracle.Follower


def test_version_is_the_installed_one() -> None:
    assert metadata.version("som-oracle") == oracle.__version__


def test_types_are_shipped() -> None:
    assert (Path(oracle.__file__).parent / "py.typed").is_file()
