from collections.abc import Iterator

import pytest
from grpc import StatusCode

from glyphseek.errors import GlyphseekError, InputError, Overloaded, QueryError
from glyphseek.rpc.status import TABLE, ErrorStatus, make_error, retry_after_of, status_named, status_of


def _walk(base: type[GlyphseekError]) -> Iterator[type[GlyphseekError]]:
    yield base
    for one in base.__subclasses__():
        if one.__module__ == "glyphseek.errors":
            yield from _walk(one)


def test_every_error_has_exactly_one_row() -> None:
    rows = [row.error for row in TABLE]
    assert sorted(rows, key=lambda one: one.__name__) == sorted(_walk(GlyphseekError), key=lambda one: one.__name__)


def test_no_row_is_a_success_and_both_transports_agree_on_whose_fault_it_is() -> None:
    callers = {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.NOT_FOUND,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.ABORTED,
        StatusCode.UNAUTHENTICATED,
        StatusCode.PERMISSION_DENIED,
    }
    for row in TABLE:
        assert 400 <= row.http < 600
        if row.http < 500 and row.error is not Overloaded:
            assert row.code in callers, row.reason


def test_problem_types_differ() -> None:
    assert len({row.problem_type for row in TABLE}) == len(TABLE)


def test_an_error_of_another_module_is_called_what_its_base_is() -> None:
    class OddQuery(QueryError):
        """A query error that the table does not know."""

    assert status_of(OddQuery("odd")).error is QueryError


def test_a_name_finds_its_row_and_an_unknown_one_none() -> None:
    row = status_named("QueryError")
    assert row is not None
    assert row.error is QueryError
    assert status_named("NoSuchError") is None


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.reason)
def test_an_error_made_from_its_row_has_class_and_message(row: ErrorStatus) -> None:
    made = make_error(row, "so it is")
    assert type(made) is row.error
    assert str(made) == "so it is"


def test_only_overload_says_when_to_try_again() -> None:
    row = status_named("Overloaded")
    assert row is not None
    assert retry_after_of(make_error(row, "too much", retry_after_s=2.5)) == 2.5
    assert retry_after_of(InputError("wrong")) is None
