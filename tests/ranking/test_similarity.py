import numpy as np

from glyphseek.queries import Term, TermKind
from glyphseek.ranking import Gathered, probabilities, term_similarities
from glyphseek.ranking.similarity import forgive
from glyphseek.types import Calibration, FloatArray, Instances, TermFeatures

CALIBRATION = Calibration(slope=10.0, offset=-8.0, threshold=0.5)


def rows(*values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float32)


def words(*vectors: list[float]) -> Instances:
    count = len(vectors)
    return Instances(
        vectors_ND=rows(*vectors), boxes_N4=np.zeros((count, 4), np.float32), scores_N=np.ones(count, np.float32)
    )


def no_words() -> Instances:
    return Instances(
        vectors_ND=np.empty((0, 2), np.float32),
        boxes_N4=np.empty((0, 4), np.float32),
        scores_N=np.empty(0, np.float32),
    )


def test_a_term_is_as_similar_as_its_best_variant() -> None:
    features = [TermFeatures(vectors_VD=rows([1, 0])), TermFeatures(vectors_VD=rows([0.6, 0.8], [0, -1]))]
    terms = [Term(text="tea"), Term(text="re", kind=TermKind.PREFIX)]
    similarities = term_similarities(terms, features, Gathered([words([1, 0]), words([0, 1], [0, -1])]))
    np.testing.assert_allclose(similarities, [[1, 0, 0], [0.6, 0.8, 1]], atol=1e-6)


def test_an_image_without_instances_has_no_similarities() -> None:
    features = [TermFeatures(vectors_VD=rows([1, 0]))]
    assert term_similarities([Term(text="tea")], features, Gathered([])).shape == (1, 0)
    gathered = Gathered([no_words(), words([0.6, 0.8], [1, 0]), no_words(), words([0, 1])])
    similarities = term_similarities([Term(text="tea")], features, gathered)
    np.testing.assert_allclose(similarities, [[0.6, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(gathered.best(similarities), [[-1, 1, -1, 0]], atol=1e-6)


def test_the_likeliest_of_each_image_come_image_by_image_ties_in_order() -> None:
    gathered = Gathered([words([1, 0], [1, 0], [1, 0]), no_words(), words([1, 0], [1, 0])])
    values = np.array([0.5, 0.9, 0.5, 0.1, 0.2], np.float32)
    assert gathered.likeliest(values, 2, least=0.0).tolist() == [1, 0, 4, 3]
    assert gathered.likeliest(values, 3, least=0.5).tolist() == [1, 0, 2, 4], "the best of an image in any case"


def test_tolerance_adds_its_share_of_the_word_and_keeps_the_order() -> None:
    tolerant = Term(text="cofee", kind=TermKind.TOLERANT, edits=1)
    np.testing.assert_allclose(forgive(rows([0.5, 0.8, 0.95]), tolerant), [[0.7, 1.0, 1.15]], atol=1e-6)


def test_a_word_without_tolerance_keeps_its_similarity() -> None:
    exact = rows([0.5, 1.001])
    assert np.array_equal(forgive(exact, Term(text="cofee")), exact)


def test_probability_is_the_logistic_function_of_similarity() -> None:
    expected = [1 / (1 + np.exp(8.0)), 0.5, 1 / (1 + np.exp(-2.0))]
    np.testing.assert_allclose(probabilities(rows([0.0, 0.8, 1.0]), CALIBRATION), [expected], rtol=1e-5)
