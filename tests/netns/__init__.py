"""The runtime on a real kernel: network namespaces on a bridge."""
