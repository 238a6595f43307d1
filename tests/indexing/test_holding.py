import threading

from glyphseek.indexing.holding import HeldIds


def test_who_wants_a_held_id_waits_for_it_and_others_do_not() -> None:
    ids, order = HeldIds(), list[str]()
    inside, other_done = threading.Event(), threading.Event()

    def want_the_same() -> None:
        inside.wait(10)
        with ids.hold({"b", "c"}):
            order.append("second")

    def want_another() -> None:
        inside.wait(10)
        with ids.hold({"d"}):
            order.append("other")
        other_done.set()

    threads = [threading.Thread(target=one) for one in (want_the_same, want_another)]
    for thread in threads:
        thread.start()
    with ids.hold({"a", "b"}):
        inside.set()
        assert other_done.wait(10)
        order.append("first")
    for thread in threads:
        thread.join(10)

    assert order == ["other", "first", "second"]


def test_ids_are_free_again_after_a_failure() -> None:
    ids = HeldIds()
    try:
        with ids.hold({"a"}):
            raise RuntimeError
    except RuntimeError:
        pass
    with ids.hold({"a"}):
        pass
