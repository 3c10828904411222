"""kill -9 at any moment: what was acknowledged is there, what is half is nowhere."""
