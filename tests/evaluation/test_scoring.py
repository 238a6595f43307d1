from collections.abc import Sequence

import numpy as np
import pytest

from glyphseek.errors import InputError, QueryError
from glyphseek.evaluation import scoring
from glyphseek.evaluation.scoring import encode_words, matrix_scorer, query_words, score_gallery, score_queries
from glyphseek.queries import Term
from glyphseek.types import FloatArray, Instances, TermFeatures


def _unit(random: np.random.Generator, count: int, width: int = 8) -> FloatArray:
    vectors = random.standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _instances(vectors: FloatArray) -> Instances:
    count = len(vectors)
    return Instances(vectors_ND=vectors, boxes_N4=np.zeros((count, 4), np.float32), scores_N=np.ones(count, np.float32))


def _reference(terms: Sequence[TermFeatures], images: Sequence[Instances]) -> list[list[float]]:
    """Plain loops over terms, images, variants and instances."""
    return [
        [max((float(v @ x) for v in term.vectors_VD for x in image.vectors_ND), default=-1.0) for image in images]
        for term in terms
    ]


@pytest.mark.parametrize("block_elements", [1, 40, 1 << 24])
def test_scores_equal_plain_loops_whatever_the_block(monkeypatch: pytest.MonkeyPatch, block_elements: int) -> None:
    monkeypatch.setattr(scoring, "_BLOCK_ELEMENTS", block_elements)
    random = np.random.default_rng(3)
    images = [_instances(_unit(random, count)) for count in (0, 3, 1, 0, 5, 0)]
    terms = [TermFeatures(vectors_VD=_unit(random, count)) for count in (1, 4, 1, 2, 1)]
    scores_QN = score_gallery(terms, images)
    assert scores_QN.dtype == np.float32
    np.testing.assert_allclose(scores_QN, _reference(terms, images), atol=1e-6)


def test_a_gallery_without_any_word_scores_lowest() -> None:
    random = np.random.default_rng(4)
    terms = [TermFeatures(vectors_VD=_unit(random, 1))]
    assert score_gallery(terms, [_instances(_unit(random, 0))] * 3).tolist() == [[-1.0, -1.0, -1.0]]


def test_no_terms_give_no_rows() -> None:
    assert score_gallery([], [_instances(_unit(np.random.default_rng(5), 2))]).shape == (0, 1)


def _encode(terms: Sequence[Term]) -> list[TermFeatures]:
    """One axis a first letter; words of more than five characters are refused."""
    for term in terms:
        if len(term.text) > 5:
            raise QueryError(term.text)
    eye = np.eye(26, dtype=np.float32)
    return [TermFeatures(vectors_VD=eye[[ord(term.text[0]) - ord("a")]]) for term in terms]


_LETTERS = [_instances(np.eye(26, dtype=np.float32)[[0]]), _instances(np.eye(26, dtype=np.float32)[[0, 1]])]


def test_several_words_score_the_mean_of_each() -> None:
    score = score_queries(["apple", "Apple, bus!"], _encode, _LETTERS, max_characters=30)
    assert score("apple").tolist() == [1, 1]
    assert score("Apple, bus!").tolist() == [0.5, 1]


def test_a_refused_word_scores_lowest_and_spoils_no_other() -> None:
    score = score_queries(["apple", "banana"], _encode, _LETTERS, max_characters=30)
    assert score("apple").tolist() == [1, 1]
    assert score("banana").tolist() == [-1, -1]


def test_words_are_cut_to_what_the_model_reads() -> None:
    assert query_words("Bananas AND 70%", 5) == ["banan", "and", "70"]
    assert score_queries(["banana"], _encode, _LETTERS, max_characters=5)("banana").tolist() == [0, 1]


def test_a_query_without_letters_scores_lowest() -> None:
    assert score_queries(["%"], _encode, _LETTERS, max_characters=5)("%").tolist() == [-1, -1]


def test_a_matrix_answers_by_query() -> None:
    score = matrix_scorer(["a", "b"], np.array([[1, 2], [3, 4]], dtype=np.float32))
    assert score("b").tolist() == [3, 4]


def test_a_matrix_of_another_height_is_refused() -> None:
    with pytest.raises(InputError, match="1 rows"):
        matrix_scorer(["a", "b"], np.zeros((1, 2), dtype=np.float32))


def test_as_a_whole_a_query_is_one_text_with_its_spaces() -> None:
    assert query_words("Bank of  AMERICA", 20, as_whole=True) == ["bank of america"]
    assert query_words("Bank of  AMERICA", 6, as_whole=True) == ["bank o"]
    assert query_words("!!", 6, as_whole=True) == []


def test_words_of_all_queries_are_encoded_once_and_refused_ones_left_out() -> None:
    assert list(encode_words(["bee", "ant bee", "elephant"], _encode, max_characters=9)) == ["ant", "bee"]
