"""The network on a host, as far as it needs no host; netplan is the real one."""
