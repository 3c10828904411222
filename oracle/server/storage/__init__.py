"""The database side of the service: schema, migrations, readers and the one writer."""
