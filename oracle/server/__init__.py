"""The HTTP service: the only place that imports FastAPI and SQLAlchemy."""
