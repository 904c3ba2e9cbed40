"""The physical network as the operator asked for it: user-data or network-config → networkd.

The way of a value: `wanted.py` (which file counts) → `describe.py` (a netplan document) →
`netplan.py` (networkd's files, by netplan's generator) → `bundle.py` (all that is written) →
`place.py` (onto the host) → `verify.py` (does it hold there?) → `lastgood.py`.
"""
