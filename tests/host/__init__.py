"""Hosts that already run: real netplan, ifupdown and NetworkManager in containers."""
