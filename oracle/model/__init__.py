"""A trained network as a folder of files: written, checked, run."""
