"""Faults of a network, scripted, and the TCP proxy that does them to a connection."""
