from collections.abc import Callable

import pytest

from glyphseek.errors import SettingError
from glyphseek.indexing import EncodingSettings, IndexSettings


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


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
@pytest.mark.parametrize("make", [IndexSettings, EncodingSettings])
def test_a_text_likelihood_that_is_no_probability_is_refused_with_name_and_bounds(
    make: Callable[..., IndexSettings | EncodingSettings], share: float
) -> None:
    with pytest.raises(SettingError, match=f"keep_likelihood is {share}; it must be 0 to 1"):
        make(keep_likelihood=share)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("make", [IndexSettings, EncodingSettings])
def test_the_bounds_of_a_text_likelihood_are_allowed(
    make: Callable[..., IndexSettings | EncodingSettings], share: float
) -> None:
    assert make(keep_likelihood=share).keep_likelihood == share


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_a_time_between_commits_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(SettingError, match="commit_s"):
        IndexSettings(commit_s=seconds)
