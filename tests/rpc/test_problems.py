import json

import pytest

from glyphseek.errors import (
    DeadlineExceeded,
    GlyphseekError,
    ImageTooLarge,
    InputError,
    Overloaded,
    ServiceUnavailable,
    Unauthenticated,
)
from glyphseek.rpc.problems import error_of_problem, problem_of
from glyphseek.rpc.status import TABLE, ErrorStatus


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.reason)
def test_every_error_comes_back_as_the_same_class_with_its_message(row: ErrorStatus) -> None:
    problem = problem_of(row.error("what was wrong"), "r1")
    assert problem.status == row.http
    body = json.loads(json.dumps(problem.as_json()))
    found = error_of_problem(problem.status, body, "gateway")
    assert type(found) is row.error
    assert str(found) == "what was wrong"


def test_a_problem_has_the_members_of_its_standard_and_the_request_id() -> None:
    assert problem_of(ImageTooLarge("9 bytes, the limit is 8"), "r1").as_json() == {
        "type": "urn:glyphseek:problem:ImageTooLarge",
        "title": "The image is too large",
        "status": 413,
        "detail": "9 bytes, the limit is 8",
        "request_id": "r1",
    }


def test_an_overload_says_when_to_try_again_in_whole_seconds() -> None:
    problem = problem_of(Overloaded("too much", retry_after_s=1.2), "r1")
    assert problem.headers() == {"Retry-After": "2"}
    found = error_of_problem(429, problem.as_json(), "gateway")
    assert isinstance(found, Overloaded)
    assert found.retry_after_s == 1.2


def test_a_missing_key_names_the_way_to_send_one() -> None:
    assert problem_of(Unauthenticated("no key"), "r1").headers() == {"WWW-Authenticate": "Bearer"}


def test_an_error_nobody_raised_on_purpose_tells_the_request_id_alone() -> None:
    problem = problem_of(ValueError("/root/secret"), "r1")
    assert problem.status == 500
    assert problem.detail == "internal error, request id r1"
    assert "secret" not in json.dumps(problem.as_json())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, InputError),
        (429, Overloaded),
        (502, ServiceUnavailable),
        (504, DeadlineExceeded),
        (418, ServiceUnavailable),
    ],
)
def test_a_status_without_a_problem_names_who_was_called(status: int, expected: type[GlyphseekError]) -> None:
    found = error_of_problem(status, {}, "gateway http://127.0.0.1:1")
    assert type(found) is expected
    assert str(found) == f"gateway http://127.0.0.1:1 answered {status}"
