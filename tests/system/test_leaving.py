"""What a real broker sees of an interrupt: a client that says goodbye."""

import pytest

from tests.system.device import wait


@pytest.mark.parametrize(
    ("scheme", "listener"), [("tcp", "plain"), ("mqtts", "port"), ("wss", "wss")]
)
def test_an_interrupt_ends_the_session_with_a_disconnect(
    device, mosquitto, tmp_path, scheme, listener
):
    # The name is written with the dot that ends it, which no certificate has.
    device.config["mqtt"] = {"url": f"{scheme}://localhost.:{getattr(mosquitto, listener)}"}
    (device.folder / "certs/ca.pem").write_text(mosquitto.ca.read_text())
    device.start(heap="256K")
    device.wait_log("listening for commands")
    assert device.interrupt() == 0
    name = f"Client {device.config['device']['id']} "
    log = tmp_path / "mosquitto" / "log"

    def ends():
        return [line for line in log.read_text().splitlines() if name in line]

    wait(ends, "the end of the session")
    assert [line.split(name)[1] for line in ends()] == ["disconnected."]
