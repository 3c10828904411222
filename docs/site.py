"""What `make site` does to docs/ beside MkDocs' own work: order, reference, links that leave docs/.

Each version has a folder of its own, with a menu of those that are there: sites that were built
before stay. The order is that of docs/README.md, so that it stands in one place. Files outside
docs/ that a page links to are copied under repository/, pages among them with their own links made
right.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from packaging.version import Version

import oracle

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
PICTURES = (".png", ".svg")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
#: Where files that lie outside docs/ stand in the site.
OUTSIDE = "repository"
#: Page of the reference -> the public names in it.
REFERENCE: dict[str, tuple[str, ...]] = {
    "Watching": ("watch", "train_map", "context_of", "measure", "Metrics", "Fitness", "Population"),
    "Forecasts": ("Oracle", "Forecast", "History", "RunContext", "Schedule", "Run"),
    "Decisions": (
        "decide", "decide_population", "Decision", "Action", "Reason", "Policy", "Reference",
        "Outcome", "certified_policy", "read_decisions", "replay_decision",
    ),
    "Plans": ("suggest", "how_long", "screen", "Screen"),
    "Data": (
        "read_dataset", "iter_dataset", "write_dataset", "read_frame", "runs_frame",
        "forecast_frame",
    ),
    "Client": ("Client",),
}  # fmt: skip
#: Modules that are for users as a whole.
MODULES = (
    "oracle.integrations.optuna", "oracle.integrations.deap", "oracle.integrations.pymoo",
    "oracle.integrations.minisom", "oracle.integrations.nexussom", "oracle.errors",
)  # fmt: skip


def on_config(config: Any) -> Any:
    """Take the order of the pages from docs/README.md, and the reference behind them."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    seen = {"README.md"}
    nav: list[dict[str, Any]] = [{"Documentation": "README.md"}]
    for title, section in re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", index, re.M):
        pages: list[Any] = []
        for page in re.findall(r"\]\(([\w./-]+\.md)", section):
            where = _in_site(ROOT / "docs" / page)
            if where not in seen:
                seen.add(where)
                pages.append(where if where != "libraries.md" else {"Your library": _libraries()})
        nav.append({title: pages})
    nav.append({"Reference": [{title: _page_of(title)} for title in (*_reference(), "Modules")]})
    config.nav = nav
    config.copyright = f"SOM Oracle {oracle.__version__}"
    config.site_dir = str(Path(config.site_dir) / oracle.__version__)
    return config


def on_post_build(config: Any) -> None:
    """Tell the sites of other versions beside this one of it, and lead to the newest.

    The form is that of mike, which Material's menu of versions reads.
    """
    there = Path(config.site_dir).parent
    names = [page.parent.name for page in there.glob("[0-9]*/index.html")]
    newest, *others = sorted(names, key=Version, reverse=True)
    versions = [{"version": newest, "title": newest, "aliases": ["latest"]}]
    versions += [{"version": name, "title": name, "aliases": []} for name in others]
    (there / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    lead = f'<!doctype html><meta http-equiv="refresh" content="0; url={newest}/index.html">'
    (there / "index.html").write_text(f"{lead}<title>SOM Oracle {newest}</title>\n", "utf-8")


def on_files(files: Files, config: Any) -> Files:
    """Add the reference, and what pages link to outside docs/."""
    for title, names in _reference().items():
        body = "".join(f"::: {oracle._HOME[name]}.{name}\n\n" for name in names)
        files.append(File.generated(config, _page_of(title), content=f"# {title}\n\n{body}"))
    body = "".join(f"::: {module}\n\n" for module in MODULES)
    files.append(File.generated(config, _page_of("Modules"), content=f"# Modules\n\n{body}"))
    waiting, known = [ROOT / "docs" / f.src_uri for f in files.documentation_pages()], set()
    while waiting:
        page = waiting.pop()
        for target in _targets(page):
            where = _in_site(target)
            if where.startswith(OUTSIDE) and where not in known:
                known.add(where)
                if target.suffix == ".md" or target.suffix in PICTURES:
                    files.append(File.generated(config, where, abs_src_path=str(target)))
                    waiting.append(target)
                else:
                    files.append(File.generated(config, where, content=_as_page(target)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Make links right that leave docs/, or come from outside it."""
    source = _source(page.file.src_uri)

    def right(found: re.Match[str]) -> str:
        target = _resolved(source, found[2])
        if target is None or not target.exists():
            return found[0]
        if target.is_dir():
            return found[0].removeprefix("[").partition("](")[0]  # a folder is no page
        here = posixpath.dirname(page.file.src_uri)
        return f"{found[1]}{posixpath.relpath(_in_site(target), here or '.')}{found[3]}"

    parts, at = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(right, markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, LINK.sub(right, markdown[at:])])


def _reference() -> dict[str, tuple[str, ...]]:
    """REFERENCE, and what is in none of its pages in one of its own."""
    shown = {name for names in REFERENCE.values() for name in names}
    left = [n for n, home in oracle._HOME.items() if n not in shown and home not in MODULES]
    return REFERENCE | ({"More": tuple(sorted(left))} if left else {})


def _libraries() -> list[str]:
    return [
        "libraries.md", *sorted(f"libraries/{p.name}" for p in ROOT.glob("docs/libraries/*.md"))
    ]  # fmt: skip


def _page_of(title: str) -> str:
    return f"reference/{title.lower().replace(' ', '-')}.md"


def _cell(cell: dict[str, Any]) -> str:
    """A notebook's cell as Markdown."""
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"


def _source(uri: str) -> Path:
    """The file that a page of the site is made of."""
    if uri.startswith(f"{OUTSIDE}/"):
        path = ROOT / uri.removeprefix(f"{OUTSIDE}/")
        return path if path.exists() else path.with_suffix("")
    return ROOT / "docs" / uri


def _in_site(file: Path) -> str:
    """Where a file of the repository stands in the site; a program stands in a page."""
    path = file.resolve().relative_to(ROOT.resolve()).as_posix()
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{OUTSIDE}/{path}" + ("" if file.suffix in (".md", *PICTURES) else ".md")


def _as_page(file: Path) -> str:
    name = file.relative_to(ROOT).as_posix()
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        return "\n\n".join(_cell(cell) for cell in json.loads(text)["cells"])
    return f"# {name}\n\n````{file.suffix.removeprefix('.').lower()}\n{text}\n````\n"


def _resolved(page: Path, link: str) -> Path | None:
    """The file that a link of a page names; None where it is an address."""
    if re.match(r"[a-z]+:|/", link):
        return None
    target = (page.parent / link).resolve()
    return target if target.is_relative_to(ROOT.resolve()) else None


def _targets(page: Path) -> list[Path]:
    """The files that a page links to."""
    if not page.is_file():
        return []
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = (_resolved(page, link) for _, link, _ in LINK.findall(prose))
    return [target for target in found if target is not None and target.is_file()]
