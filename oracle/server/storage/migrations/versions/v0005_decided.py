"""What was decided of a run how often, and who overruled it when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the counts; of runs that are stored already nothing is counted afterwards."""
    op.add_column("runs", sa.Column("decided", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("stops", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("first_stop", sa.Float(53), nullable=True))
    op.add_column("runs", sa.Column("override_at", sa.Float(53), nullable=True))


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("runs") as changed:
        for name in ("override_at", "first_stop", "stops", "decided"):
            changed.drop_column(name)
