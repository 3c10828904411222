"""Populations in numbers, indices for every list, rewinds, and what people say of a run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_METRICS = ("mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")
_LISTS = {
    "ix_runs_owner_id": ["owner", "id"],
    "ix_runs_owner_state": ["owner", "state", "id"],
    "ix_runs_owner_dataset": ["owner", "dataset", "id"],
    "ix_runs_owner_dataset_state": ["owner", "dataset", "state", "id"],
    "ix_runs_owner_population": ["owner", "population", "id"],
    "ix_runs_owner_population_state": ["owner", "population", "state", "id"],
}
_SAID = ("rewinds", "config", "tags", "notes")
_STATES = ("running", "stopped", "finished")
_COUNTED = (
    "forgotten", "running", "stopped", "finished", "stops", "held", "waiting", "controls", "wrong",
    "known_runs",
)  # fmt: skip


def upgrade() -> None:
    """Add tables, columns and indices, and count what there is."""
    said: list[tuple[str, sa.types.TypeEngine[str]]] = [("name", sa.String(200))]
    for name, kind in (*said, *((n, sa.Text()) for n in _SAID)):
        op.add_column("runs", sa.Column(name, kind, nullable=True))
    op.drop_index("ix_runs_owner_population_state", "runs")
    for name, columns in _LISTS.items():
        op.create_index(name, "runs", columns)
    for table in ("checkpoints", "decisions"):
        attempt = sa.Column("attempt", sa.Integer(), nullable=False, server_default="0")
        op.add_column(table, attempt)
    op.add_column("decisions", sa.Column("until", sa.Integer(), nullable=True))
    for name in ("control", "withdrawn"):
        flag: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), nullable=False, server_default=sa.false()
        )
        op.add_column("outcomes", flag)
    op.execute(
        "UPDATE outcomes SET control = (SELECT runs.control FROM runs WHERE runs.id = outcomes.run)"
    )
    op.create_table(
        "left_behind",
        sa.Column("run", _ID, nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=name != "mqe") for name in _METRICS),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"], ["runs.id"], name=op.f("fk_left_behind_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run", "attempt", "epoch", name=op.f("pk_left_behind")),
    )
    op.create_table(
        "populations",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTED),
        sa.Column("planned_epochs", sa.Float(53), nullable=False),
        sa.Column("used_epochs", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_populations")),
        sa.UniqueConstraint("owner", "name", name=op.f("uq_populations_owner_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_populations_owner_updated_at", "populations", ["owner", "updated_at"])
    known = "state <> 'running' AND total_epochs > 0"
    op.execute(
        "INSERT INTO populations (owner, name, updated_at, forgotten, running, stopped, finished,"
        " stops, held, waiting, controls, wrong, known_runs, planned_epochs, used_epochs)"
        " SELECT owner, population, max(updated_at), 0,"
        + "".join(f" sum(CASE WHEN state = '{s}' THEN 1 ELSE 0 END)," for s in _STATES)
        + " sum(CASE WHEN control OR state = 'stopped' THEN 1 ELSE 0 END),"
        " sum(CASE WHEN control THEN 1 ELSE 0 END),"
        " sum(CASE WHEN control AND state = 'running' THEN 1 ELSE 0 END), 0, 0,"
        f" sum(CASE WHEN {known} THEN 1 ELSE 0 END),"
        f" sum(CASE WHEN {known} THEN total_epochs ELSE 0 END),"
        f" sum(CASE WHEN {known} THEN CASE WHEN state = 'stopped' THEN epoch ELSE total_epochs END"
        " ELSE 0 END)"
        " FROM runs WHERE population IS NOT NULL GROUP BY owner, population"
    )


def downgrade() -> None:
    """Take away what was added; the checkpoints that were left behind go with it."""
    op.drop_table("populations")
    op.drop_table("left_behind")
    for name in _LISTS:
        op.drop_index(name, "runs")
    added = {
        "outcomes": ("control", "withdrawn"),
        "decisions": ("attempt", "until"),
        "checkpoints": ("attempt",),
        "runs": ("name", *_SAID),
    }
    for table, columns in added.items():
        with op.batch_alter_table(table) as changed:
            for column in columns:
                changed.drop_column(column)
    op.create_index("ix_runs_owner_population_state", "runs", ["owner", "population", "state"])
