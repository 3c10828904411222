"""From what the network answers to a forecast with honest intervals."""
