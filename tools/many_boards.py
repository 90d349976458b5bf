"""A deployment to every board on a bench, side by side, a line each."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from tools.build import build
from tools.serial_ports import PortError


def deploy(ports: list[str], options: list[str], console: Console | None = None) -> list[str]:
    """Run `csipio deploy` with these options on each port; the ports where it failed.

    Raises PortError if there are none.
    """
    console = Console() if console is None else console
    if not ports:
        raise PortError("no board was found: plug one in")
    build()  # once, before all of them ask for it

    def one(port: str) -> bool:
        command = [sys.executable, "-m", "tools", "deploy", port, *options]
        done = subprocess.run(command, capture_output=True, text=True)
        said = (done.stderr or done.stdout).strip().removeprefix(f"csipio: {port}: ")
        line = " ".join(said.split())
        if done.returncode:
            console.print(f"{port}: failed: {line}", style="red", soft_wrap=True)
        else:
            console.print(f"{port}: {line}", soft_wrap=True)
        return done.returncode == 0

    with ThreadPoolExecutor(len(ports)) as pool:
        fine = list(pool.map(one, ports))
    failed = [port for port, well in zip(ports, fine, strict=True) if not well]
    console.print(f"{len(ports) - len(failed)} of {len(ports)} boards are up to date.")
    return failed
