"""What a vector store on a Milvus server does when the server or other writers are killed; all of them real."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.stores import axis, found, make_card, make_record, milvus_uri, rows
from integration.proxy import Fault, Proxy
from integration.servers import Server, start_milvus, wait_until_answers
from integration.writer import CARD, IMAGES, make_written_vectors, settings_of

from glyphseek.errors import DeadlineExceeded, StoreUnavailable
from glyphseek.filters import parse_filter
from glyphseek.rpc.admission import Admission
from glyphseek.rpc.context import call_bound, current_call, start_call
from glyphseek.types import ImageRecord
from glyphseek.vectors.milvus_server import MilvusStore

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(400)
def test_a_server_that_is_killed_is_named_at_once_and_comes_back_with_all_that_was_acknowledged(
    own_milvus: Server,
) -> None:
    uri = f"http://127.0.0.1:{own_milvus.port}"
    store = MilvusStore.open(settings_of(uri), gallery="killed", card=make_card())
    ids = [f"{number:03}" for number in range(60)]
    store.put([make_record(one, instances=2) for one in ids], [rows(axis(n % 8), axis(1)) for n in range(60)])
    store.delete(ids[::3])
    kept = [one for one in ids if one not in ids[::3]]
    before = store.search(rows(axis(0), axis(1)), 200)
    own_milvus.kill()
    for call in (
        lambda: store.search(rows(axis(0)), 5),
        lambda: store.put([make_record("late")], [rows(axis(0))]),
        lambda: store.delete(kept[:1]),
        lambda: list(store.scan()),
        lambda: store.get(kept),
    ):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=f"Milvus at {uri} could not"):
            call()
        assert time.monotonic() - started < 11
    own_milvus.start()
    wait_until_answers(store)
    assert [record.image_id for record in store.scan()] == kept
    assert store.search(rows(axis(0), axis(1)), 200) == before
    store.put([make_record("late")], [rows(axis(7, scale=2))])
    assert store.search(rows(axis(7)), 1)[0][0].image_id == "late"
    store.close()


@pytest.fixture
def slow() -> Iterator[Proxy]:
    """Answers of the shared Milvus, late on demand."""
    with Proxy(int(milvus_uri().rpartition(":")[2])) as between:
        yield between


@pytest.fixture
def hung(slow: Proxy) -> Iterator[MilvusStore]:
    """A store with three images whose server may stop answering."""
    settings = replace(settings_of(f"http://127.0.0.1:{slow.port}"), timeout_s=5)
    with closing(MilvusStore.open(settings, gallery=f"h{uuid4().hex}", card=make_card())) as store:
        store.put([make_record(one) for one in "abc"], [rows(axis(place)) for place in range(3)])
        yield store


def test_a_search_of_a_server_that_hangs_ends_at_the_callers_deadline_and_leaves_its_thread_free(
    slow: Proxy, hung: MilvusStore
) -> None:
    before = hung.search(rows(axis(1)), 3)
    searches = Admission("searches", at_once=1, waiting=0)

    async def search(timeout_s: float) -> object:
        with call_bound(start_call(timeout_s=timeout_s)) as call, searches.place() as place:
            return await place.run(lambda: hung.search(rows(axis(1)), 3), deadline=call.deadline)

    slow.fail(standing=Fault(delay_s=20))
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            asyncio.run(search(1.0))
        while searches.held:
            assert time.monotonic() - started < 4
            time.sleep(0.01)
    slow.fail()
    assert asyncio.run(search(30.0)) == before
    searches.close()


@pytest.mark.parametrize("name", ["search", "get", "scan", "count"])
def test_a_read_of_a_server_that_hangs_is_given_up_with_the_caller_and_says_whose_time_was_over(
    slow: Proxy, hung: MilvusStore, name: str
) -> None:
    reads = {
        "search": lambda: hung.search(rows(axis(0)), 1),
        "get": lambda: hung.get(["a"]),
        "scan": lambda: list(hung.scan()),
        "count": hung.count,
    }
    before = reads[name]()
    slow.fail(standing=Fault(delay_s=20))
    started = time.monotonic()
    with (
        call_bound(start_call(timeout_s=0.3)),
        pytest.raises(DeadlineExceeded, match=rf"Milvus at .*{slow.port} did not .* in the time that the caller gave"),
    ):
        reads[name]()
    assert time.monotonic() - started < 3
    with pytest.raises(StoreUnavailable, match=f"{slow.port} could not"):  # without a caller: the store's own bound
        reads[name]()
    slow.fail()
    assert reads[name]() == before


def test_opening_a_store_of_a_server_that_hangs_ends_with_the_caller(slow: Proxy) -> None:
    slow.fail(standing=Fault(delay_s=20))
    started = time.monotonic()
    with call_bound(start_call(timeout_s=0.3)), pytest.raises((DeadlineExceeded, StoreUnavailable)):
        MilvusStore.open(settings_of(f"http://127.0.0.1:{slow.port}"), gallery="g", card=make_card())
    assert time.monotonic() - started < 3


def test_what_is_written_is_not_cut_in_half_by_the_callers_deadline(slow: Proxy, hung: MilvusStore) -> None:
    slow.fail(standing=Fault(delay_s=0.2))
    with call_bound(start_call(timeout_s=0.1)) as call:
        hung.put([make_record("a", names=["again"])], [rows(axis(5))])
        hung.delete(["b"])
        assert call.remaining_s() is not None
        assert current_call() is call
        with pytest.raises(DeadlineExceeded):
            hung.get(["a"])
    slow.fail()
    assert {one.image_id: one.names for one in hung.scan()} == {"a": ("again",), "c": ("photos/c.jpg",)}
    assert [hit.image_id for hit in hung.search(rows(axis(5)), 1)[0]] == ["a"]


@pytest.mark.timeout(200)
def test_as_many_rows_as_there_are_pass_a_filter_even_where_the_server_overlooks_most(tmp_path: Path) -> None:
    server = found(lambda: start_milvus(tmp_path / "milvus", "queryNode.segcore.interimIndex.enableIndex=true"))
    uri = f"http://127.0.0.1:{server.port}"
    store = MilvusStore.open(settings_of(uri), gallery="overlooked", card=make_card(width=32))
    vectors_ND = np.random.default_rng(7).standard_normal((6000, 32)).astype(np.float32)
    records = [replace(make_record(f"{n:05}"), metadata={"part": n % 60}) for n in range(6000)]
    store.put(records, list(vectors_ND[:, None]))
    [hits] = store.search(vectors_ND[:1], 100, where=parse_filter("part == 7"))
    expected = sorted(range(7, 6000, 60), key=lambda n: -float(vectors_ND[n] @ vectors_ND[0]))
    assert [int(hit.image_id) for hit in hits] == expected
    store.close()
    server.kill()


def test_a_server_that_is_not_there_is_named_within_the_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"Milvus at http://127.0.0.1:1 could not connect"):
        MilvusStore.open(replace(settings_of("http://127.0.0.1:1"), timeout_s=1), gallery="g", card=CARD)
    assert time.monotonic() - started < 5


@pytest.mark.timeout(200)
def test_writers_at_once_some_of_them_killed_leave_each_image_whole_or_absent_and_never_twice() -> None:
    uri, gallery = milvus_uri(), f"w{uuid4().hex}"
    store = MilvusStore.open(settings_of(uri), gallery=gallery, card=CARD)
    writers = [start_writer(uri, gallery, number) for number in range(1, 4)]
    for _ in range(10):
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline().strip().isdigit()
        assert_one_version_each(store)
    for writer in writers:
        writer.kill()
        writer.communicate()
    assert_whole(store)
    store.remove_leftovers(older_than_s=-5)
    assert store.remove_leftovers(older_than_s=-5) == 0
    assert_whole(store)
    store.close()


def test_what_one_process_deleted_no_other_finds_however_soon_it_asks() -> None:
    uri, gallery = milvus_uri(), f"d{uuid4().hex}"
    writer = MilvusStore.open(settings_of(uri), gallery=gallery, card=CARD)
    reader = MilvusStore.open(settings_of(uri), gallery=gallery, card=CARD)
    one = rows(axis(0, width=16), width=16)
    for number in range(25):
        image_id = f"{number:02}"
        writer.put([make_record(image_id)], [one])
        assert [hit.image_id for hit in reader.search(one, 10)[0]] == [image_id]
        writer.delete([image_id])
        assert reader.search(one, 10) == [[]]
        assert reader.get([image_id]) == {}
        assert list(reader.scan()) == []
    writer.close()
    reader.close()


def start_writer(uri: str, gallery: str, number: int) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "shared")])
    return subprocess.Popen(
        [sys.executable, "-m", "integration.writer", uri, gallery, str(number)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def assert_one_version_each(store: MilvusStore) -> None:
    """Search along every axis, which gives the vectors themselves: a mixture of two versions is not of unit norm."""
    vectors: dict[tuple[str, int | None], list[float]] = {}
    for hits in store.search(np.eye(CARD.vector_width, dtype=np.float32), 1000):
        for hit in hits:
            vectors.setdefault((hit.image_id, hit.instance), []).append(hit.similarity)
    for vector in vectors.values():
        assert len(vector) == CARD.vector_width
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    for image_id in {image for image, _ in vectors}:
        places = sorted(place for image, place in vectors if image == image_id and place is not None)
        assert places == list(range(len(places)))


def assert_whole(store: MilvusStore) -> None:
    """Compare every record with what searches find; nobody writes any more."""
    records = list(store.scan())
    assert [record.image_id for record in records] == sorted({record.image_id for record in records})
    assert len(records) <= IMAGES
    places_of_records = {(one.image_id, place) for one in records for place in range(one.instance_count)}
    for hits in store.search(np.eye(CARD.vector_width, dtype=np.float32), 1000):
        places = [(hit.image_id, hit.instance) for hit in hits]
        assert len(places) == len(set(places))
        assert set(places) == places_of_records
    for record in records:
        assert find_all(store, record) == {(record.image_id, place) for place in range(record.instance_count)}


def find_all(store: MilvusStore, record: ImageRecord) -> set[tuple[str, int | None]]:
    """Return where the vectors of this very version of an image are found."""
    vectors_ND = make_written_vectors(record)
    answers = store.search(vectors_ND, 1) if len(vectors_ND) else []
    return {(hit.image_id, hit.instance) for hits in answers for hit in hits if hit.similarity > 0.999}
