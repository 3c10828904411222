"""What the ended runs of a search say of the oracle and of its settings; pure functions."""
