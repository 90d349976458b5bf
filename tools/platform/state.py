"""What `GET /data/devices/{ref}` and `…/state` answer."""

from .control import Control
from .feed import format_time
from .ingest import CLIENT
from .store import Store

PARTS = ("header", "meta", "stats")


def values(control: Control, store: Store, device: dict, key: str) -> dict:
    """The most recent value of every property that was written and that `key` may read."""
    found = (
        (prop.name, store.latest(device["id"], prop.name)) for prop in _readable(control, key)
    )
    return {name: latest[1] for name, latest in found if latest}


def full(control: Control, store: Store, device: dict, key: str, parts: set[str]) -> dict:
    """The full state with those of `PARTS` that are asked for."""
    answer: dict = {}
    if "header" in parts:
        answer["header"] = {
            "id": device["id"],
            "name": device["name"],
            "profile": device["profile"],
            "status": device["status"],
            "ingestion": dict(control.limits),
        }
    answer["properties"] = []
    for prop in _readable(control, key):
        entry: dict = {"ref": {"id": prop.id, "qname": f"{device['profile']}${prop.name}"}}
        if "meta" in parts:
            meta = {"name": prop.name, "type": prop.type}
            meta |= {"access": prop.access, "publish": prop.publish}
            boundaries = {"min": prop.min, "max": prop.max, "values": list(prop.values) or None}
            meta |= {name: value for name, value in boundaries.items() if value is not None}
            entry["meta"] = meta
        if latest := store.latest(device["id"], prop.name):
            entry["value"] = {"mostRecent": latest[1], "time": format_time(latest[0])}
        if "stats" in parts:
            entry["stats"] = {"count": store.count(device["id"], prop.name)}
        answer["properties"].append(entry)
    return answer | {"methods": [], "alerts": []}


def _readable(control: Control, key: str) -> list:
    return [p for p in control.properties.values() if key != CLIENT or p.access != "private"]
