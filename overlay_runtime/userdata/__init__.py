"""User-data as a whole: its schema in one place, and what can be said about values.

`edge-build` checks user-data with it when an image is built, and every host again at boot.
"""
