"""Hours of troubles for hundreds of real agents: `make soak`."""
