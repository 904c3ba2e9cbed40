"""The overlay layer: the runtime and everything else that edge-build adds to a base."""
