"""The certificate, as MicroPython's mbedtls sees it."""

import subprocess

import pytest
import trustme

from tools import micropython

SCRIPT = """
import binascii, socket, ssl, sys
port, ca, host = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with open(ca) as file:
    der = binascii.a2b_base64("".join(l for l in file.read().split("\\n") if l and l[0] != "-"))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ssl.CERT_REQUIRED
context.load_verify_locations(cadata=der)
connection = socket.socket()
connection.connect(socket.getaddrinfo("localhost", port)[0][-1])
try:
    context.wrap_socket(connection, server_hostname=host)
    print("trusted")
except Exception as error:
    print(repr(error))
"""


def connect(tmp_path, port, ca, host):
    script = tmp_path / "connect.py"
    script.write_text(SCRIPT)
    command = micropython.command(script, str(port), ca, host)
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout


@pytest.mark.parametrize("listener", ["mqtts", "https"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_micropython_trusts_it(info, tmp_path, listener, host):
    assert connect(tmp_path, info[listener], info["ca"], host) == "trusted\n"


def test_micropython_refuses_another_authority_and_another_name(info, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(other)
    assert "not correctly signed" in connect(tmp_path, info["mqtts"], other, "localhost")
    assert "does not match" in connect(tmp_path, info["mqtts"], info["ca"], "mqtt.csip.io")
