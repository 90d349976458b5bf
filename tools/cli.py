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


_RELEASES = typer.Option(metavar="DIR", help="Serves the releases of this folder to devices.")
_LEFT_OUT = "PORT may be left out where there is one board."


def _port_and(metavar: str, what: str):
    """An argument that is `[PORT] WHAT`."""
    return typer.Argument(metavar=f"[PORT] {metavar}", help=f"{what} {_LEFT_OUT}", min=1, max=2)


@app.command()
def run(
    port: Annotated[int, _port("the page; the next free one where it is taken")] = 8080,
    provision: Annotated[
        bool, typer.Option("--provision", help="Give the thermostat a fleet's key alone.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in a browser.")
    ] = False,
    releases: Annotated[Path | None, _RELEASES] = None,
    devices: Annotated[
        int, typer.Option(min=1, max=50, help="Thermostats; more than one get a row each.")
    ] = 1,
) -> None:
    """The platform stand-in and a simulated thermostat on it, together. Ctrl-C ends both.

    Once a second it prints what the platform has received; and, first, what to try meanwhile.
    """
    from tools import run

    run.main(port, provision, releases, not no_browser, devices)


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
    fleet: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Have a fleet, whose devices ask who they are."),
    ] = None,
    releases: Annotated[Path | None, _RELEASES] = None,
) -> None:
    """The platform stand-in alone: a broker and an HTTPS API on this machine.

    When it is ready it prints one line of JSON: its ports, its CA file and credentials.
    """
    from tools import platform

    platform.main(folder, fleet, mqtt=mqtt, mqtts=mqtts, ws=ws, https=https, releases=releases)


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
    port: Annotated[
        str | None,
        typer.Argument(help=f"Serial port of the board, such as /dev/ttyUSB0. {_LEFT_OUT}"),
    ] = None,
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
    every: Annotated[
        bool, typer.Option("--all", help="Every board that is plugged in, side by side.")
    ] = False,
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
    from tools import deploy, many_boards, serial_ports

    if not every:
        deploy.deploy(serial_ports.chosen(port), config, source, reset)
        return
    options = ["--config", str(config)] if config else []
    options += ["--source", source] if source else []
    options += [] if reset else ["--no-reset"]
    if many_boards.deploy(serial_ports.boards(), options):
        raise typer.Exit(1)


@app.command()
def configure(
    port: Annotated[str | None, typer.Argument(help=_LEFT_OUT)] = None,
    file: Annotated[
        Path | None, typer.Option(help="A config.json for the board, with its certificates.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key, such as thermostat.setpoint=20.5. Of a secret only the key: it is "
            "asked for, or taken from the environment.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="The certificates to trust, for certs/ca.pem there."),
    ] = None,
    reset: Annotated[bool, typer.Option(help="Restart the board at the end.")] = True,
) -> None:
    """Configure a board: without an option it asks, proposes what it finds, and tries the answers.

    Questions, checks and words are those of `import setup` at the board's own prompt. Nothing is
    in force before all of it is saved.
    """
    from tools import configure, serial_ports

    if file and changes:
        raise typer.BadParameter("give --file or --set, not both")
    if not configure.configure(serial_ports.chosen(port), file, changes, ca, reset):
        raise typer.Exit(1)


@app.command()
def provision(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="FLEET.csv",
            help="A table with the columns mac and room, and keys of config.json.",
        ),
    ],
    config: Annotated[
        Path, typer.Option(help="The config.json that all boards get, without an identity.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder for what is made.")],
    folder: Annotated[
        Path,
        typer.Option("--dir", help="The folder of a stand-in, as of `csipio platform --dir`."),
    ],
    fleet: Annotated[str, typer.Option(metavar="NAME", help="The fleet's name.")] = "fleet",
) -> None:
    """Prepare a fleet: devices on the stand-in, one configuration for all boards, and labels.

    Each room of the table becomes a device, and its board is known by its MAC. Further columns,
    such as thermostat.setpoint, make a configuration that comes with the identity. The same table
    again changes nothing.
    """
    from tools import provision

    provision.provision(table, config, out, folder, fleet)


@app.command()
def flash(
    words: Annotated[
        list[str],
        _port_and("IMAGE", "MicroPython's image: of `make image`, or from micropython.org."),
    ],
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase all of the flash before; it asks.")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="A config.json: it and its certificates become the board's file system.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stub: Annotated[
        bool, typer.Option(help="esptool's quick loader; without it the chip's own.")
    ] = True,
    wait: Annotated[bool, typer.Option(help="Wait until MicroPython answers.")] = True,
) -> None:
    """Write MicroPython's image to a board, and verify it.

    The board is asked first: an image of another chip, or one that needs more flash than there
    is, is refused. What is on its file system stays, unless --erase or --files is given.
    """
    from tools import flash, serial_ports

    port, image = serial_ports.split(words, "IMAGE")
    flash.flash(port, image, erase=erase, config=files, sure=yes, stub=stub, wait=wait)


@app.command()
def monitor(
    port: Annotated[str | None, typer.Argument(help=_LEFT_OUT)] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append what is shown to this file, too.")
    ] = None,
) -> None:
    """Show the log of a board, coloured by its level, beside the wall clock's time.

    It waits for a board that is unplugged. Ctrl-] ends it; Ctrl-C stops the firmware.
    """
    from tools import monitor, serial_ports

    monitor.monitor(serial_ports.chosen(port), record)


@app.command()
def backup(
    words: Annotated[list[str], _port_and("DIR", "A new folder.")],
    reset: Annotated[bool, typer.Option(help="Start the firmware again at the end.")] = True,
) -> None:
    """Copy what a board keeps: configuration, what commands have set, readings that wait."""
    from tools import backup, serial_ports

    port, folder = serial_ports.split(words, "DIR")
    backup.backup(port, folder, reset)


@app.command()
def restore(
    words: Annotated[list[str], _port_and("DIR", "A folder of `csipio backup`.")],
    reset: Annotated[bool, typer.Option(help="Start the firmware again at the end.")] = True,
) -> None:
    """Put what `csipio backup` copied on another board, in place of what that keeps."""
    from tools import backup, serial_ports

    port, folder = serial_ports.split(words, "DIR")
    backup.restore(port, folder, reset)


keys = typer.Typer(
    help="The keys that releases are signed with: RSA with 3072 bits.", no_args_is_help=True
)
app.add_typer(keys, name="keys")

_KEY = Annotated[Path, typer.Option(metavar="FILE", help="The private key of `csipio keys new`.")]
_API = Annotated[str, typer.Option(help="The platform's HTTPS API.")]
_CLIENT_KEY = Annotated[
    str,
    typer.Option(
        metavar="KEY-ID",
        help="Id of a client key. Its secret is asked for, or is in $CSIPIO_CLIENT_SECRET.",
    ),
]
_CA = Annotated[Path | None, typer.Option(metavar="PEM", help="Certificates to trust.")]
_URL = Annotated[
    str | None,
    typer.Option(help="Where devices find the image; else the API's host, below /releases."),
]
_RELEASE = Annotated[Path, typer.Argument(metavar="RELEASE", help="An image with its manifest.")]
_CSIPIO = "https://api.csip.io/v3"


def _passphrase() -> str:
    return typer.prompt("Passphrase of the key", hide_input=True)


def _client(api: str, key_id: str, ca: Path | None):
    from tools import client

    def ask() -> str:
        return typer.prompt(f"Secret of {key_id}", hide_input=True)

    return client.Client(api, key_id, client.secret(ask), ca)


@keys.command("new")
def keys_new(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Where the private key goes.")
    ] = Path("csipio-release.pem"),
    plain: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt it, and do not ask.")
    ] = False,
) -> None:
    """Make a pair of keys. The public one is printed: it goes into `update.key` of a board.

    The passphrase is asked for, or is in $CSIPIO_PASSPHRASE. A file that is there is never
    replaced.
    """
    import os

    from tools import release

    passphrase = None
    if not plain:
        release.check_new(file)
        passphrase = os.environ.get(release.PASSPHRASE) or typer.prompt(
            "Passphrase, empty for none",
            default="",
            hide_input=True,
            confirmation_prompt=True,
            show_default=False,
            err=True,
        )
    public = release.new_key(file, passphrase)
    kept = "encrypted" if passphrase else "not encrypted"
    typer.echo(f"{file}: the private key, {kept}. Keep it, and a copy, out of reach.", err=True)
    typer.echo(public)


@keys.command("show")
def keys_show(
    file: Annotated[Path, typer.Argument(help="A private key.")],
) -> None:
    """Print the public key, as it goes into `update.key` of a board."""
    from tools import release

    typer.echo(release.public_key(file, _passphrase))


@app.command()
def release(
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="An image (….bin); or `romfs` or `files`, built from these sources.",
        ),
    ],
    key: _KEY,
    version: Annotated[
        str | None, typer.Option(help="The firmware's version, where the image does not say it.")
    ] = None,
    chip: Annotated[
        str | None, typer.Option(help="The chip it is for alone: ESP32S3, …, or unix.")
    ] = None,
    older: Annotated[
        bool, typer.Option("--older", help="It may replace a newer version, too.")
    ] = False,
    reads: Annotated[
        list[int] | None, typer.Option(help="A layout it reads; else those of these sources.")
    ] = None,
    writes: Annotated[
        int | None, typer.Option(help="The layout it writes; else that of these sources.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where what is built goes; else build/releases."),
    ] = None,
) -> None:
    """Sign an image for updates over the air: its manifest, IMAGE.json, comes beside it.

    What is built here has the public key in it. The same sources and key give the same bytes.
    The key's passphrase is asked for, or is in $CSIPIO_PASSPHRASE.
    """
    from tools import release

    release.make(
        image,
        key,
        version=version,
        chip=chip,
        older=older,
        reads=reads,
        writes=writes,
        out=to,
        ask=_passphrase,
    )


@app.command()
def update(
    device: Annotated[str, typer.Argument(help="Id or name of the device.")],
    image: _RELEASE,
    client_key: _CLIENT_KEY,
    api: _API = _CSIPIO,
    ca: _CA = None,
    url: _URL = None,
) -> None:
    """Update a device over the air, and follow it until the new version is confirmed.

    Exits with 1 when the device refuses, gives up or went back. Ctrl-C leaves the update going.
    """
    from tools import update

    if not update.update(device, image, _client(api, client_key, ca), url):
        raise typer.Exit(1)


@app.command()
def rollout(
    image: _RELEASE,
    devices: Annotated[
        Path, typer.Option(metavar="CSV", help="The devices: a column `device` of ids or names.")
    ],
    client_key: _CLIENT_KEY,
    stages: Annotated[str, typer.Option(help="Per cents of the devices.")] = "1,10,100",
    stop_at: Annotated[
        str, typer.Option(help="Stops when more of a stage fail or fall silent.")
    ] = "5%",
    silent: Annotated[
        int, typer.Option(help="Minutes without a word that count as silence.", min=1)
    ] = 30,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How far it is; else RELEASE.rollout.json."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell the stages; nothing is sent.")
    ] = False,
    api: _API = _CSIPIO,
    ca: _CA = None,
    url: _URL = None,
) -> None:
    """Update many devices over the air, in stages. It stops by itself when too many fail.

    The same command goes on where an interrupted one was. Exits with 1 when it stopped by itself.
    """
    from tools import rollout

    rules = rollout.Rules(
        rollout.shares(stages), rollout.share(stop_at, f"--stop-at {stop_at}"), silent * 60
    )
    names = rollout.read_devices(devices)
    client = _client(api, client_key, ca)
    if not rollout.rollout(image, names, client, rules, state=state, url=url, dry_run=dry_run):
        raise typer.Exit(1)


@app.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few repetitions, no searches: only see that it works.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Into docs/measured.md, too.")] = False,
) -> None:
    """Measure the firmware against its budgets, and against what is used today.

    The figures also go to build/bench.json and bench.md. Fails when a size is over its budget; a
    timing that is over is only told, since this machine may have been busy.
    """
    from tools import bench

    bench.main(quick, write=write)


def main() -> None:
    """The console script. A mistake that the user can mend is told without a traceback."""
    from tools.staging import Interrupted

    try:
        app(prog_name="csipio")
    except Interrupted as stopped:
        print(f"csipio: {stopped}", file=sys.stderr)
        sys.exit(130)
    except ToolError as error:
        print(f"csipio: {error}", file=sys.stderr)
        sys.exit(2)
