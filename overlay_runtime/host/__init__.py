"""A host that already runs: hand its network over to systemd-networkd and -resolved, and back.

`plan.py` reads who manages what (`netplan.py`, `ifupdown.py`, `networkmanager.py`) and decides;
`transaction.py` keeps what every changed file was before, on the disk, before it is changed;
`worker.py`, the process of edge-overlay-host.service, does it, watches and rolls back.
"""
