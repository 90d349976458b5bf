"""Firmware of a thermostat on the Csipio platform: see README.md for a tour."""

VERSION = "0.1.0"
# The layouts of what is kept on flash that this version reads, and the one that it writes.
READS = (1,)
WRITES = 1
# Whose updates it takes, whatever config.json says: what `csipio keys show` prints.
UPDATE_KEY = ""
