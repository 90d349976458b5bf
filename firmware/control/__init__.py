"""The regulation: readings and commands in, the relay out. Knows no network."""
