"""What a run that ended teaches the forecasts of others."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is taught, and to which model; runs that ended before teach nothing."""
    op.add_column("outcomes", sa.Column("model", sa.String(64), nullable=True))
    op.add_column("outcomes", sa.Column("teaches", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("outcomes") as changed:
        changed.drop_column("teaches")
        changed.drop_column("model")
