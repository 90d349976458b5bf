"""The command line `csipio`: what can be said, with its help. What is done is in the other rooms,
each imported only by the command that needs it."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tools import ToolError

app = typer.Typer(
    name="csipio",
    help="Develop, test and install the Csipio thermostat firmware.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _port(what: str):
    return typer.Option(help=f"Port of {what}.", min=0, max=65535)


@app.command()
def run(
    port: Annotated[int, _port("the HTTPS API; 0 picks a free one")] = 0,
) -> None:
    """The platform stand-in and a simulated thermostat on it, together. Ctrl-C ends both.

    Once a second it prints what the platform has received; and, first, what to try meanwhile.
    """
    from tools import run

    run.main(port)


@app.command()
def platform(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Keeps its data here; without it, in a temporary folder."),
    ] = None,
    mqtt: Annotated[int, _port("MQTT over TCP; 0 picks a free one")] = 0,
    mqtts: Annotated[int, _port("MQTT over TLS")] = 0,
    ws: Annotated[int, _port("MQTT over WebSocket")] = 0,
    https: Annotated[int, _port("the HTTPS API")] = 0,
) -> None:
    """The platform stand-in alone: a broker and an HTTPS API on this machine.

    When it is ready it prints one line of JSON: its ports, its CA file and credentials.
    """
    from tools import platform

    platform.main(folder, mqtt, mqtts, ws, https)


@app.command()
def device(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The device's file system; holds config.json.")
    ],
    heap: Annotated[
        str | None,
        typer.Option(help="Size of MicroPython's heap, such as 128K; a ROMFS image is apart."),
    ] = None,
    origin: Annotated[
        Literal["romfs", "files", "sources"],
        typer.Option(
            "--from", help="Run bytecode in place, load it into the heap, or run the sources."
        ),
    ] = "romfs",
) -> None:
    """The firmware under MicroPython's unix port. Ctrl-C stops it as at a REPL.

    All that it keeps is under DIR; its log goes to standard output. $MICROPYTHON names another
    interpreter.
    """
    from tools import device

    device.run(folder, heap, origin=origin)


@app.command()
def build() -> None:
    """Compile the firmware to bytecode: .mpy files and a ROMFS image, in a folder of build/.

    The other commands do it themselves.
    """
    from tools import build

    typer.echo(build.build().folder)


@app.command()
def properties(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR|FILE]", help="A config.json, or the folder that has one."),
    ] = None,
) -> None:
    """The properties to create on the platform, as JSON: those of a device's configuration.

    Without one, all that the firmware has; its sensors' are then missing. The platform rejects the
    points of a property that it does not have, and over MQTT the device does not hear of it.
    """
    from tools import declared

    declared.main(config)


@app.command()
def size() -> None:
    """What each room of the firmware costs, in flash and in RAM."""
    from tools import size

    size.main()


@app.command()
def deploy(
    port: Annotated[str, typer.Argument(help="Serial port of the board, such as /dev/ttyUSB0.")],
    config: Annotated[
        Path | None,
        typer.Option(help="A config.json for the board. Without it the board keeps its own."),
    ] = None,
    source: Annotated[
        Literal["mpy", "py"] | None,
        typer.Option(
            help="Send the firmware as files whatever the board is: bytecode, or the sources."
        ),
    ] = None,
    reset: Annotated[bool, typer.Option(help="Restart the board at the end.")] = True,
) -> None:
    """Put the firmware on a board that runs MicroPython, and a configuration if you give one.

    The board is asked what it is:

    - The firmware is **frozen** into its MicroPython image (`make image`): only the configuration
      and its certificates are sent.
    - It has a **ROMFS** partition: the firmware is written there as an image.
    - It has memory enough, as with **PSRAM**: the firmware is sent as .mpy files.
    - None of these: nothing is sent, and the figures are told.

    The configuration is checked before, and the CA certificates that it names are looked for
    beside it. Only what changed is sent. It is checked on the board and then put in place at
    once: a board whose power is cut meanwhile starts the old firmware or the new one. Ctrl-C
    leaves the one or the other, too, and restarts the board. The ROMFS partition alone is written
    in place: a board on which that was broken off waits for the next deployment, its relay off.
    """
    from tools import deploy

    try:
        deploy.deploy(port, config, source, reset)
    except deploy.Interrupted as stopped:
        print(f"csipio: {stopped}", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few repetitions, no searches: only see that it works.")
    ] = False,
) -> None:
    """Measure the firmware against its budgets, and against what is used today.

    The figures also go to build/bench.json. Fails when a size is over its budget; a timing that
    is over is only told, since this machine may have been busy.
    """
    from tools import bench

    bench.main(quick)


def main() -> None:
    """The console script. A mistake that the user can mend is told without a traceback."""
    try:
        app(prog_name="csipio")
    except ToolError as error:
        print(f"csipio: {error}", file=sys.stderr)
        sys.exit(2)
