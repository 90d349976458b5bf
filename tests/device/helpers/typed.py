"""A person at the prompt: a board that is partly made up, the lines that are printed, answers."""

import asyncio
import errno
import sys

from firmware.board import board, esp32
from firmware.sensors import contact, ds18x20, i2c
from firmware.setup import probes, prompt, wizard

_ON_BOARD = (probes, wizard, contact, ds18x20, i2c)


class Board:
    """The unix port's, but for what a test gives: Board(networks=lambda: [("home", -50)])."""

    def __init__(self, **own):
        self._own = own

    def __getattr__(self, name):
        return self._own[name] if name in self._own else getattr(board, name)


def quick_wifi(networks, **more):
    """An ESP32's radio that does not wait for a network for long."""
    return esp32.Wifi(networks, 60, 1000, 2, **more)


class Wire:
    """A 1-Wire bus with these ROMs on it, of which every thermometer reads 21.5 °C."""

    OUT = OPEN_DRAIN = PULL_UP = 0

    def __init__(self, roms):
        self.roms = [bytearray(rom) for rom in roms]
        self.pin = self

    def scan(self):
        return self.roms

    def readbit(self):
        return 1  # its own supply

    def _nothing(self, *_):
        pass

    reset = writebyte = init = _nothing


class FrozenDs18x20:
    """The frozen module `ds18x20`, on a Wire."""

    class DS18X20:
        buf = b"\x58\x01\x4b\x46\x7f\xff\x0c\x10\x00"

        def __init__(self, wire):
            self.ow = wire

        def scan(self):
            return [rom for rom in self.ow.roms if rom[0] in (0x10, 0x22, 0x28)]

        def read_scratch(self, rom):
            return self.buf

        def read_temp(self, rom):
            if rom not in self.ow.roms:
                raise Exception("CRC error")
            return 21.5


class I2c:
    """A bus with SHT3x at these addresses, as its data sheet has a reading."""

    def __init__(self, addresses):
        self.addresses = list(addresses)

    def scan(self):
        return self.addresses

    def writeto(self, address, data):
        if address not in self.addresses:
            raise OSError(errno.ENODEV)

    def readfrom_into(self, address, buffer):
        self.writeto(address, b"")
        buffer[:] = b"\xbe\xef\x92\x66\x66\x93"


class Person:
    """`with Person(answers, board) as person:` whoever is asked gives the next of the answers, an
    exception by raising it; `lines` is what is printed, `asked` what the answers were for.
    """

    def __init__(self, answers=(), at=None):
        self._answers = list(answers)
        self._board = at or Board()
        self.lines = []
        self.asked = []

    def __enter__(self):
        sys.modules["firmware.base.log"].print = self._print
        for module in (probes, prompt, wizard):
            module.print = self._print
        for module in _ON_BOARD:
            module.board = self._board
        sys.modules["ds18x20"] = FrozenDs18x20
        wizard.input = self._answer
        self._real_unseen = wizard.unseen
        wizard.unseen = self._unseen
        return self

    def __exit__(self, *_):
        del sys.modules["firmware.base.log"].print
        for module in (probes, prompt, wizard):
            del module.print
        for module in _ON_BOARD:
            module.board = board
        del sys.modules["ds18x20"]
        wizard.unseen = self._real_unseen
        del wizard.input
        asyncio.new_event_loop()

    def told(self, words):
        return any(words in line for line in self.lines)

    def results(self):
        """The lines of a check, without the log's."""
        return [line for line in self.lines if line.startswith(("ok  ", "wrong  ", "--  "))]

    @property
    def left(self):
        return self._answers

    def _print(self, *words, end="\n"):
        self.lines.append(" ".join([str(word) for word in words]))

    def _answer(self, text):
        self.asked.append(text)
        if not self._answers:
            raise AssertionError("one question too many: " + text)
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            return answer
        raise answer

    def _unseen(self, text):
        return self._answer("unseen " + text)
