"""What people say of a search: its title, a note, and that it is put away."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is said; nothing is put away."""
    op.add_column("populations", sa.Column("title", sa.String(200), nullable=True))
    op.add_column("populations", sa.Column("note", sa.Text(), nullable=True))
    archived: sa.Column[bool] = sa.Column(
        "archived", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("populations", archived)


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("populations") as changed:
        for name in ("archived", "note", "title"):
            changed.drop_column(name)
