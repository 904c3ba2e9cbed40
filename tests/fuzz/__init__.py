"""Hostile input for all that reads from the network. `make fuzz` runs it by the million."""
