from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest
import torch

from glyphseek.models.photo_threads import PhotoThreads


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let torch count with two threads, in this thread and in those to come."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def threads(two_threads: None) -> PhotoThreads:
    return PhotoThreads("cpu")


def count_in_new_thread() -> int:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(torch.get_num_threads).result()


def test_answers_are_in_the_order_of_the_photos_whatever_ends_first(threads: PhotoThreads) -> None:
    first_may_end = threading.Event()

    def encode(photo: int) -> int:
        if photo == 0:
            assert first_may_end.wait(60)
        else:
            first_may_end.set()
        return photo * photo

    assert threads.map(encode, range(6)) == [0, 1, 4, 9, 16, 25]
    assert threads.map(encode, []) == []


def test_photos_of_one_call_and_of_several_are_encoded_at_the_same_time(threads: PhotoThreads) -> None:
    both = threading.Barrier(2, timeout=60)

    def meet(_photo: int) -> int:
        return both.wait()

    assert sorted(threads.map(meet, [0, 1])) == [0, 1]
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(threads.map, meet, [photo]) for photo in (0, 1)]
        assert sorted(place for call in calls for place in call.result()) == [0, 1]


@pytest.mark.parametrize("count", [1, 2])
def test_however_many_ask_no_more_photos_are_at_work_than_there_are_threads(two_threads: None, count: int) -> None:
    torch.set_num_threads(count)
    threads = PhotoThreads("cpu")
    lock = threading.Lock()
    at_work = most = 0

    def encode(_photo: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.005)
        with lock:
            at_work -= 1

    with ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(threads.map, encode, range(5)) for _ in range(4)]
        assert [len(call.result()) for call in calls] == [5] * 4

    assert most <= count


def test_torch_counts_alone_with_each_photo_and_as_before_everywhere_else(threads: PhotoThreads) -> None:
    both = threading.Barrier(2, timeout=60)

    def encode(_photo: int) -> tuple[int, bool]:
        both.wait()
        return torch.get_num_threads(), torch.is_inference_mode_enabled()

    assert threads.map(encode, [0, 1]) == [(1, True), (1, True)]
    assert (torch.get_num_threads(), count_in_new_thread()) == (2, 2)
    assert not torch.is_inference_mode_enabled()


def test_many_models_that_begin_at_once_leave_the_setting_as_it_was(two_threads: None) -> None:
    all_begin = threading.Barrier(8, timeout=60)

    def begin(_: int) -> list[int]:
        threads, both = PhotoThreads("cpu"), threading.Barrier(2, timeout=60)

        def count(_photo: int) -> int:
            both.wait()  # both of its threads have begun: the setting is theirs for a moment only
            return torch.get_num_threads()

        all_begin.wait()
        return threads.map(count, range(4))

    with ThreadPoolExecutor(8) as callers:
        for counts in callers.map(begin, range(8)):
            assert counts == [1] * 4
    assert (torch.get_num_threads(), count_in_new_thread()) == (2, 2)


@pytest.mark.parametrize(("count", "device"), [(1, "cpu"), (2, "cuda")])
def test_where_photos_gain_nothing_from_company_the_caller_encodes_them(
    two_threads: None, count: int, device: str
) -> None:
    torch.set_num_threads(count)
    before = threading.active_count()

    encoded_by = PhotoThreads(device).map(lambda _: (threading.get_ident(), torch.is_inference_mode_enabled()), [0, 1])

    assert encoded_by == [(threading.get_ident(), True)] * 2
    assert threading.active_count() == before


def test_after_a_failure_those_that_have_not_begun_never_do(threads: PhotoThreads) -> None:
    begun: list[int] = []
    both = threading.Barrier(2, timeout=60)
    has_failed = threading.Event()

    def encode(photo: int) -> None:
        begun.append(photo)
        if photo < 2:
            both.wait()
        if photo == 0:
            raise ValueError("odd picture")
        assert has_failed.wait(60)

    def encode_many() -> None:
        try:
            threads.map(encode, range(9))
        finally:
            has_failed.set()

    with ThreadPoolExecutor(1) as caller, pytest.raises(ValueError, match="odd picture"):
        caller.submit(encode_many).result()
    assert {0, 1} <= set(begun)
    assert len(begun) <= 3  # the thread that failed may have taken one more before the others were withdrawn


def test_threads_end_with_the_object_that_began_them(two_threads: None) -> None:
    threads = PhotoThreads("cpu")
    workers = set(threads.map(lambda _: threading.current_thread(), range(8)))
    assert workers
    assert all(worker.name.startswith("glyphseek-photo") for worker in workers)

    del threads
    gc.collect()

    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()


def test_opencv_shrinks_a_photo_in_one_thread() -> None:
    cv2.setNumThreads(2)
    PhotoThreads("cpu")
    assert cv2.getNumThreads() == 1
