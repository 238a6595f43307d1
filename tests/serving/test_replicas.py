import pytest

from glyphseek.errors import SettingError
from glyphseek.serving.replicas import check_names, read_work
from glyphseek.serving.working import WorkSettings


def test_unknown_arguments_of_an_application_are_refused_with_the_known_ones() -> None:
    check_names({"config": "", "at_once": 2, "batch_items": 3}, frozenset({"batch_items"}))
    with pytest.raises(SettingError, match="at_onze; known are: at_once, config, waiting"):
        check_names({"at_onze": 2}, frozenset())


def test_work_is_read_over_the_default_of_the_service() -> None:
    default = WorkSettings(at_once=1, waiting=8)
    assert read_work({"waiting": 5}, default) == WorkSettings(at_once=1, waiting=5)
    assert read_work({}) == WorkSettings()
    with pytest.raises(SettingError, match="at_once is 0"):
        read_work({"at_once": 0})
