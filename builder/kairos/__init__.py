"""The Kairos base: any Kairos image, read without a daemon where possible, gets the edge layer."""
