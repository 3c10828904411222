"""Checks that break something while the service works."""
