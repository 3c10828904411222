"""The space of training and calibration: it holds what users run, and all of it trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from collector import broad_space
from collector.broad_space import (
    BATCH_EPOCHS,
    MAX_NEURONS,
    PASSES,
    REACHES,
    sample_broad,
    sample_searches,
)
from collector.fast_run import fast_run
from collector.fast_som import NEIGHBORHOODS
from collector.space import Configuration

DRAWN = 3000
ROWS = 300


@pytest.fixture(scope="module")
def broad() -> list[Configuration]:
    rng = np.random.default_rng(0)
    return [sample_broad(rng, ROWS) for _ in range(DRAWN)]


@pytest.fixture(scope="module")
def searches() -> list[Configuration]:
    rng = np.random.default_rng(1)
    return [sample_searches(rng, ROWS) for _ in range(DRAWN)]


def share(drawn: Sequence[Configuration], what: object) -> float:
    return float(np.mean([bool(what(c)) for c in drawn]))  # type: ignore[operator]


def test_every_kind_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Counter[str]] = []
    pick = broad_space.pick

    def seen(rng: np.random.Generator, weights: dict[str, float]) -> str:
        answer = pick(rng, weights)
        if "wide" in weights or "nexussom" in weights:
            chosen[-1][answer] += 1
        return answer

    monkeypatch.setattr(broad_space, "pick", seen)
    for sample, shares in (
        (sample_broad, {"wide": 38, "long": 26, "batch": 14, "phases": 12, "extreme": 10}),
        (sample_searches, {"nexussom": 45, "batch": 40, "minisom": 15}),
    ):
        chosen.append(Counter())
        rng = np.random.default_rng(2)
        for _ in range(1500):
            sample(rng, ROWS)
        assert set(chosen[-1]) == set(shares)
        for kind, percent in shares.items():
            assert chosen[-1][kind] / 1500 == pytest.approx(percent / 100, abs=0.05), kind


def test_runs_are_as_long_as_users_make_them(broad: list[Configuration]) -> None:
    passes = np.array([c.passes for c in broad])
    assert passes.max() > 0.8 * PASSES[1]
    assert passes.max() <= PASSES[1]
    assert 0.1 < (passes > 100).mean() < 0.3
    assert (passes < 20).mean() > 0.3  # and as short
    batch = np.array([c.passes for c in broad if c.mode == "batch"])
    assert batch.min() <= 1.5 * BATCH_EPOCHS[0]
    assert batch.max() > 0.8 * BATCH_EPOCHS[1]


def test_phases_go_on_in_order_and_some_jump_up(broad: list[Configuration]) -> None:
    phased = [c for c in broad if c.phases]
    assert 0.1 < len(phased) / DRAWN < 0.25
    assert {len(c.phases) for c in phased} == {1, 2}
    wider = higher = 0
    for c in phased:
        begins = [p.begins for p in c.phases]
        assert begins == sorted(begins)
        assert 0 < begins[0] < begins[-1] < 1 or len(begins) == 1
        before = (c.rate, c.radius)
        for phase in c.phases:
            assert phase.radius.end <= phase.radius.start
            wider += phase.radius.start > 1.5 * before[1].end
            higher += phase.rate.start > 1.5 * before[0].end
            before = (phase.rate, phase.radius)
    assert wider > 0.25 * len(phased)
    assert higher > 0.1 * len(phased)


def test_rates_may_grow_or_end_at_0(broad: list[Configuration]) -> None:
    assert 0.01 < share(broad, lambda c: c.rate.end > c.rate.start) < 0.06
    assert 0.03 < share(broad, lambda c: c.rate.end == 0.0) < 0.2
    assert all(0 <= c.rate.end <= 1.0 for c in broad if c.rate.end > c.rate.start)


def test_kernels_reach_as_libraries_mean_them(broad: list[Configuration]) -> None:
    reach = np.array([c.reach for c in broad])
    assert reach.min() >= 0.3
    assert reach.max() <= 2.0
    assert set(map(float, REACHES.keys() - {"between"})) <= set(reach.tolist())
    assert 0.1 < (reach != 1).mean() < 0.4
    # MiniSom's box, triangle and hat mean what they say.
    exact = ("bubble", "triangle", "mexican_hat")
    assert all(c.reach == 1.0 for c in broad if c.neighborhood in exact)
    assert {c.neighborhood for c in broad} <= set(NEIGHBORHOODS)


def test_maps_of_every_size_and_grid(broad: list[Configuration]) -> None:
    neurons = np.array([c.rows * c.cols for c in broad])
    assert neurons.min() <= 4
    assert neurons.min() >= 2
    assert 0.7 * MAX_NEURONS < neurons.max() <= MAX_NEURONS
    assert 0.005 < share(broad, lambda c: 1 in (c.rows, c.cols)) < 0.05
    grids = Counter(c.grid for c in broad)
    assert set(grids) == {"rectangular", "hexagonal", "hexagonal-cube", "torus", "hexagonal-torus"}
    assert 0.02 < (grids["torus"] + grids["hexagonal-torus"]) / DRAWN < 0.15
    wide = share(broad, lambda c: c.radius.start > 0.65 * max(c.rows, c.cols))
    assert 0.02 < wide < 0.3


def test_what_is_told_of_a_torus_and_of_rows_differs(broad: list[Configuration]) -> None:
    tori = [c for c in broad if c.grid.endswith("torus")]
    assert 0.35 < share(tori, lambda c: c.flat_measure) < 0.65
    assert not any(c.flat_measure for c in broad if not c.grid.endswith("torus"))
    hexagonal = [c for c in broad if c.grid.startswith("hexagonal")]
    assert 0.4 < share(hexagonal, lambda c: c.turned) < 0.6
    assert not any(c.turned for c in broad if not c.grid.startswith("hexagonal"))
    assert 0.03 < share(broad, lambda c: c.clock) < 0.07


def test_a_hexagonal_torus_has_pairs_of_columns(
    broad: list[Configuration], searches: list[Configuration]
) -> None:
    rng = np.random.default_rng(0)
    tori = [c for c in (*broad, *searches) if c.grid == "hexagonal-torus"]
    assert len(tori) > 20
    for c in tori:
        assert c.cols % 2 == 0
        smaller = c
        for _ in range(20):
            smaller = smaller.cheaper(rng)
            assert smaller.cols % 2 == 0


def test_searches_train_as_searches_do(searches: list[Configuration]) -> None:
    blocks = [c for c in searches if c.mode == "blocks"]
    steps = np.array([c.passes * ROWS / c.batch for c in blocks])
    assert len(blocks) > 0.4 * DRAWN
    assert np.median(steps) > 150
    batches = [c for c in searches if c.mode == "batch"]
    assert 0.2 < share(batches, lambda c: not c.has_rate) < 0.8
    assert share(batches, lambda c: c.reach == 0.5) > 0.3


@pytest.mark.parametrize("sample", [sample_broad, sample_searches])
def test_every_drawn_configuration_trains(sample: object) -> None:
    """What diverges is drawn anew; that is rare, and nothing else goes wrong."""
    rng = np.random.default_rng(3)
    data = np.ascontiguousarray(rng.normal(size=(40, 3)) * [1, 2, 0.5])
    trained, gone = [], 0
    for i in range(120):
        c = sample(rng, len(data))  # type: ignore[operator]
        while c.cost(*data.shape, 20) > 3e6:
            smaller = c.cheaper(rng)
            if smaller == c:
                break
            c = smaller
        run = fast_run(c, data, rng, run_id=f"r{i}", dataset="made")
        if run is None:
            gone += 1
            continue
        trained.append(c)
        history, context = run.history, run.history.context
        assert history.epochs[-1] == history.total_epochs
        assert history.progress == 1.0
        assert {context.map_rows, context.map_cols} == {c.rows, c.cols}
        flat = c.flat_measure
        assert context.toroidal is (None if flat else c.grid.endswith("torus"))
        assert context.schedule is not None
        assert context.schedule.radius is not None
        if c.phases and c.phases[0].radius.start > 2 * c.radius.start:
            assert max(context.schedule.radius) > 1.5 * c.radius.start  # the jump is told
        assert context.geometry is not None
    assert gone <= 0.2 * 120
    assert {c.mode for c in trained} >= {"blocks", "batch", "online"}
