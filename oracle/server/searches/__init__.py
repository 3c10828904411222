"""What is told of a whole search: its audit, the settings that are good, what needs somebody."""
