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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

#: The last migration, which makes these tables.
VERSION = "0002"

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

#: A run: what is fixed at its first checkpoint, and its last state for listings.
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("owner", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("dataset", String(200)),
    Column("population", String(200)),
    Column("population_size", Integer),
    Column("total_epochs", Float(53)),
    Column("context", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("override", String(8)),
    Column("override_by", String(200)),
    Column("control", Boolean, nullable=False),
    Column("control_share", Float(53)),
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Column("told", Text),  # how the client said that it ended the run early; then it has ended
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
    UniqueConstraint("owner", "run_id"),
    Index("ix_runs_owner_population_state", "owner", "population", "state"),
    Index("ix_runs_updated_at", "updated_at"),
    sqlite_autoincrement=True,
)

#: One measurement of a run; with runs' constraint: unique by owner, run_id and epoch.
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
    Index("ix_decisions_run_epoch", "run", "epoch"),
    sqlite_autoincrement=True,
)

#: How a run ended, or is expected to end where it was stopped; the last row of a run counts.
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
