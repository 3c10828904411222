"""The workbench: sequences whose answers are known, and anybody's own series.

Here an architecture proves that it can remember, follow and roll out before it may become an
oracle; docs/sequences.md walks through it.
"""
