"""`python -m tools` is `csipio`."""

from tools.cli import main

main()
