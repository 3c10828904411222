"""Numbers as reports write them: three digits that mean something, one percent style."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10

#: No break between a number and its unit.
NBSP = "\u00a0"
NONE = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 3) -> str:
    r"""Write a number by its first digits.

    >>> number(0.05934), number(12.0), number(0.0), number(None), number(-2.5e-7)
    ('0.0593', '12.0', '0', '–', '−2.50\xa0×\xa010⁻⁷')
    """
    if value is None or not isfinite(value):
        return NONE
    size = abs(value)
    if size < 1e-12:
        return "0"
    power = floor(log10(size) + 1e-12)
    if size >= 1e5 or size < 1e-3:
        front = f"{value / 10**power:.{digits - 1}f}"
        return f"{front} × 10{str(power).translate(_RAISED)}".replace("-", "−").replace(" ", NBSP)
    return f"{value:.{max(0, digits - 1 - power)}f}".replace("-", "−")


def count(value: float) -> str:
    """Write how many there are, whole from a thousand on, so that two of them compare.

    >>> count(81355.0), count(177400.0), count(12.5), count(0.0)
    ('81,355', '177,400', '12.5', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 1_000 else short(value)


def short(value: float) -> str:
    """Write a number without zeros at its end, as ticks are.

    >>> short(0.2), short(2.0), short(1500.0), short(2e-7), short(-0.05)
    ('0.2', '2', '1500', '2 × 10⁻⁷', '−0.05')
    """
    if value and not 1e-4 <= abs(value) < 1e5:
        return number(value, 1).replace(NBSP, " ")
    return f"{value:.6g}".replace("-", "−")


def setting(value: object) -> str:
    """Write the value of a setting: whole numbers whole.

    >>> setting(7476.0), setting(0.0962345), setting("pca"), setting(True), setting(None)
    ('7476', '0.0962', 'pca', 'True', '–')
    """
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isfinite(value) and value == round(value) and abs(value) < 1e9:
        return str(round(value))
    return number(value)


def percent(share: float | None, digits: int = 0) -> str:
    r"""Write a share 0..1 in percent.

    >>> percent(0.512), percent(0.0512, 1), percent(None)
    ('51\xa0%', '5.1\xa0%', '–')
    """
    if share is None or not isfinite(share):
        return NONE
    return f"{100 * share:.{digits}f}{NBSP}%".replace("-", "−")


def span(low: float | None, high: float | None, digits: int = 0) -> str:
    r"""Write an interval of shares; empty where there is none.

    >>> span(0.1, 0.206, 1), span(None, None)
    ('10.0 to 20.6\xa0%', '')
    """
    if low is None or high is None:
        return ""
    return f"{100 * low:.{digits}f} to {percent(high, digits)}".replace("-", "−")


def between(ends: Sequence[float] | None, digits: int = 3) -> str:
    """Write an interval of numbers; empty where there is none."""
    return "" if ends is None else f"{number(ends[0], digits)} to {number(ends[1], digits)}"


#: Names that do not say by themselves what they are.
_NAMES = {
    "quality_relative": "quality score, relative",
    "quality_raw": "quality score, raw",
    "relative_mqe": "final mqe, relative",
}


def plain(name: str) -> str:
    """Write a name of the code as words.

    >>> plain("final_topographic_error"), plain("quality_raw")
    ('Final topographic error', 'Quality score, raw')
    """
    name = _NAMES.get(name, name)
    words = name.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"
