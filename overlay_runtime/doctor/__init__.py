"""`edge-overlay doctor`: looks for known faults, names each, and says how to mend it.

Every check is a function from a `Host` (what there is to look at) to one Result. `suite.py` has the
list of them.
"""
