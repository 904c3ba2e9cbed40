"""What may reach the overlay: an nftables table of our own, and its sets."""
