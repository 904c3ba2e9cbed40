"""User-data: where it lies, how it is read, what it may say."""
