import numpy as np
import pytest
from hypothesis import given
from rpc.codec.values import PROPERTY, arrays

from glyphseek.api.v1.types_pb2 import Array
from glyphseek.errors import InputError
from glyphseek.rpc.codec import decode_array, encode_array
from glyphseek.rpc.codec.arrays import MOST_NUMBERS
from glyphseek.types import FloatArray


@PROPERTY
@given(array=arrays(0, 0, 0))
def test_an_array_comes_back_exactly(array: FloatArray) -> None:
    found = decode_array(Array.FromString(encode_array(array).SerializeToString()), (None, None, None), name="it")
    assert found.dtype == np.float32
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_an_array_that_lies_otherwise_in_memory_keeps_its_order() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert decode_array(encode_array(array), (3, 2), name="it").tolist() == array.tolist()


def test_halves_are_read_too() -> None:
    halves = np.array([[0.5, -2.0]], dtype="<f2")
    message = Array(type=Array.TYPE_FLOAT16, shape=[1, 2], data=halves.tobytes())
    found = decode_array(message, (1, 2), name="it")
    assert found.dtype == np.float32
    assert found.tolist() == [[0.5, -2.0]]


def _message(**changes: object) -> Array:
    message = encode_array(np.ones((2, 3), dtype=np.float32))
    for name, value in changes.items():
        message.ClearField(name)
        message.MergeFrom(Array(**{name: value}))  # pyright: ignore[reportArgumentType]
    return message


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (_message(type=0), "numbers of type 0"),
        (_message(type=7), "numbers of type 7"),
        (_message(shape=[6]), r"shape \(6,\), it must be \(any, 3\)"),
        (_message(shape=[3, 2]), r"shape \(3, 2\), it must be \(any, 3\)"),
        (_message(shape=[3, 3]), "24 bytes, its shape .* needs 36"),
        (_message(data=b"\0" * 23), "23 bytes, its shape .* needs 24"),
        (_message(data=np.full(6, np.nan, dtype=np.float32).tobytes()), "not finite"),
        (_message(data=np.full(6, np.inf, dtype=np.float32).tobytes()), "not finite"),
        (_message(shape=[MOST_NUMBERS, 3]), "the limit is"),
        (Array(), "numbers of type 0"),
    ],
)
def test_a_damaged_array_is_refused_by_its_name(message: Array, told: str) -> None:
    with pytest.raises(InputError, match=f"vectors has .*{told}"):
        decode_array(message, (None, 3), name="vectors")
