"""Runs, checkpoints, decisions, outcomes and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("population", sa.String(length=200), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=200), nullable=True),
        sa.Column("population", sa.String(length=200), nullable=True),
        sa.Column("population_size", sa.Integer(), nullable=True),
        sa.Column("total_epochs", sa.Float(precision=53), nullable=True),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("override", sa.String(length=8), nullable=True),
        sa.Column("override_by", sa.String(length=200), nullable=True),
        sa.Column("control", sa.Boolean(), nullable=False),
        sa.Column("control_share", sa.Float(precision=53), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("updated_at", sa.Float(precision=53), nullable=False),
        sa.Column("ended_at", sa.Float(precision=53), nullable=True),
        sa.Column("n_checkpoints", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Float(precision=53), nullable=False),
        sa.Column("mqe", sa.Float(precision=53), nullable=False),
        sa.Column("topographic_error", sa.Float(precision=53), nullable=True),
        sa.Column("dead_neuron_ratio", sa.Float(precision=53), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("p_good", sa.Float(precision=53), nullable=True),
        sa.Column("expected_saving", sa.Float(precision=53), nullable=True),
        sa.Column("support", sa.Float(precision=53), nullable=True),
        sa.Column("quality", sa.Text(), nullable=True),
        sa.Column("forecast", sa.Text(), nullable=True),
        sa.Column("decided_override", sa.String(length=8), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("owner", "run_id", name=op.f("uq_runs_owner_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_runs_owner_population_state", "runs", ["owner", "population", "state"], unique=False
    )
    op.create_index("ix_runs_updated_at", "runs", ["updated_at"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Float(precision=53), nullable=False),
        sa.Column("mqe", sa.Float(precision=53), nullable=False),
        sa.Column("topographic_error", sa.Float(precision=53), nullable=True),
        sa.Column("dead_neuron_ratio", sa.Float(precision=53), nullable=True),
        sa.Column("learning_rate", sa.Float(precision=53), nullable=True),
        sa.Column("radius", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(
            ["run"], ["runs.id"], name=op.f("fk_checkpoints_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run", "epoch", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Float(precision=53), nullable=False),
        sa.Column("decided_at", sa.Float(precision=53), nullable=False),
        sa.Column("below_risk", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=False),
        sa.Column("override", sa.String(length=8), nullable=True),
        sa.Column("outcome_id", sa.Integer(), nullable=False),
        sa.Column("reference_sha256", sa.String(length=64), nullable=True),
        sa.Column("live", sa.Integer(), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"], ["runs.id"], name=op.f("fk_decisions_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decisions_run_epoch", "decisions", ["run", "epoch"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("population", sa.String(length=200), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("final_mqe", sa.Float(precision=53), nullable=False),
        sa.Column("final_topographic_error", sa.Float(precision=53), nullable=True),
        sa.Column("final_dead_neuron_ratio", sa.Float(precision=53), nullable=True),
        sa.Column("censored", sa.Boolean(), nullable=False),
        sa.Column("spread", sa.Float(precision=53), nullable=False),
        sa.Column("mqe_of_mean", sa.Float(precision=53), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"], ["runs.id"], name=op.f("fk_outcomes_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outcomes_owner_population", "outcomes", ["owner", "population", "id"], unique=False
    )
    op.create_index(op.f("ix_outcomes_run"), "outcomes", ["run"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("outcomes", "decisions", "checkpoints", "runs", "events"):
        op.drop_table(table)
