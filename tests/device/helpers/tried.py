"""A device that configurations from afar are tried on: its files, its starts, and what it says."""

import json
import os

from firmware.config import load
from firmware.config.proposal import propose
from firmware.config.trial import Trial

CONFIG = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "geheim"},
    "wifi": [{"ssid": "home", "password": "wifi-password"}],
    "mqtt": {"url": "mqtts://one.example:8883"},
    "sensors": [{"prop": "temperature", "driver": "room"}],
    "thermostat": {"sensor": "temperature", "relay": {"pin": 26}, "setpoint": 20},
}
TWO = {"mqtt": {"url": "mqtts://two.example:8883"}}


def write(name, tree):
    with open(name, "w") as file:
        file.write(json.dumps(tree))


def read(name="config.json"):
    with open(name) as file:
        return json.load(file)


class Device:
    """The one in this folder, started once.

    config: its configuration, and then nothing else is in the folder; None: as the folder is.
    """

    def __init__(self, config=CONFIG):
        if config is not None:
            for name in os.listdir():
                os.remove(name)
            write("config.json", config)
        self.boot()

    def boot(self):
        self.trial = Trial()

    def start(self):
        """The broker that is in force from this start on; None without a configuration. The
        regulation runs with it.
        """
        self.boot()
        return self.broker()

    def broker(self):
        settings, _ = load.load_good(self.trial)
        self.trial.proven()
        return settings and settings["mqtt"]["url"][8:11]

    def propose(self, part, worked=()):
        return propose(self.trial, part, worked)

    def refused(self, part):
        """Why a part is refused; nothing has changed then."""
        before = read()
        files = sorted(os.listdir())
        try:
            self.propose(part)
        except ValueError as error:
            assert read() == before
            assert sorted(os.listdir()) == files
            assert "geheim" not in str(error) and "wifi-password" not in str(error), str(error)
            return str(error)
        raise AssertionError(part)
