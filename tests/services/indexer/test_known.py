from contracts.stores import make_record

from glyphseek_indexer.known import Known


def test_it_knows_which_content_has_which_name_and_no_other_pair() -> None:
    known = Known.of([make_record("a", names=["x.jpg", "y.jpg"]), make_record("b", names=["z.jpg"])])

    assert known.has("hash-of-a", "y.jpg")
    assert known.has("hash-of-b", "z.jpg")
    assert not known.has("hash-of-a", "z.jpg")
    assert not known.has("hash-of-c", "x.jpg")


def test_it_knows_names_whatever_their_content() -> None:
    known = Known.of([make_record("a", names=["x.jpg"])])

    assert known.has_name("x.jpg")
    assert not known.has_name("X.jpg")


def test_of_an_empty_collection_nothing_is_known() -> None:
    known = Known.of([])

    assert not known.has("hash-of-a", "x.jpg")
    assert not known.has_name("")


def test_names_of_odd_characters_are_known() -> None:
    known = Known.of([make_record("a", names=["é\\xff/雨.jpg"])])

    assert known.has_name("é\\xff/雨.jpg")


def test_sixteen_bytes_are_kept_for_a_name() -> None:
    known = Known.of(make_record(f"i{n}", names=[f"{n}.jpg"]) for n in range(1000))

    assert known.pairs.nbytes + known.names.nbytes == 16_000
    assert all(known.has(f"hash-of-i{n}", f"{n}.jpg") for n in range(1000))
