"""Updates over the air: loaded only while one is under way or on trial.

    manifest.py   what a release says of itself, and whether this device may take it
    fetch.py      the image, range by range, over the API's connection
    targets.py    where an image goes, and how the next start is told to run it
    job.py        one update, from its manifest to the restart
    trial.py      what the start after that does: confirm, or go back
    state.py      update.json, what is kept of it all over a restart

The room knows of the link's `Uplink` and of the regulation what their callers hand over.
"""
