"""Tables of the store. What changes here needs a migration beside it (a test compares them).

Times are seconds since 1970 in UTC. Outcomes and events are only appended; since write
transactions come one after the other (store.py), their ids are in the order of commits, so "what
was known then" is "every row up to this id".
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

#: The last migration, which makes these tables.
VERSION = "0006"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: 64 bits everywhere: 300 appends a second use up 32 in three months. SQLite numbers rows by
#: itself, to 64 bits, in a column that is called INTEGER and no other.
Id = BigInteger().with_variant(Integer, "sqlite")

#: The largest of them.
MAX_ID = 2**63 - 1

#: A run: what is fixed at its first checkpoint, and its last state for listings.
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("owner", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("name", String(200)),  # as its client gave it, where run_id cannot hold it
    Column("dataset", String(200)),
    Column("population", String(200)),
    Column("population_size", Integer),
    Column("total_epochs", Float(53)),
    Column("context", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("override", String(8)),
    Column("override_by", String(200)),
    Column("override_at", Float(53)),
    Column("control", Boolean, nullable=False),
    Column("control_share", Float(53)),
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Column("told", Text),  # how the client said that it ended the run early, or left it
    Column("rewinds", Text),  # JSON: from which epochs it went on from an earlier map, and when
    # what its people say of it, JSON but the notes
    Column("config", Text),
    Column("tags", Text),
    Column("notes", Text),
    # the last checkpoint
    Column("n_checkpoints", Integer, nullable=False),
    Column("epoch", Float(53), nullable=False),
    Column("mqe", Float(53), nullable=False),
    Column("topographic_error", Float(53)),
    Column("dead_neuron_ratio", Float(53)),
    # the last decision
    Column("action", String(16)),
    Column("reason", String(32)),
    Column("message", Text),
    Column("p_good", Float(53)),
    Column("expected_saving", Float(53)),
    Column("support", Float(53)),
    Column("quality", Text),
    Column("forecast", Text),
    Column("decided_override", String(8)),
    # all decisions: how many of each reason (JSON), how many were stops, the epoch of the first
    Column("decided", Text),
    Column("stops", Integer, nullable=False, server_default="0"),
    Column("first_stop", Float(53)),
    UniqueConstraint("owner", "run_id"),
    # Every filter of the list, in its order: a page is read from the index, not sorted.
    Index("ix_runs_owner_id", "owner", "id"),
    Index("ix_runs_owner_state", "owner", "state", "id"),
    Index("ix_runs_owner_dataset", "owner", "dataset", "id"),
    Index("ix_runs_owner_dataset_state", "owner", "dataset", "state", "id"),
    Index("ix_runs_owner_population", "owner", "population", "id"),
    Index("ix_runs_owner_population_state", "owner", "population", "state", "id"),
    Index("ix_runs_updated_at", "updated_at"),
    sqlite_autoincrement=True,
)

#: Populations in numbers, kept as their runs change: telling them must not read every run.
populations = Table(
    "populations",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("owner", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("updated_at", Float(53), nullable=False),
    Column("forgotten", Integer, nullable=False),  # runs deleted: what is remembered is outdated
    Column("running", Integer, nullable=False),
    Column("stopped", Integer, nullable=False),
    Column("finished", Integer, nullable=False),
    # stops, control runs held from them, and those of these that still train
    Column("stops", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    # ended control runs, and those that were wrong when a run ended last
    Column("controls", Integer, nullable=False),
    Column("wrong", Integer, nullable=False),
    # over ended runs whose budget is known
    Column("known_runs", Integer, nullable=False),
    Column("planned_epochs", Float(53), nullable=False),
    Column("used_epochs", Float(53), nullable=False),
    # what its people say of it
    Column("title", String(200)),
    Column("note", Text),
    Column("archived", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("owner", "name"),
    Index("ix_populations_owner_updated_at", "owner", "updated_at"),
    sqlite_autoincrement=True,
)

#: One measurement of a run; with runs' constraint: unique by owner, run_id and epoch. `attempt`
#: counts how often the run had been rewound before.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Float(53), primary_key=True),
    Column("mqe", Float(53), nullable=False),
    Column("topographic_error", Float(53)),
    Column("dead_neuron_ratio", Float(53)),
    Column("learning_rate", Float(53)),
    Column("radius", Float(53)),
    Column("attempt", Integer, nullable=False, server_default="0"),
)

#: Checkpoints that count no more, but decisions rested on them: a rewind left them behind, or they
#: stood too close to the one before (`until` is their `attempt` then).
left_behind = Table(
    "left_behind",
    metadata,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),  # in which it was told: each tells an epoch once
    Column("epoch", Float(53), primary_key=True),
    Column("until", Integer, nullable=False),  # the attempt that began without it
    Column("mqe", Float(53), nullable=False),
    Column("topographic_error", Float(53)),
    Column("dead_neuron_ratio", Float(53)),
    Column("learning_rate", Float(53)),
    Column("radius", Float(53)),
)

#: What was answered and what it rested on: history up to `epoch`, outcomes up to `outcome_id`.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", Float(53), nullable=False),
    Column("decided_at", Float(53), nullable=False),
    Column("below_risk", Integer, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("override", String(8)),
    Column("outcome_id", Id, nullable=False),
    Column("reference_sha256", String(64)),
    Column("live", Integer, nullable=False),
    Column("model_sha256", String(64)),
    Column("decision", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("until", Integer),  # the attempt that began without its last checkpoint
    Index("ix_decisions_run_epoch", "run", "epoch"),
    sqlite_autoincrement=True,
)

#: How a run ended, or is expected to end where it was stopped; the last row of a run counts. One
#: that goes on after all has a row that withdraws what was said.
outcomes = Table(
    "outcomes",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("owner", String(64), nullable=False),
    Column("population", String(200)),
    Column("run_id", String(64), nullable=False),
    Column("final_mqe", Float(53), nullable=False),
    Column("final_topographic_error", Float(53)),
    Column("final_dead_neuron_ratio", Float(53)),
    Column("censored", Boolean, nullable=False),
    Column("spread", Float(53), nullable=False),
    Column("mqe_of_mean", Float(53)),
    Column("created_at", Float(53), nullable=False),
    Column("control", Boolean, nullable=False, server_default=false()),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Column("model", String(64)),  # SHA-256 of the one that it teaches
    Column("teaches", LargeBinary),  # oracle.forecast.residuals
    Index("ix_outcomes_owner_population", "owner", "population", "id"),
    sqlite_autoincrement=True,
)

#: What happened, for clients that listen; the oldest are dropped.
events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("owner", String(64), nullable=False),
    Column("population", String(200)),
    Column("run_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_events_owner_run_id", "owner", "run_id"),
    sqlite_autoincrement=True,
)
