"""Begins an update, or goes on with the one of which update.json tells."""

from firmware import UPDATE_KEY
from firmware.update import state
from firmware.update.job import Job
from firmware.update.trial import Trial


def make(tree, settings: tuple, uplink, board, supervisor, ticks, tell, rests):
    """The coroutine function that carries it out. tree: the manifest of a new one, or None.
    settings: `update.key`, for where the image has no key, and `update.confirm_s`. The others: as
    in Job and Trial.

    Raises ValueError, with words, where this device cannot take it.
    """
    key, confirm_s = settings
    # Whoever may send a configuration must not say whose releases an image takes.
    key = UPDATE_KEY or key

    def restart():
        supervisor.restart("update")

    resumed = tree is None
    if resumed:
        kept = state.read()
        if kept and kept["state"] == "downloading":
            tree = kept["manifest"]
    if tree is not None:
        try:
            if not key:
                text = "there is no key to check it with: set update.key to what"
                raise ValueError(text + " `csipio keys show` prints")
            job = Job(tree, key, uplink, board, tell, rests, restart)
            return lambda: job.run(resumed)
        except ValueError as error:
            if not resumed:
                raise
            # The firmware was replaced by other means meanwhile, or the key.
            state.end(tree["version"], "given up: %s" % error)
    return Trial(confirm_s, uplink, board, supervisor, ticks, tell, rests, restart).run
