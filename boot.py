"""Runs before main.py on a board: nothing to do but to leave room for an error's traceback."""

import micropython

micropython.alloc_emergency_exception_buf(100)
