"""A configuration that came from afar, on trial: kept once the platform was reached with it.

    config.json        the new one
    config.json.new    the same while it is checked
    config.old.json    the one before, until the new one is kept
    config.good.json   what is in force where config.json is wrong: never one on trial
    trial.json         that there is a trial, what has to work, and how often it was started;
                       then why it failed

The power may go at any moment. A configuration that crashes the device before anything can be
decided is given up after three starts.
"""

import asyncio
import json
import os

from micropython import const

from firmware.base import files, uptime
from firmware.base.log import Log
from firmware.base.rare import rare

CONFIG = "config.json"
GOOD = "config.good.json"
OLD = "config.old.json"
NEW = "config.json.new"
IDENTITY = "identity.json"  # that was provisioned: firmware/link/provisioning.py
WAYS = ("mqtt", "https")  # to the platform
_MARK = "trial.json"
_BOOTS = const(3)
_LOOK_MS = const(1000)


class Trial:
    """The trial that this start of the device finds, or the next one, which `begin` begins. To be
    made once, before the configuration is read: such a start counts, and may end the trial.

    crc: the sum of config.json, if that is in force in this run; else None.
    mark: what trial.json says. `crc`, `boots`, `names` and `needs` of a configuration on trial, or
    `failed` until that is told; None where there is neither.
    """

    @rare
    def __init__(self):
        self.crc: int | None = None
        self.mark = _read()
        if not self.pending():
            return
        if self.mark["crc"] != files.crc32(CONFIG):
            # The power went before the new one was written, or after the old one was back; or
            # something else has changed it.
            self._write({"failed": "the power went, or the file was changed, before it was kept"})
        elif self.mark["boots"] >= _BOOTS:
            self.roll_back("the device did not keep running with it")
        else:
            self.mark["boots"] += 1
            self._write(self.mark)

    def pending(self) -> bool:
        """Whether a configuration is on trial."""
        return self.mark is not None and "crc" in self.mark

    @rare
    def in_force(self, crc: "int | None") -> None:
        """config.json, which has this sum, is in force; None: what is in its place."""
        self.crc = crc

    @rare
    def proven(self) -> None:
        """The regulation has run with what is in force: config.json becomes the last good one, so
        that a mistake in the next one costs neither the heat nor the way to mend it. One that is
        on trial does not yet.
        """
        try:
            unchanged = self.crc == files.crc32(CONFIG) and not self.pending()
            if unchanged and not files.same(CONFIG, GOOD):
                files.copy(CONFIG, GOOD)
        except (OSError, MemoryError) as error:
            text = "%s: cannot be written, for the day it is needed: %s"
            Log("trial").error(text, GOOD, error)

    @rare
    def begin(self, crc: int, part: dict, needs: list) -> None:
        """Put the configuration of that sum, changed by that part, on trial from the next start.

        needs: the ways to the platform that have to work. Raises OSError.
        """
        names = {key: list(part[key]) if type(part[key]) is dict else [] for key in part}
        mark = {"crc": crc, "boots": 0, "names": names, "needs": needs}
        files.replace_json(_MARK, mark)
        self.mark = mark

    async def run(self, reached, until_ms: int, decided):
        """Call `decided(whether it is kept)` as soon as it is, at the latest at that uptime; runs
        for ever. reached(): the ways over which the platform was reached in this run.
        """
        while self.pending():
            kept = self.decide(reached(), uptime.ms() >= until_ms)
            if kept is not None:
                decided(kept)
            await asyncio.sleep_ms(_LOOK_MS)
        await asyncio.Event().wait()

    @rare
    def decide(self, reached: list, late: bool) -> "bool | None":
        """Keep the configuration if the platform was reached over every way that it needs, or any
        if it needs none; if it is late, roll back. Whether it is kept; None: not decided yet.
        """
        ways = " and ".join([way for way in self.mark["needs"] if way not in reached])
        if not ways and not reached:
            ways = " or ".join(WAYS)
        if not ways:
            self.confirm()
            return True
        if not late:
            return None
        why = "the platform was not reached over %s with it in time" % ways
        Log("trial").error("%s; back to the configuration before", why)
        self.roll_back(why)
        return False

    @rare
    def named(self) -> list:
        """The properties of which the part on trial says something."""
        if not self.pending():
            return []
        names = list(self.mark["names"].get("thermostat", ()))
        if "setpoint" in names or "setpoint_cool" in names:
            names.append("preset")
        if "max_age_s" in self.mark["names"].get("feed", ()):
            names.append("report_every")
        return names

    @rare
    def confirm(self) -> None:
        crc = self.mark["crc"]
        os.remove(_MARK)
        self.mark = None
        try:
            if files.crc32(CONFIG) == crc:
                files.copy(CONFIG, GOOD)
        except OSError:
            pass  # the next start does it
        files.remove(OLD)

    @rare
    def roll_back(self, why: str) -> None:
        """The configuration before is in force from the next start on; `note` then tells why."""
        try:
            if files.exists(OLD):
                os.rename(OLD, CONFIG)
        except OSError:
            return  # it stays on trial, and the next start tries again
        self._write({"failed": why})

    @rare
    def note(self) -> "str | None":
        """Why the last trial failed, in words, told once; or None."""
        if self.mark is None or self.pending():
            return None
        why = self.mark["failed"]
        self.mark = None
        os.remove(_MARK)
        return why

    def _write(self, mark):
        """Where flash cannot be written, the device starts all the same."""
        self.mark = mark
        try:
            files.replace_json(_MARK, mark)
        except OSError:
            pass


@rare
def _read():
    """What trial.json says; None where there is none. One that makes no sense ends its trial."""
    try:
        with open(_MARK) as file:
            tree = json.load(file)
        kinds = {"boots": int, "names": dict, "needs": list} if "crc" in tree else {"failed": str}
        if all(type(tree[key]) is kinds[key] for key in kinds):
            return tree
    except OSError:
        return None
    except (ValueError, LookupError, TypeError):
        pass
    return {"failed": "it is not known what came of it"}
