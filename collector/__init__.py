"""Where histories come from: real SOM trainings, recorded."""
