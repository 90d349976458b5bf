"""The way to the platform: TCP and TLS streams, MQTT, HTTPS, and which of them carries the feeds.

This room knows the queue of points and the door for commands, and neither sensors nor relay.
"""


class LinkError(Exception):
    """Something between here and the platform failed; the text says what, and what to do.

    `refused`: the platform does not accept the credentials, so trying again soon is no use.
    """

    def __init__(self, text: str, refused: bool = False):
        super().__init__(text)
        self.refused = refused
