"""Ids of 64 bits on PostgreSQL too, how a client ended a run early, events found by their run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_IDS = {
    "runs": ("id",),
    "checkpoints": ("run",),
    "decisions": ("id", "run", "outcome_id"),
    "outcomes": ("id", "run"),
    "events": ("id",),
}


def upgrade() -> None:
    """Widen, add, index."""
    if op.get_bind().dialect.name == "postgresql":  # SQLite's integers have 64 bits already
        for table, columns in _IDS.items():
            # One statement a table: each copies all of it.
            changes = ", ".join(f"ALTER COLUMN {column} TYPE bigint" for column in columns)
            op.execute(f"ALTER TABLE {table} {changes}")
            if "id" in columns:
                op.execute(f"ALTER SEQUENCE {table}_id_seq AS bigint")
    op.add_column("runs", sa.Column("told", sa.Text(), nullable=True))
    op.create_index("ix_events_owner_run_id", "events", ["owner", "run_id"], unique=False)


def downgrade() -> None:
    """Take away what was added; the ids stay wide, since they may be in use."""
    op.drop_index("ix_events_owner_run_id", table_name="events")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("told")
