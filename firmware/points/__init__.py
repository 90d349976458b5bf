"""Points: readings from the moment they are taken until the platform has them.

This room knows no network and no pins. `queue` is its one face.
"""
