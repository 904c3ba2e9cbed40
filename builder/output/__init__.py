"""Images made from the two layers."""
