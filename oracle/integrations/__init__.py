"""Adapters, one file a library; nothing imports them and each imports only what it serves."""
