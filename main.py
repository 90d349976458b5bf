"""Starts the firmware. Ctrl-C on the serial line stops it, relay off, and gives the REPL."""

try:
    from firmware import app
except (Exception, KeyboardInterrupt) as error:
    from firmware import rescue

    rescue.died(error)
else:
    app.run()
