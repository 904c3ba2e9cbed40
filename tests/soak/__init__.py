"""Troubles for dozens of real agents, as long as one likes: `make soak`."""
