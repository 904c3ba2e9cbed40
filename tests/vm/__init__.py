"""The ISO in QEMU."""
