"""Where histories come from: simulated, trained for real, or read from other tools."""
