"""Duplicate address detection on the overlay itself: RFC 5227 (IPv4) and RFC 4862 (IPv6)."""
