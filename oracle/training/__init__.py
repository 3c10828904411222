"""From recorded runs to a published oracle; Keras is imported here and in `oracle.sequences`."""
