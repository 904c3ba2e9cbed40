"""The stages of Kairos's format, carried out on the Debian base: same input, same effect.

The authority is mudler/yip v1.24 (`pkg/executor`, `pkg/plugins`) and kairos-agent's `run-stage`.
Where Kairos is dangerous this is safe, and says so: `tests/yip/` holds the cases.
"""
