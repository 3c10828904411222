"""Any library's map, trained by its own code under watch, in one line.

    run = train_map(som, data, 100, population="runs.db")

What follows the data are the arguments of the library's own training method, by its own names,
and settings of `oracle.watch`. The map's grid, kernel, plan and initialisation are read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import signature
from typing import Any

from oracle.errors import InvalidHistory, must_be
from oracle.history.context import context_of
from oracle.history.libraries import adapter_of
from oracle.hook import WatchedRun
from oracle.hook import watch as plain_watch
from oracle.integrations.measuring import Measuring
from oracle.integrations.own_training import OwnTraining, Plan, Seam, Stopped

#: What goes to `oracle.watch`; all else goes to the library.
SETTINGS = frozenset(signature(plain_watch).parameters) - {"total_epochs", "context"}
_OTHERWISE = (
    "It trains maps of MiniSom, NexusSOM, XPySom, Somoclu, torchsom, IntraSOM, python-som, "
    "SimpSOM, susi, sklearn-som, GEMA, awesom, zsom and fastersom. Any other: call `report` of "
    "`oracle.watch` in a loop of your own (docs/hook.md)."
)


def train_map(
    som: Any,
    data: Any = None,
    *args: Any,
    checkpoints: int | Sequence[int] = 20,
    initialization: str | None = None,
    watch: Callable[..., WatchedRun] = plain_watch,
    **options: Any,
) -> WatchedRun:
    """Train a map by its own library's code under watch, and stop it where that is decided.

    Where nothing stops it the weights are those that the library would have made by itself;
    docs/libraries.md says of each how that was found.

    Args:
        som: a map of one of the libraries, changed in place.
        data: samples [sample, feature] as the library takes them; None where the map has them.
        args: of the library's own training method, after the data.
        checkpoints: how many measurements, equally spaced, or the steps after which to measure,
            in the library's own counter; the last step is always one. NexusSOM has its own.
        initialization: how the weights began, where the map does not tell.
        watch: `oracle.watch`, or one with settings bound already.
        options: settings of `oracle.watch`, e.g. population, policy, run_id, url; all others are
            the library's own.

    Returns:
        The run, ended: `.fitness()`, `.summary()`, `.state`.

    Raises:
        InvalidHistory: the map is of none of these libraries.
        TypeError, ValueError: the library's own, for arguments it refuses.
    """
    module = adapter_of(som)
    if module is None:
        rule = "a map of a library that is known"
        raise InvalidHistory(must_be("som", rule, type(som).__name__, _OTHERWISE))
    if initialization is not None:
        options["initialization"] = initialization
    if hasattr(module, "train"):  # it has a loop of its own here
        if module.__name__.endswith("minisom"):
            options["checkpoints"] = checkpoints
        run: WatchedRun = module.train(som, data, *args, watch=watch, **options)
        return run
    options.pop("initialization", None)
    settings = {name: options.pop(name) for name in list(options) if name in SETTINGS}
    training: OwnTraining = module.Training(som, data, *args, **options)
    return _watched(training, checkpoints, initialization, watch, settings)


def _watched(
    training: OwnTraining,
    checkpoints: int | Sequence[int],
    initialization: str | None,
    watch: Callable[..., WatchedRun],
    settings: dict[str, Any],
) -> WatchedRun:
    try:
        plan, samples = training.plan(), training.samples()
    except Exception as error:  # it trains all the same, and the run says why it was not watched
        with watch(**settings) as run:
            run.problems.note_error("plan", "read what will be trained", error)
            training.trained()
        return run
    # What the library itself was told, so that it is read and not typed.
    given = {
        name: value
        for name, value in training.call.arguments.items()
        if not training.takes_data or name != next(iter(training.call.signature.parameters))
    }
    context = context_of(training.som, samples, initialization=initialization, training=given)
    at = _steps(checkpoints, plan.total)
    with watch(total_epochs=plan.total, context=context, **settings) as run:
        if run.judges_plans and run.plan().stop:
            return run
        measured = Measuring(run, training.weights, samples, training.grid)
        seam = Seam(at, lambda done: _look(measured, plan, run, done))
        with suppress(Stopped):
            training.run(seam)
    return run


def _look(measured: Measuring, plan: Plan, run: WatchedRun, done: int) -> bool:
    """Measure and report; whatever fails is the run's problem, not the training's."""
    values = measured()
    if values is None:
        return False
    rate: float | None = None
    radius: float | None = None
    try:
        rate, radius = plan.at(done - 1)
    except Exception as error:
        run.problems.note_error("plan", "read the plan", error)
    return run.report(done, **values, learning_rate=rate, radius=radius).stop


def _steps(checkpoints: int | Sequence[int], total: int) -> tuple[int, ...]:
    if isinstance(checkpoints, int):
        n = max(1, checkpoints)
        checkpoints = [round(total * (i + 1) / n) for i in range(n)]
    return tuple(sorted({step for step in (*checkpoints, total) if 1 <= step <= total}))
