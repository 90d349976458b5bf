"""The journal of a run that lasts: what was dropped from it, and that reading goes on."""

from tools.platform.store import Store


def test_a_journal_that_forgets_is_bounded_and_is_read_on_from_where_it_was(tmp_path):
    store = Store(tmp_path / "platform.sqlite")
    read = 0
    for n in range(50):
        store.write("_dev_1", "mqtt", "device", [("counter", 10 * n + k, k) for k in range(10)])
        store.note("_dev_1", f"note {n}")
        read += len(store.writes(read))
        store.forget(20)
    assert read == 500
    assert [row["t_ms"] for row in store.writes()] == list(range(480, 500))
    assert len(store.log("_dev_1")) == 20
    assert store.count("_dev_1") == store.count("_dev_1", "counter") == 500
    store.close()
