from __future__ import annotations

import pytest

from glyphseek.errors import InputError
from glyphseek.features.keys import check_key


@pytest.mark.parametrize("key", ["a", "A-b_9", "a/b/c", "0" * 200, "/".join(["k" * 199] * 5)])
def test_a_wellformed_key_returns_as_it_is(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a/../b", r"'a/\.\./b' is not a relative path"),
        ("k" * 201, "201 characters, the limit is 200"),
        ("k/" * 500 + "k", "1001 characters, the limit is 1000"),
    ],
)
def test_a_malformed_key_is_told_with_its_reason(key: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        check_key(key)
