"""From recorded runs to a published oracle; the only place that imports Keras."""
