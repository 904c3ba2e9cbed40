"""User-data before anything is built: its problems, its schema, a new one to start from."""
