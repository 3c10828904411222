"""Checks of size and of many machines."""
