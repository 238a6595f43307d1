import pytest

from glyphseek.models.ocr import OcrLine, Similarity, score_readings
from glyphseek.models.ocr.similarity import spellings


def _line(text: str, confidence: float = 1.0) -> OcrLine:
    return OcrLine(text=text, confidence=confidence)


def _scores(query: str, similarity: Similarity, *images: list[OcrLine]) -> list[float]:
    names = [str(number) for number in range(len(images))]
    return score_readings(dict(zip(names, images, strict=True)), names, similarity)(query).tolist()


def test_spellings_are_words_and_the_whole_line() -> None:
    assert spellings([_line("Car-Park 24")]) == {"carpark", "24", "carpark24"}


def test_lines_of_low_confidence_and_lines_without_letters_are_dropped() -> None:
    assert spellings([_line("blur", 0.49), _line("sale", 0.5), _line("商店 !")]) == {"sale"}


def test_edit_similarity_is_one_minus_the_distance_over_the_longer() -> None:
    # sale -> sole: 1 of 4; sale -> sales: 1 of 5; the better of two words counts.
    assert _scores("sale", Similarity.EDIT, [_line("sole")], [_line("sales")], [_line("sole sales")]) == (
        pytest.approx([0.75, 0.8, 0.8])
    )


def test_a_word_that_the_engine_split_is_found_in_the_whole_line() -> None:
    assert _scores("coffee", Similarity.EDIT, [_line("COF FEE")]) == [1.0]


def test_an_image_without_text_scores_nothing() -> None:
    assert _scores("sale", Similarity.EDIT, [], [_line("sale")], []) == [0, 1, 0]
    assert _scores("sale", Similarity.EDIT_OR_PARTIAL, [], []) == [0, 0]


def test_a_word_inside_a_longer_one_is_worth_nine_tenths() -> None:
    assert _scores("coffee", Similarity.EDIT_OR_PARTIAL, [_line("thecoffeeclub")]) == pytest.approx([0.9])
    assert _scores("coffee", Similarity.EDIT, [_line("thecoffeeclub")]) == pytest.approx([6 / 13])


def test_a_shorter_word_inside_the_query_is_worth_its_edit_similarity_only() -> None:
    assert _scores("coffee", Similarity.EDIT_OR_PARTIAL, [_line("o")]) == pytest.approx([1 / 6])


def test_an_exact_word_beats_a_part() -> None:
    assert _scores("sale", Similarity.EDIT_OR_PARTIAL, [_line("sale")], [_line("wholesale")]) == pytest.approx([1, 0.9])


def test_marks_and_case_of_the_query_do_not_matter() -> None:
    assert _scores("70%", Similarity.EDIT, [_line("UP TO 70 % OFF")]) == [1.0]


def test_several_words_score_their_mean() -> None:
    assert _scores("open sale", Similarity.EDIT, [_line("open")], [_line("open sale")]) == pytest.approx([0.5, 1.0])


def test_a_query_without_letters_finds_nothing() -> None:
    assert _scores("%", Similarity.EDIT, [_line("sale")]) == [0]
