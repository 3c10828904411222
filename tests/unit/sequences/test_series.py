"""Series with known answers: the oscillator and its closed form, seeds, noise, the CSV reader."""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oracle.errors import DatasetError, InvalidSeries
from oracle.sequences.csv_series import read_series
from oracle.sequences.memory import memory
from oracle.sequences.oscillator import Oscillator, oscillator
from oracle.sequences.series import Series, seasonal, sine, with_spikes

SYSTEMS = [
    Oscillator(),
    Oscillator(gamma=0.05, omega=1.3, force=0.4, x=-2.0, v=1.5),
    Oscillator(gamma=0.9, omega=2.0, force=3.0, x=0.0, v=-1.0),
]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("step", [0.002, 0.01])
def test_runge_kutta_meets_the_closed_form(system: Oscillator, step: float) -> None:
    n = round(40 / step)
    error = np.abs(system.integrate(step, n) - system.exact(np.arange(n + 1) * step)).max()
    assert error < 1e-8


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_converges_with_the_fourth_order(system: Oscillator) -> None:
    def error(step: float) -> float:
        n = round(10 / step)
        return float(
            np.abs(system.integrate(step, n) - system.exact(np.arange(n + 1) * step)).max()
        )

    assert math.log2(error(0.05) / error(0.025)) == pytest.approx(4.0, abs=0.1)


def test_the_closed_form_begins_where_it_is_told_and_ends_at_the_amplitude() -> None:
    system = Oscillator(x=0.7, v=-0.3)
    t = np.array([0.0, 1e-6])
    x = system.exact(t)
    assert x[0] == pytest.approx(0.7)
    assert (x[1] - x[0]) / 1e-6 == pytest.approx(-0.3, abs=1e-5)
    late = system.exact(np.linspace(60, 60 + system.period, 2001))
    assert late.max() == pytest.approx(system.amplitude, rel=1e-4)


def test_points_of_the_oscillator_lie_apart_by_the_spacing() -> None:
    series = oscillator(50, spacing=0.2, step=0.01)
    np.testing.assert_allclose(series.target, Oscillator().exact(0.2 * np.arange(50)), atol=1e-8)
    assert series.period is None  # one period is 63 steps
    assert oscillator(100, spacing=0.2).period == 63


def test_noise_is_what_it_is_said_to_be() -> None:
    for series in (sine(10_000, 50, 0.05), seasonal(10_000)):
        assert series.clean is not None
        assert series.noise is not None
        noise = series.target - series.clean
        assert noise.std() == pytest.approx(series.noise, rel=0.03)
        assert np.abs(noise).mean() == pytest.approx(series.least_mae, rel=0.03)
        assert series.least_mse == series.noise**2


def test_the_series_of_the_documents() -> None:
    t = np.arange(500)
    expected = 0.02 * t + 10 * np.sin(2 * np.pi * t / 50) + 5 * np.sin(2 * np.pi * t / 25)
    np.testing.assert_allclose(seasonal(500, noise=0.0).target, expected)
    np.testing.assert_allclose(
        sine(1000, 5, 0.0).target, np.sin(np.linspace(0, 10 * np.pi, 1000)), atol=1e-12
    )


def test_seeds_make_and_remake() -> None:
    assert (sine(seed=1).values == sine(seed=1).values).all()
    assert (sine(seed=1).values != sine(seed=2).values).any()
    assert (memory(9, 10, 3).sequence == memory(9, 10, 3).sequence).all()
    assert (memory(9, 10, 3).sequence != memory(9, 10, 4).sequence).any()


def test_spikes_leave_the_clean_series_alone() -> None:
    plain = seasonal(1000)
    spiked = with_spikes(plain, share=0.02, height=6.0)
    assert (spiked.clean == plain.clean).all()
    moved = np.abs(spiked.target - plain.target)
    assert (moved > 0).sum() == 20
    np.testing.assert_allclose(moved[moved > 0], 6 * plain.target.std())
    assert spiked.noise is None


def test_the_answer_of_the_memory_task_is_the_first_digit() -> None:
    sequence, even = memory(2000, 7, seed=1)
    assert sequence.shape == (2000, 7, 10)
    assert (sequence.sum(axis=2) == 1).all()
    assert (even[:, 0] == (sequence[:, 0].argmax(axis=1) % 2 == 0)).all()
    assert 0.45 < even.mean() < 0.55
    for step in range(1, 7):  # no later digit tells anything
        agree = (sequence[:, step].argmax(axis=1) % 2 == 0) == even[:, 0]
        assert 0.45 < agree.mean() < 0.55


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: sine(points=19), "points"),
        (lambda: sine(points=10_001), "points"),
        (lambda: sine(points=100, periods=26), "periods"),
        (lambda: sine(noise=-0.1), "noise"),
        (lambda: sine(noise=math.nan), "noise"),
        (lambda: seasonal(points=499), "points"),
        (lambda: with_spikes(sine(), share=1.1), "share"),
        (lambda: oscillator(step=0.02), "step"),
        (lambda: oscillator(step=0.01, spacing=0.205), "spacing"),
        (lambda: Oscillator(gamma=1.0), "gamma"),
        (lambda: Oscillator(omega=0.0), "omega"),
        (lambda: memory(1, 4), "n"),
        (lambda: memory(1, 201), "n"),
        (lambda: memory(0, 5), "examples"),
        (lambda: Series("s", np.zeros((3, 2)), ("a",)), "values"),
        (lambda: Series("s", np.array([[1.0], [np.nan]])), r"values\[1, value\]"),
    ],
)
def test_what_is_out_of_range_is_named(make: object, field: str) -> None:
    with pytest.raises(InvalidSeries, match=f"`{field}` must be"):
        make()  # type: ignore[operator]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


NAB = "timestamp,value\n" + "".join(
    f"2014-04-01 {h:02}:{m:02}:00,{h + m / 60}\n" for h in range(3) for m in range(0, 60, 5)
)


def test_a_file_of_the_numenta_benchmark(tmp_path: Path) -> None:
    series = read_series(write(tmp_path / "nab.csv", NAB))
    assert series.name == "nab"
    assert series.features == ("value",)
    np.testing.assert_allclose(series.target, np.arange(36) / 12)
    assert series.time is not None
    assert series.time[1] == "2014-04-01 00:05:00"


@pytest.mark.parametrize(
    "data",
    [
        NAB.replace(",", ";").encode("utf-8-sig"),
        NAB.replace(",", "\t").encode("utf-16"),
        gzip.compress(NAB.encode(), mtime=0),
        NAB.replace("\n", "\r\n").encode() + b"\r\n\r\n",
    ],
)
def test_files_as_spreadsheets_save_them(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "saved.csv"
    path.write_bytes(data)
    np.testing.assert_allclose(read_series(path).target, np.arange(36) / 12)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    "times",
    [
        [f"2024-03-31 {h:02}:00:00" for h in range(6)],  # Berlin has no 02:00 that night
        [f"2024-10-27T{h:02}:00" for h in range(6)],
        ["0001-01-01", "0001-01-02", "0001-01-03"],
        [f"2024-03-31T0{h}:00+01:00" for h in range(6)],
    ],
)
def test_times_are_not_read_in_the_zone_of_the_machine(tmp_path: Path, times: list[str]) -> None:
    rows = "".join(f"{at},{i}\n" for i, at in enumerate(times))
    assert read_series(write(tmp_path / "t.csv", f"time,v\n{rows}")).time == tuple(times)


def test_columns_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "wide.csv", "a,name,b\n1,x,4\n2,y,5\n4,z,7\n")
    series = read_series(path, "b", inputs=["a"], period=2)
    assert series.features == ("b", "a")
    assert series.values.tolist() == [[4, 1], [5, 2], [7, 4]]
    assert series.period == 2
    assert series.time is None
    with pytest.raises(DatasetError, match="one of a, name, b, but got None"):
        read_series(path)


def test_numbers_without_a_header(tmp_path: Path) -> None:
    assert read_series(write(tmp_path / "n.csv", "1\n2\n3\n")).target.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v\n1\n\n", "`rows` must be 2 at least"),
        ("", "`rows` must be 2 at least"),
        ("v\n", "`rows` must be 2 at least"),
        ("v\n1\nNaN\n3\n", "row 3, column v: `value` must be a finite number, but got 'NaN'"),
        ("v\n1\ninf\n3\n", "row 3, column v: `value` must be a finite number"),
        ("v,w\n1,2\n,3\n", "row 3, column v: `value` must be a finite number, but got ''"),
        ("v\n1\nabc\n", "row 3, column v: `value` must be a finite number, but got 'abc'"),
        ("v,w\n1,2\n3\n", "row 3: `row` must be 2 cells"),
        ("v,v\n1,2\n3,4\n", "`header` must be unlike names"),
        ('v\n1\n"2\n', "must be a readable CSV"),
        ("t,v\n0,1\n1,2\n3,3\n4,4\n", "row 4, column t: `time` must be 1 after the row before"),
        ("t,v\n0,1\n1,2\n1,3\n2,4\n", "row 4, column t: `time` must be 1 after the row before"),
        ("t,v\n2,1\n1,2\n0,3\n", "row 3, column t: `time` must be"),
        ("t,v\n0,1\nx,2\n2,3\n", "row 3, column t: `time` must be a number or an ISO date"),
    ],
)
def test_bad_files_are_named_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(DatasetError, match=message):
        read_series(path, "v")


def test_an_unknown_column_or_file(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "a,b\n1,2\n3,4\n")
    for options in ({"column": "c"}, {"column": "a", "inputs": ["c"]}):
        with pytest.raises(DatasetError, match="one of a, b, but got 'c'"):
            read_series(path, **options)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="one of a, b, but got 'when'"):
        read_series(path, "a", time_column="when")
    with pytest.raises(DatasetError, match="existing file"):
        read_series(tmp_path / "none.csv")
