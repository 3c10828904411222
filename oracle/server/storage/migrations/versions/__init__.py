"""One file a change of the schema, numbered; a released one is never edited."""
