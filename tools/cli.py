"""The command line `csipio`: what can be said, with its help. What is done is in the other rooms,
imported only by the command that needs it, so that each starts quickly."""

import sys

import typer

app = typer.Typer(
    name="csipio",
    help="Develop, test and install the Csipio thermostat firmware.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _csipio() -> None:
    """Develop, test and install the Csipio thermostat firmware."""


def main() -> None:
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
