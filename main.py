"""Starts the firmware. Ctrl-C on the serial line stops it, relay off, and gives the REPL."""

from firmware import app

app.run()
