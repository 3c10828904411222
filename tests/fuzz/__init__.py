"""Checks that send what nobody should send."""
