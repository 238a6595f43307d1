from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.errors import StoreUnavailable
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.features.s3.store import order_keys

KEYS = st.sets(st.text(alphabet="a-_/9Z", min_size=1, max_size=6))


@given(keys=KEYS)
def test_keys_come_in_their_own_order_from_names_in_that_of_the_server(keys: set[str]) -> None:
    names = sorted(f"{key}.blob" for key in keys)
    assert list(order_keys(names)) == sorted(keys)


def test_keys_without_a_dash_are_not_held_back() -> None:
    taken: list[str] = []

    def names() -> object:
        for key in ("a/1", "a/2", "a/3"):
            taken.append(key)
            yield f"{key}.blob"

    ordered = order_keys(names())  # pyright: ignore[reportArgumentType]
    assert next(ordered) == "a/1"
    assert taken == ["a/1", "a/2"]


def test_a_store_that_cannot_be_opened_leaves_no_thread_behind() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        before = threading.active_count()
        with pytest.raises(StoreUnavailable, match=endpoint):
            S3FeatureStore(S3Settings(endpoint=endpoint, bucket="none", timeout_s=0.5))
        assert threading.active_count() == before
