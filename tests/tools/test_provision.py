"""`csipio provision`: a table becomes devices on the stand-in, a configuration, and labels."""

import json
import stat

import pytest

from tests.tools.terminal import PEM
from tools import provision, vfs
from tools.deploy import configuration_files
from tools.platform import control
from tools.provision import ProvisionError

TABLE = """\
mac,room,thermostat.setpoint
24:0A:C4:00:01:FE,kitchen,20.5
240ac40001ff,"hall, upstairs",
24-0a-c4-00-02-00,thermostat,21
"""
CONFIG = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "the-template's", "led": 2},
    "sensors": [{"prop": "temperature", "driver": "ds18x20", "pin": 4}],
    "thermostat": {"sensor": "temperature", "relay": {"pin": 26}},
}


class Fleet:
    """A stand-in's folder, a template beside its certificates, and what is made."""

    def __init__(self, folder, console):
        self.platform = folder / "platform"
        self.platform.mkdir()
        control.Control(self.platform)
        self.template = folder / "template" / "config.json"
        (folder / "template" / "certs").mkdir(parents=True)
        (folder / "template" / "certs" / "ca.pem").write_text(PEM)
        self.template.write_text(json.dumps(CONFIG))
        self.table = folder / "fleet.csv"
        self.out = folder / "out"
        self._console = console

    def make(self, table=TABLE):
        self.table.write_text(table)
        where = self.table, self.template, self.out, self.platform, "house"
        provision.provision(*where, console=self._console)

    def refused(self, table):
        """What is said; nothing was made."""
        before = self.tree
        with pytest.raises(ProvisionError) as refusal:
            self.make(table)
        assert self.tree == before and not self.out.exists()
        return str(refusal.value).replace(str(self.table), "fleet.csv")

    @property
    def tree(self):
        return json.loads((self.platform / "control.json").read_text())

    def files(self):
        return {
            str(path.relative_to(self.out)): path.read_bytes()
            for path in self.out.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def fleet(tmp_path, said):
    return Fleet(tmp_path, said)


def test_a_table_becomes_devices_that_the_fleet_knows_by_their_macs(fleet):
    first = fleet.tree["device"]
    fleet.make()
    tree = fleet.tree
    assert tree["device"] == first, "a device that is there already stays what it is"
    assert [device["name"] for device in tree["devices"]] == ["kitchen", "hall, upstairs"]
    assert len({device["key_secret"] for device in [first, *tree["devices"]]}) == 3
    (made,) = tree["fleets"]
    assert made["boards"] == [
        {
            "mac": "24:0a:c4:00:01:fe",
            "device": "kitchen",
            "config": {"thermostat": {"setpoint": 20.5}},
        },
        {"mac": "24:0a:c4:00:01:ff", "device": "hall, upstairs"},
        {
            "mac": "24:0a:c4:00:02:00",
            "device": "thermostat",
            "config": {"thermostat": {"setpoint": 21}},
        },
    ]
    control.Control(fleet.platform)  # which reads it, and finds nothing wrong


def test_all_boards_get_one_configuration_that_has_the_fleets_key_alone(fleet):
    fleet.make()
    (made,) = fleet.tree["fleets"]
    found = json.loads((fleet.out / "config.json").read_text())
    key = {"key_id": made["key_id"], "key_secret": made["key_secret"]}
    assert found == CONFIG | {"device": {"led": 2, "provision": key}}
    assert fleet.files().keys() == {
        "config.json",
        "certs/ca.pem",
        "labels.csv",
        "labels.html",
    }
    # It is what `csipio flash --files` takes.
    files = configuration_files(fleet.out / "config.json")
    assert vfs.image(files, 1 << 20) == vfs.image(files, 1 << 20)


def test_secrets_are_in_files_of_mode_600_alone(fleet):
    fleet.make()
    tree = fleet.tree
    owners = [*tree["fleets"], tree["device"], *tree["devices"], tree["client"]]
    secrets = [owner["key_secret"].encode() for owner in owners]
    secrets += [owner["key_id"].encode() for owner in owners] + [b"the-template's"]
    open_to_all = 0
    for path in [*fleet.out.rglob("*"), *fleet.platform.rglob("control.json")]:
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != 0o600:
            assert not any(secret in path.read_bytes() for secret in secrets), path
            open_to_all += 1
    assert open_to_all == 3
    assert stat.S_IMODE((fleet.out / "config.json").stat().st_mode) == 0o600


def test_labels_name_room_mac_and_device(fleet):
    fleet.make(TABLE.replace("kitchen", "<b>kitchen"))
    ids = {device["name"]: device["id"] for device in fleet.tree["devices"]}
    lines = (fleet.out / "labels.csv").read_text().splitlines()
    assert lines[0] == "mac,room,device"
    assert lines[2] == f'24:0a:c4:00:01:ff,"hall, upstairs",{ids["hall, upstairs"]}'
    page = (fleet.out / "labels.html").read_text()
    assert "&lt;b&gt;kitchen" in page and "<b>kitchen" not in page
    assert ids["<b>kitchen"] in page and "24:0a:c4:00:01:fe" in page


def test_the_same_table_again_changes_nothing(fleet):
    fleet.make()
    tree, files = fleet.tree, fleet.files()
    fleet.make()
    assert (fleet.tree, fleet.files()) == (tree, files)


def test_another_board_in_a_room_takes_the_place_of_the_one_before(fleet):
    fleet.make()
    ids = [device["id"] for device in fleet.tree["devices"]]
    fleet.make("mac,room\n24:0a:c4:00:09:09,kitchen\n")
    tree = fleet.tree
    assert [device["id"] for device in tree["devices"]] == ids
    known = {board["mac"]: board["device"] for board in tree["fleets"][0]["boards"]}
    assert known["24:0a:c4:00:09:09"] == "kitchen" and "24:0a:c4:00:01:fe" not in known
    assert len(known) == 3, "boards that the table does not name stay"


@pytest.mark.parametrize(
    "table, words",
    [
        ("room,mac2\n", "fleet.csv:1: expected the columns mac and room, and mac is missing"),
        ("", "fleet.csv:1: expected the columns mac and room, and mac is missing"),
        ("mac,room\n", "fleet.csv: has no boards"),
        (
            "mac,room\n24:0a:c4:00:01:fe,a\n24:0A:C4:00:01:FE,b\n",
            "fleet.csv:3: 24:0a:c4:00:01:fe is in line 2 already",
        ),
        (
            "mac,room\n24:0a:c4:00:01:fe,a\n\n24:0a:c4:00:01:ff,a\n",
            "fleet.csv:4: a is in line 2 already",
        ),
        ("mac,room\n24:0a:c4:00:01,a\n", "fleet.csv:2: expected a board's MAC"),
        ("mac,room\n24:0a:c4:00:01:fg,a\n", "fleet.csv:2: expected a board's MAC"),
        ("mac,room\nff:ff:ff:ff:ff:ff,a\n", "fleet.csv:2: expected a board's MAC"),
        ("mac,room\n01:00:5e:00:00:01,a\n", "fleet.csv:2: expected a board's MAC"),
        ("mac,room\n00:00:00:00:00:00,a\n", "fleet.csv:2: expected a board's MAC"),
        ("mac,room\n24:0a:c4:00:01:fe,\n", "fleet.csv:2: expected a room"),
        ("mac,room\n24:0a:c4:00:01:fe,a/b\n", "fleet.csv:2: expected a room"),
        ("mac,room\n24:0a:c4:00:01:fe,_this_\n", "fleet.csv:2: expected a room"),
        ("mac,room\n24:0a:c4:00:01:fe\n", "fleet.csv:2: expected as many cells as there are"),
        ("mac,room\n24:0a:c4:00:01:fe,a,b\n", "fleet.csv:2: expected as many cells as there are"),
        (
            "mac,room,thermostat.setpoint\n24:0a:c4:00:01:fe,a,99\n",
            "thermostat.setpoint: expected 5 to 35 °C, got 99",
        ),
        (
            "mac,room,heating.x\n24:0a:c4:00:01:fe,a,1\n",
            "fleet.csv:2: ",
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_told_by_its_line(fleet, table, words):
    assert words in fleet.refused(table)


def test_a_mac_of_another_fleet_is_refused(fleet):
    def other(tree):
        boards = control.fleet_of(tree, "other")["boards"]
        boards.append({"mac": "24:0a:c4:00:01:fe", "device": "thermostat"})

    control.change(fleet.platform, other)
    said = fleet.refused("mac,room\n24:0a:c4:00:01:ff,a\n24:0a:c4:00:01:fe,b\n")
    assert said == "fleet.csv:3: 24:0a:c4:00:01:fe is in fleet other already"


def test_a_folder_without_a_stand_in_is_told(fleet):
    (fleet.platform / "control.json").unlink()
    fleet.table.write_text(TABLE)
    with pytest.raises(ProvisionError, match=r"has no control\.json"):
        provision.provision(fleet.table, fleet.template, fleet.out, fleet.platform)
    assert not fleet.out.exists()


def test_a_template_without_its_certificates_is_refused(fleet):
    (fleet.template.parent / "certs" / "ca.pem").unlink()
    said = fleet.refused(TABLE)
    assert "tls.ca is certs/ca.pem, but there is no" in said and "template" in said
