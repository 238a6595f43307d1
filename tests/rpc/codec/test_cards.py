import pytest
from fakes.token_gallery import CARD
from hypothesis import given
from rpc.codec.values import CARDS, PROPERTY

from glyphseek.api.v1 import types_pb2 as pb
from glyphseek.errors import InputError
from glyphseek.rpc.codec import decode_card, encode_card
from glyphseek.types import ModelCard


@PROPERTY
@given(card=CARDS)
def test_a_card_comes_back_as_it_was(card: ModelCard) -> None:
    assert decode_card(pb.ModelCard.FromString(encode_card(card).SerializeToString())) == card


@pytest.mark.parametrize(
    ("field", "value"), [("fingerprint", "F" * 32), ("fingerprint", "ab"), ("fusion", "mean"), ("fusion", "")]
)
def test_a_card_that_cannot_be_is_refused(field: str, value: str) -> None:
    message = encode_card(CARD)
    setattr(message, field, value)
    with pytest.raises(InputError, match=value or CARD.name):
        decode_card(message)


def test_an_unknown_feature_is_refused() -> None:
    message = encode_card(CARD)
    message.features.append("sounds")
    with pytest.raises(InputError, match="sounds"):
        decode_card(message)
