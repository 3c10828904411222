"""Alembic's environment and the store's migrations; store.migrate() runs them at start."""
