"""The agent for hosts that already run: a Debian package and a self-contained tarball."""
