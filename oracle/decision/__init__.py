"""From a forecast to continue, stop or abstain; pure functions, and their log."""
