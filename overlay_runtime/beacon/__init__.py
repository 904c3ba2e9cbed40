"""Beacons: how hosts of one cluster find each other, without a coordinator."""
