"""Runs before main.py. TLS needs RAM outside of MicroPython's heap on an ESP32: the heap is kept
small by collecting its garbage early and often, from the first import on."""

import gc

gc.threshold(16384)
