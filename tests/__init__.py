"""The tests, a tier a directory."""
