"""What a run has shown so far, as numbers: metrics, context, features, datasets."""
