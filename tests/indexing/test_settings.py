from collections.abc import Callable

import pytest

from glyphseek.errors import SettingError
from glyphseek.indexing import IndexSettings


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("batch_images", lambda: IndexSettings(batch_images=0)),
        ("decode_threads", lambda: IndexSettings(decode_threads=0)),
        ("commit_images", lambda: IndexSettings(commit_images=0)),
        ("longer_side", lambda: IndexSettings(longer_side=0)),
    ],
)
def test_counts_below_one_are_refused_with_name_and_value(name: str, make: Callable[[], IndexSettings]) -> None:
    with pytest.raises(SettingError, match=f"{name} is 0"):
        make()


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_a_time_between_commits_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(SettingError, match="commit_s"):
        IndexSettings(commit_s=seconds)
