"""`edge-build embed`: another user-data for an ISO that is already there."""
