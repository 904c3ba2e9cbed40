"""Root file systems that images are made from."""
