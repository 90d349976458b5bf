"""An update that cannot begin: the command says why, and what to do."""

import os

from firmware import VERSION, services
from firmware.config.trial import Trial
from firmware.supervision.supervisor import Supervisor
from releases import KEY, release
from settings import alone, settings

TREE = release(b"image", chip="any")


class Part:
    """Something that is there, and is asked for nothing."""


class OnTrial:
    """A configuration that is."""

    def pending(self):
        return True


class Device:
    """The services of a start in which an update may begin, with that configuration's key."""

    def __init__(self, key=KEY, trial=None, linked=True):
        self._real = services.config.update
        services.config.update = lambda: (key, 5)
        self.supervisor = Supervisor(Part(), None, None)
        self.services = services.Services(
            settings(**alone()), trial or Trial(), None, None, None, self.supervisor, None
        )
        self.services._uplink = Part() if linked else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        services.config.update = self._real

    def begins(self, tree=TREE):
        """The answer to the command, or why it is refused."""
        try:
            return self.services._begin_update(tree)
        except ValueError as error:
            assert len(str(error)) <= 160
            return str(error)


def test_it_begins_where_nothing_stands_in_its_way():
    with Device() as device:
        assert device.begins() == {"version": "0.3.0", "state": "checking"}
        assert [task.name for task in device.supervisor._tasks] == ["update"]


def test_without_a_key_it_is_refused():
    for key in (None, ""):
        with Device(key) as device:
            assert "there is no key to check it with: set update.key" in device.begins()
            assert not device.supervisor._tasks


def test_one_that_is_under_way_goes_first():
    with Device() as device:
        device.begins()
        assert "another update is under way" in device.begins()
        assert len(device.supervisor._tasks) == 1
    # One of an earlier start, of which the task has not read yet.
    with Device() as device:
        with open("update.json", "w") as file:
            file.write("{}")
        try:
            assert "another update is under way" in device.begins()
        finally:
            os.remove("update.json")


def test_a_configuration_on_trial_goes_first():
    with Device(trial=OnTrial()) as device:
        assert "a configuration is on trial" in device.begins()


def test_it_needs_the_link():
    with Device(linked=False) as device:
        assert "the link is not made yet" in device.begins()


def test_what_is_refused_leaves_the_next_one_its_way():
    with Device() as device:
        assert "manifest: " in device.begins({})
        assert "already" in device.begins(dict(TREE, version=VERSION))
        assert device.begins()["state"] == "checking"
