"""Stored runs: how they grow, end, are decided on, listed and told of."""
