"""The laboratory: segments, guests, and what to wait for."""
