"""Before a run is trained: which plans are worth it, and how long one should run."""
