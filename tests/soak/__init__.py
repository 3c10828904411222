"""Checks under load and over time."""
