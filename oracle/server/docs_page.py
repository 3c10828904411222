"""The interface for people: one plain page made from the OpenAPI description.

No script, no font, no request to anywhere: it reads the same on a machine without internet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 20%, Canvas); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: 6px; }
details { border: 1px solid var(--line); border-radius: 6px;
          margin: .5rem 0; padding: .5rem .75rem; }
summary { cursor: pointer; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
         border-bottom: 1px solid var(--line); }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
"""


def render(document: dict[str, Any]) -> str:
    """Render an OpenAPI document as a page."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    return "".join(
        (
            "<!doctype html><html lang=en><head><meta charset=utf-8>",
            '<meta name=viewport content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
            f"<p>{escape(info.get('description', ''))}</p>",
            '<p><a href="openapi.json">openapi.json</a> is the same for machines. ',
            '<a href="./">The live page</a>.</p>',
            "<h2>Routes</h2>",
            *_operations(document),
            "<h2>Types</h2>",
            *_types(document.get("components", {}).get("schemas", {})),
            "</body></html>",
        )
    )


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            summary = escape(operation.get("description", ""))
            yield (
                f"<details><summary><span class=method>{method.upper()}</span> "
                f"<code>{escape(path)}</code> {summary}</summary>"
            )
            yield from _parameters(operation.get("parameters", []))
            content = operation.get("requestBody", {}).get("content", {})
            for kind, body in content.items():
                yield f"<p>Body <code>{escape(kind)}</code>: {_type(body.get('schema', {}))}</p>"
                named = [one["value"] for one in body.get("examples", {}).values()]
                for example in named or [body[k] for k in ("example",) if k in body]:
                    text = json.dumps(example, indent=2)
                    yield f"<pre>{escape(_curl(method, path, text))}</pre>"
            yield from _answers(operation.get("responses", {}))
            yield "</details>"


def _curl(method: str, path: str, text: str) -> str:
    route = path.replace("{run_id}", "r-17")
    return (
        f"curl -X {method.upper()} http://127.0.0.1:8000{route} \\\n"
        f"  -H 'Content-Type: application/json' -d '{text}'"
    )


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    if parameters:
        yield "<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>"
        for p in parameters:
            yield (
                f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
                f"<td>{_type(p.get('schema', {}))}</td>"
                f"<td>{_marked(p.get('description', ''))}</td></tr>"
            )
        yield "</table>"


def _answers(responses: dict[str, Any]) -> Iterator[str]:
    yield "<table><tr><th>Status</th><th>Meaning</th><th>Body</th></tr>"
    for status, response in sorted(responses.items()):
        kinds = [
            _type(content["schema"]) if content.get("schema") else f"<code>{escape(kind)}</code>"
            for kind, content in response.get("content", {}).items()
        ]
        meaning = escape(response.get("description", ""))
        yield f"<tr><td>{escape(status)}</td><td>{meaning}</td><td>{', '.join(kinds)}</td></tr>"
    yield "</table>"


def _types(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        text = schema.get("description", "")
        yield f'<details id="{escape(name)}"><summary><b>{escape(name)}</b></summary>'
        yield f"<pre>{escape(text)}</pre>" if text else ""
        if "enum" in schema:
            yield "<p>" + ", ".join(f"<code>{escape(str(v))}</code>" for v in schema["enum"])
        if "properties" in schema:
            needed = schema.get("required", ())
            yield "<table><tr><th>Field</th><th>Type</th><th></th><th></th></tr>"
            for field, inner in schema["properties"].items():
                mark = "required" if field in needed else ""
                yield (
                    f"<tr><td><code>{escape(field)}</code></td><td>{_type(inner)}</td>"
                    f"<td>{mark}</td><td>{_marked(inner.get('description', ''))}</td></tr>"
                )
            yield "</table>"
        yield "</details>"


def _marked(text: str) -> str:
    """Escape a text, with what stands in backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(_type(inner) for inner in schema[word])
    kind = schema.get("type", "any")
    if kind == "array":
        inner = schema.get("items") or {}
        return f"list of {_type(inner)}" if inner else "list"
    bounds = [
        f"{sign} {schema[word]:g}"
        for word, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if word in schema
    ]
    return escape(" ".join((str(schema.get("const", kind)), *bounds)))
