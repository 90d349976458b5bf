"""Configuration by hand, at the prompt of the serial line; a board imports it as `setup`.

What a person may name is named here, too: the linker shortens every other argument's name.
"""

from firmware.setup import draft, meanings

_HELP = (
    "setup.wizard()                     asks for what is needed, and saves it",
    "setup.show()                       every key; * is not its default, ! is missing",
    'setup.set("wifi[0].ssid", "home")  setup.unset("wifi[0]")',
    'setup.help("thermostat.pi")        what a key means, and what it may be',
    'setup.set("device.key_secret")     asks for a secret, unseen',
    "setup.check()                      tries Wi-Fi, time, platform and sensors",
    "setup.check(relays=True)           also each relay, for a second",
    "setup.check(provision=True)        also asks for an identity, by a fleet's key",
    "setup.save()                       puts it in force, from the next start on",
    "setup.restore()                    what ran well last, in place of all of it",
    'A section alone: setup.show("thermostat"). After all: Ctrl-D starts the thermostat.',
)
_ASKED = ()
_draft: "draft.Draft | None" = None


def show(path: str = "") -> None:
    """Every key at and below a path, with its value; secrets are hidden."""
    found = False
    for where, value, mark in _making().rows(path=path):
        found = True
        indent = "  " * (where.count(".") + where.count("["))
        name = where.rpartition(".")[2]
        if where.endswith("]"):
            name = where[where.rindex("[") :]
        text = "" if value is None else " = %s" % value
        print("%1s %s%s%s" % (mark, indent, name, text))
    if not found:
        _refuse(path)
    elif _making().changed:
        print("Changed, and not saved: setup.save() puts it in force.")


def set(path: str, value=_ASKED) -> None:  # noqa: A001 what a person expects it to be called
    """Give a key a value: set("thermostat.setpoint", 20.5). One left out is asked for, unseen."""
    if value is _ASKED:
        from firmware.setup import wizard

        value = wizard.unseen(path + ": ")
    _tell(lambda making: making.put(path, value))


def unset(path: str) -> None:
    """Let the default of a key hold, or take an entry out of its list: unset("wifi[1]")."""
    _tell(lambda making: making.remove(path=path))


def help(path: str = "") -> None:  # noqa: A001
    """What the keys at and below a path mean, and what they may be; also a driver's."""
    if not path:
        for line in _HELP:
            print(line)
        return
    found = False
    for where, kind, expected, default, meaning in meanings.every(path):
        found = True
        print("%s: %s" % (where, meaning))
        if kind != "section":
            print("    %s; %s" % (expected, _default(default)))
    if not found:
        _refuse(path)


def check(relays: bool = False, provision: bool = False) -> bool:
    """Try what the draft says: a line each, what is wrong and what to do. With relays=True each
    relay is switched on for a second; with provision=True a device that has a fleet's key asks for
    its identity. Returns whether everything was well.
    """
    from firmware.setup import probes

    making = _making()
    problems = making.problems()
    for problem in problems:
        print("wrong  " + problem)
    return not problems and probes.run(making.given, relays=relays, provision=provision)


def save() -> bool:
    """Make it config.json, if nothing is wrong with it."""
    making = _making()
    try:
        making.save()
    except ValueError:
        print("Not saved:")
        for problem in making.problems():
            print("  " + problem)
        return False
    except OSError as error:
        print("Not saved: config.json cannot be written: %s" % error)
        return False
    print("Saved. Ctrl-D starts the thermostat with it.")
    return True


def restore() -> None:
    """Take the last configuration that ran well, in place of all that is in this one."""
    try:
        _making().restore()
    except ValueError as error:
        print("There is no last good configuration: %s" % error)
        return
    print("The last good configuration is here; setup.save() puts it in force.")


def wizard(ask=None) -> None:
    """Ask for what is needed, propose what is found, and save it. Ctrl-C leaves it as it was.

    `ask(text, secret)`: gives an answer, in place of the line that is typed.
    """
    from firmware.setup import wizard

    wizard.run(_making(), save, ask)


def _making() -> "draft.Draft":
    """The draft, from the first call on."""
    global _draft
    if _draft is None:
        _draft = draft.Draft()
        if _draft.problem:
            print(_draft.problem)
    return _draft


def _tell(act):
    try:
        problems = act(_making())
    except ValueError as error:
        print("Not changed: %s" % error)
        return
    for problem in problems:
        print("still  " + problem)
    print("Changed; not complete yet." if problems else "Changed; setup.save() puts it in force.")


def _default(cell):
    return cell if cell.startswith("required") else "without it " + cell


def _refuse(path):
    text = 'There is no key "%s"; setup.help() shows how to go on, setup.show() all of them.'
    print(text % path)
