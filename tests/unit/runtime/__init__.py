"""The runtime without a kernel."""
