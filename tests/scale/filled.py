"""A store as large as is asked for, made by the database itself: no row passes through Python."""

from __future__ import annotations

from sqlalchemy import Connection, text

from oracle.server.runs.populations import MAX_POPULATIONS
from oracle.types import Action, Decision, Policy, Reason

CHECKPOINTS = 20
#: Runs of one population; the first is small.
POPULATION = 10_000
SMALL = 100
#: Events kept by the service.
EVENTS = 100_000
#: The last of every run.
DECISION = Decision(
    action=Action.ABSTAIN,
    reason=Reason.NO_MODEL,
    message="No model was there to forecast.",
    progress=1.0,
    policy=Policy(name="population"),
).model_dump_json()

_NUMBERS = {
    "sqlite": "WITH RECURSIVE one(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM one WHERE i < {n}) ",
    "postgresql": "WITH one(i) AS (SELECT generate_series(1, CAST({n} AS bigint))) ",
}
_RUNS = """
INSERT INTO runs (id, owner, run_id, dataset, population, total_epochs, context, state, control,
  created_at, updated_at, ended_at, n_checkpoints, epoch, mqe, topographic_error, dead_neuron_ratio,
  action, reason, message)
{numbers}
SELECT i, '', 'r' || i, 'd' || (i % 5),
  CASE WHEN i <= {small} THEN 'small' ELSE 'p' || ((i - {small} - 1) / {population}) END,
  1000.0, '{{"mqe_of_mean":2.0}}', CASE WHEN i % 3 = 0 THEN 'stopped' ELSE 'finished' END, {false},
  i, i, i, {checkpoints}, 1000.0, 0.2 + (i * 7919 % 10007) / 10007.0, 0.1, 0.1,
  'abstain', 'no_model', 'No model was there to forecast.'
FROM one
"""
_CHECKPOINTS = """
INSERT INTO checkpoints (run, epoch, mqe, topographic_error, dead_neuron_ratio)
SELECT id, 1000.0 * k / {checkpoints}, mqe + 1.0 / k, 0.1, 0.1
FROM runs, ({numbers_of_k} SELECT i AS k FROM one) AS steps
"""
_OUTCOMES = """
INSERT INTO outcomes (run, owner, population, run_id, final_mqe, final_topographic_error,
  final_dead_neuron_ratio, censored, spread, mqe_of_mean, created_at)
SELECT id, owner, population, run_id, mqe, 0.1, 0.1, {censored}, 0.02, 2.0, created_at FROM runs
ORDER BY id
"""
_DECISIONS = """
INSERT INTO decisions (run, epoch, decided_at, below_risk, previous, outcome_id, live, decision)
SELECT id, 1000.0, created_at, 0, 0, 0, 0, '{decision}' FROM runs ORDER BY id
"""
_POPULATIONS = """
INSERT INTO populations (owner, name, updated_at, forgotten, running, stopped, finished, stops,
  held, waiting, controls, wrong, known_runs, planned_epochs, used_epochs)
SELECT '', population, max(updated_at), 0, 0, sum(CASE WHEN state = 'stopped' THEN 1 ELSE 0 END),
  sum(CASE WHEN state = 'finished' THEN 1 ELSE 0 END),
  sum(CASE WHEN state = 'stopped' THEN 1 ELSE 0 END), 0, 0, 0, 0, count(*), sum(total_epochs),
  sum(epoch) FROM runs GROUP BY population
"""
# With these any store's list of populations is as long as an answer gets.
_FORGOTTEN = """
INSERT INTO populations (owner, name, updated_at, forgotten, running, stopped, finished, stops,
  held, waiting, controls, wrong, known_runs, planned_epochs, used_epochs)
{numbers_of_populations}
SELECT '', 'once' || i, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0 FROM one
"""
_EVENTS = """
INSERT INTO events (owner, population, run_id, body)
SELECT owner, population, run_id, '{{"kind":"finished","run":{{"run_id":"' || run_id || '"}}}}'
FROM runs ORDER BY id DESC LIMIT {events}
"""


def fill(connection: Connection, n: int, population: int = POPULATION) -> None:
    """Make `n` runs that have ended, of an empty store, with all that belongs to them.

    Args:
        connection: of a store of the earlier version.
        n: runs in all; SMALL of them are a population of their own.
        population: runs of each other one.
    """
    kind = connection.dialect.name
    numbers = _NUMBERS[kind]
    sqlite = kind == "sqlite"
    if not sqlite:  # every run is there: looking for each again is what would take long
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    values = {
        "numbers": numbers.format(n=n),
        "numbers_of_k": numbers.format(n=CHECKPOINTS),
        "numbers_of_populations": numbers.format(n=MAX_POPULATIONS),
        "small": SMALL,
        "population": population,
        "checkpoints": CHECKPOINTS,
        "false": "0" if sqlite else "false",
        "censored": "state = 'stopped'",
        "decision": DECISION,
        "events": EVENTS,
    }
    everything = _RUNS, _CHECKPOINTS, _OUTCOMES, _DECISIONS, _POPULATIONS, _FORGOTTEN, _EVENTS
    for statement in everything:
        whole = statement.format(**values)
        # PostgreSQL's driver takes a single % for a parameter.
        connection.exec_driver_sql(whole if sqlite else whole.replace("%", "%%"))
    if not sqlite:
        last = "SELECT setval(pg_get_serial_sequence('runs', 'id'), (SELECT max(id) FROM runs))"
        connection.execute(text(last))
