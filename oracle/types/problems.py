"""What is wrong with what came, in our form: here, and here alone, pydantic's words become ours."""

from __future__ import annotations

from difflib import get_close_matches
from math import ceil
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from oracle.errors import must_be
from oracle.types.fields import CHECKPOINT, NULLABLE, UNION_TAG

#: The type of a problem whose message is a rule already, what follows "must be".
_RULE = "rule"
#: pydantic's type of a problem -> what follows "must be", with the limits that it tells.
_RULES = {
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    "int_parsing_size": "a whole number of fewer digits",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "a text",
    "string_pattern_mismatch": "a text of the pattern {pattern}",
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "an object"),
    **dict.fromkeys(("literal_error", "enum"), "{expected}"),
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "union_tag_invalid": "one of {expected_tags}",
    "union_tag_not_found": "an object with {discriminator}",
}
#: Ends the path to a name of a dictionary, after the name.
_OF_A_NAME = "[key]"


class OneRule:
    """Annotates a type whose problems are told as one rule: of a union pydantic tells one a member.

    Args:
        rule: what follows "must be".
    """

    def __init__(self, rule: str) -> None:
        self.rule = rule

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Say it instead of what the type itself would say; what is valid is not slowed down."""
        return core_schema.custom_error_schema(handler(kind), _RULE, custom_error_message=self.rule)


def path_of(location: tuple[int | str, ...]) -> str:
    """Spell where in a body a problem is."""
    parts = (str(part) for part in location)
    return ".".join(part for part in parts if not part.startswith(UNION_TAG))


def rule_of(problem: ErrorDetails) -> tuple[str, str, str]:
    """Tell of a value that breaks its rule the field, what it must be, and what to do ("" = plain).

    The value is not told: the service answers strangers.

    >>> limits = {"max_length": 50, "actual_length": 70}
    >>> rule_of({"type": "too_long", "loc": ("tags",), "msg": "", "input": 0, "ctx": limits})
    ('tags', 'of at most 50 values, not 70', '')
    """
    loc, kind, limits = problem["loc"], problem["type"], problem.get("ctx", {})
    most, least = limits.get("max_length"), limits.get("min_length")
    advice = ""
    if kind == _RULE:
        rule = problem["msg"]
    elif kind in ("too_long", "too_short"):
        # Behind a validator of ours pydantic does not know that it measures a text.
        what = "characters" if limits.get("field_type") == "Value" else "values"
        n = limits.get("actual_length")
        rule = f"of at most {most:,} {what}" if least is None else _at_least(least, what)
        rule += "" if n is None else f", not {n:,}"
        if kind == "too_long" and n is not None and loc[-1] in CHECKPOINT:
            advice = f"Keep the last checkpoint, and one in {ceil(n / most)} of those before it."
    elif kind == "string_too_long":
        rule = f"of at most {most:,} characters"
    elif kind == "string_too_short":
        rule = _at_least(least, "characters")
    elif kind in _RULES:
        rule = _RULES[kind].format_map({name: _shown(limit) for name, limit in limits.items()})
    else:
        rule = f"valid ({problem['msg'][:1].lower()}{problem['msg'][1:]})"
    if kind in ("finite_number", "float_type") and loc and loc[0] in NULLABLE:
        advice = "Write null where it is undefined or unknown."
    if loc and loc[-1] == _OF_A_NAME:
        return path_of(loc[:-2]), f"of names, each {rule}", advice
    return path_of(loc), rule, advice


def _shown(limit: Any) -> str:
    if isinstance(limit, float):
        return f"{limit:g}"
    return f"{limit:,}" if isinstance(limit, int) else str(limit)


def _at_least(least: Any, what: str) -> str:
    return f"of at least {least:,} {what if least != 1 else what[:-1]}"


def explain(error: ValidationError) -> str:
    """Turn pydantic's error into our message form, at most five problems."""
    items = error.errors(include_url=False)
    problems = []
    for item in items[:5]:
        field = path_of(item["loc"])
        if item["type"] == "value_error":
            problems.append(str(item["ctx"]["error"]))
        elif item["type"] == "extra_forbidden":
            problems.append(_unknown(str(item["loc"][-1]), field))
        elif item["type"] == "missing":
            problems.append(_missing(field))
        elif item["type"] == "json_invalid":
            problems.append(f"The text must be valid JSON: {item['msg']}.")
        else:
            field, rule, advice = rule_of(item)
            problems.append(must_be(field or "history", rule, item["input"], advice))
    more = len(items) - len(problems)
    return " ".join(problems) + (f" ({more} more.)" if more > 0 else "")


def _missing(field: str) -> str:
    advice = " Give [null, ...] where it is unknown." if field in NULLABLE else ""
    return f"`{field}` must be given, but is missing.{advice}"


def _unknown(name: str, field: str) -> str:
    """Say that a field is unknown, and which column is perhaps meant by it."""
    advice = "Remove it or correct its name."
    if near := get_close_matches(name, CHECKPOINT, 1):
        advice = f"If `{near[0]}` is meant, name it so."
    return must_be(field, "a known field", field, advice)
