"""Firmware of a thermostat on the Csipio platform: see README.md for a tour."""

VERSION = "0.1.0"
