from __future__ import annotations

import pytest

from glyphseek.errors import SettingError
from glyphseek.features.s3 import S3Settings


def make(**changes: object) -> S3Settings:
    values = {"endpoint": "http://127.0.0.1:9000", "bucket": "photos", **changes}
    return S3Settings(**values)  # pyright: ignore[reportArgumentType]


def test_keys_are_never_printed() -> None:
    assert "hidden" not in repr(make(access_key="hidden-key", secret_key="hidden-secret"))


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:9000", "ftp://here", "http://", "http://hidden:hidden@here"])
def test_an_endpoint_of_another_form_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(SettingError, match="http://host:port") as caught:
        make(endpoint=endpoint)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("bucket", ["", "ab", "Upper", "under_score", "-a-", "a" * 64])
def test_a_name_that_no_bucket_can_have_is_refused(bucket: str) -> None:
    with pytest.raises(SettingError, match="bucket"):
        make(bucket=bucket)


@pytest.mark.parametrize("prefix", ["a", "/", "a//", "a b/", "../"])
def test_a_prefix_of_another_form_is_refused(prefix: str) -> None:
    with pytest.raises(SettingError, match="prefix"):
        make(prefix=prefix)


def test_one_key_without_the_other_is_refused() -> None:
    with pytest.raises(SettingError, match="go together"):
        make(access_key="only")


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout_s", 0), ("retries", -1), ("max_in_flight", 0), ("hedge_share", 1.5), ("max_blob_bytes", 0)],
)
def test_a_value_outside_its_bounds_is_refused_with_them(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"{name} is {value}, it must be within"):
        make(**{name: value})
