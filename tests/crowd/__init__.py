"""Crowds of hosts in virtual time. Hundreds of them: `make claims`."""
