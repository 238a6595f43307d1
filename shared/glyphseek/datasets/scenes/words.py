"""What is written: dictionary words by frequency, names, numbers, made-up words, in the cases that signs use."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from faker import Faker
from wordfreq import top_n_list

from glyphseek.datasets.scenes.dice import between, chance, pick, pick_place
from glyphseek.datasets.scenes.numbers import draw_number
from glyphseek.errors import SettingError
from glyphseek.queries import normalize

SIGN_WORDS = (
    "open", "closed", "exit", "entrance", "parking", "no", "sale", "hotel", "restaurant", "cafe", "coffee", "bar",
    "pizza", "shop", "store", "market", "bank", "police", "taxi", "bus", "stop", "school", "hospital", "pharmacy",
    "museum", "library", "station", "airport", "street", "avenue", "road", "park", "center", "centre", "mall",
    "danger", "warning", "caution", "private", "property", "smoking", "entry", "way", "one", "keep", "out", "push",
    "pull", "men", "women", "toilet", "restroom", "information", "tickets", "welcome", "please", "thank", "you",
    "free", "delivery", "fresh", "best", "quality", "since", "est", "company", "co", "ltd", "inc", "the", "of",
    "and", "new", "old", "grand", "royal", "golden", "star", "king", "queen", "house", "club", "gym", "salon",
    "beauty", "barber", "bakery", "grill", "kitchen", "burger", "chicken", "beef", "seafood", "sushi", "noodles",
    "tea", "juice", "beer", "wine", "ice", "cream", "cake", "flowers", "books", "music", "cinema", "theatre",
    "studio", "gallery", "repair", "service", "auto", "car", "tyres", "garage", "fuel", "gas", "oil", "electric",
    "motors", "phone", "mobile", "computer", "fashion", "shoes", "jewelry", "sports", "football", "city", "team",
    "university", "college", "department", "office", "building", "floor", "level", "lift", "stairs", "fire", "hose",
    "emergency", "call", "help", "first", "aid", "speed", "limit", "zone", "loading", "only", "customers", "staff",
    "authorized", "personnel", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "am",
    "pm", "hours", "daily", "january", "march", "april", "june", "july", "october",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSettings:
    """What words are drawn, as relative shares; a share of 0 leaves a kind out."""

    languages: tuple[tuple[str, float], ...] = (
        ("en", 1.0),
        ("es", 0.07),
        ("fr", 0.07),
        ("de", 0.07),
        ("it", 0.05),
        ("ms", 0.06),
        ("id", 0.03),
    )
    """wordfreq languages and their relative shares."""
    vocabulary: int = 30_000
    """Most frequent words taken of each language."""
    flatness: float = 0.55
    """A word's weight is (rank + 40) to the power of minus this: 0 draws all words alike, 1 is Zipf's law."""
    dictionary: float = 0.50
    signs: float = 0.07
    names: float = 0.09
    numbers: float = 0.12
    made_up: float = 0.17
    jumbles: float = 0.05
    upper: float = 0.50
    title: float = 0.24
    """Cases of words; the rest is lower case, apart from 1 in 100 of random case."""
    punctuated: float = 0.05
    """Share of words with punctuation around or inside."""
    longest: int = 18
    """Characters of the longest word; longer ones are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSource:
    """An endless supply of words; `draw` never returns one whose normal form is excluded."""

    settings: WordSettings
    excluded: frozenset[str]
    _lists: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...] = field(repr=False)
    _list_shares: tuple[float, ...] = field(repr=False)
    _names: tuple[str, ...] = field(repr=False)
    _chain: dict[str, str] = field(repr=False)
    _kinds: tuple[float, ...] = field(repr=False)

    @classmethod
    def build(
        cls,
        settings: WordSettings | None = None,
        *,
        files: Sequence[Path] = (),
        exclude: Collection[str] = (),
    ) -> WordSource:
        """Return a source of the settings' languages plus plain files, one word a line, most frequent first.

        `exclude` holds words never drawn, compared in normal form. Files share the weight of a language of share 0.3.
        """
        chosen = settings or WordSettings()
        excluded = frozenset(normalize(word) for word in exclude)
        lists = [
            (_clean(top_n_list(language, chosen.vocabulary), chosen), share) for language, share in chosen.languages
        ]
        lists += [(_clean(_read_words(path), chosen), 0.3) for path in files]
        kept = [(tuple(word for word in words if normalize(word) not in excluded), share) for words, share in lists]
        kept = [(words, share) for words, share in kept if words]
        if not kept:
            raise SettingError("no dictionary word is left after exclusion")
        weighted = tuple((words, _rank_weights(len(words), chosen.flatness)) for words, _ in kept)
        kinds = (chosen.dictionary, chosen.signs, chosen.names, chosen.numbers, chosen.made_up, chosen.jumbles)
        return cls(
            settings=chosen,
            excluded=excluded,
            _lists=weighted,
            _list_shares=tuple(np.cumsum([share for _, share in kept]).tolist()),
            _names=_sample_names(),
            _chain=_letter_chain(kept[0][0]),
            _kinds=tuple(np.cumsum(kinds).tolist()),
        )

    def draw(self, rng: np.random.Generator) -> str:
        """Return one word as it is to be written: ASCII, no white space, at least one letter or digit."""
        for _ in range(200):
            text = self._draw_any(rng)
            normal = normalize(text)
            if normal and normal not in self.excluded and len(text) <= self.settings.longest:
                return text
        raise SettingError("200 draws gave excluded words only; exclude fewer words")

    def draw_plain(self, rng: np.random.Generator) -> str:
        """Return one dictionary word in lower case, for paragraphs and phrases."""
        words, cumulative = self._lists[pick_place(rng, self._list_shares)]
        return words[pick_place(rng, cumulative)]

    def _draw_any(self, rng: np.random.Generator) -> str:
        kind = pick_place(rng, self._kinds)
        if kind == 3:
            return draw_number(rng)
        if kind == 5:
            return _draw_jumble(rng)
        match kind:
            case 0:
                word = self.draw_plain(rng)
            case 1:
                word = pick(rng, SIGN_WORDS)
            case 2:
                word = pick(rng, self._names)
            case _:
                word = self._invent(rng)
        return _punctuate(rng, self._set_case(rng, word), self.settings.punctuated)

    def _set_case(self, rng: np.random.Generator, word: str) -> str:
        throw = rng.random()
        if throw < self.settings.upper:
            return word.upper()
        if throw < self.settings.upper + self.settings.title:
            return word[:1].upper() + word[1:]
        if throw > 0.99:
            return "".join(letter.upper() if chance(rng, 0.5) else letter for letter in word)
        return word

    def _invent(self, rng: np.random.Generator) -> str:
        """Return a made-up word that follows the letter triples of the first word list."""
        letters = "^^"
        while len(letters) < 2 + self.settings.longest:
            following = self._chain[letters[-2:]]
            letter = pick(rng, following)
            if letter == "$":
                break
            letters += letter
        return letters[2:]


def strip_marks(word: str) -> str:
    """Return the word without accents and other marks."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))


def _clean(words: Iterable[str], settings: WordSettings) -> tuple[str, ...]:
    """Return the words that can be drawn, each once, in their order."""
    bare = (strip_marks(word) for word in words)
    fit = (word for word in bare if word.isascii() and word.isprintable() and " " not in word)
    return tuple(dict.fromkeys(word for word in fit if normalize(word) and len(word) <= settings.longest))


def _read_words(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [columns[0] for line in lines if (columns := line.split())]


def _rank_weights(count: int, flatness: float) -> tuple[float, ...]:
    weights = (np.arange(count) + 40.0) ** -flatness
    return tuple(np.cumsum(weights).tolist())


def _sample_names() -> tuple[str, ...]:
    """Return 4000 names of people, places and firms, always the same ones, as single words."""
    faker = Faker("en_US")
    faker.seed_instance(2718)
    makers = (faker.first_name, faker.last_name, faker.city, faker.company)
    parts = (part.strip(",.'-") for place in range(4000) for part in makers[place % 4]().split())
    return tuple(dict.fromkeys(part for part in parts if part.isascii() and part.isalpha()))


def _letter_chain(words: Sequence[str]) -> dict[str, str]:
    """Return for every pair of letters all letters that follow it in the list, repeated as often as they do."""
    following: defaultdict[str, list[str]] = defaultdict(list)
    for word in words:
        if word.isalpha():
            padded = "^^" + word + "$"
            for place in range(len(padded) - 2):
                following[padded[place : place + 2]].append(padded[place + 2])
    return {pair: "".join(letters) for pair, letters in following.items()}


def _draw_jumble(rng: np.random.Generator) -> str:
    """Return 1 to 8 random letters and digits, as on plates and part numbers; letters only in half of them."""
    length = 1 + int(between(rng, 0, 8) * between(rng, 0.3, 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if chance(rng, 0.6) else "abcdefghijklmnopqrstuvwxyz"
    symbols = alphabet if chance(rng, 0.5) else alphabet + "01234567890123456789"
    return "".join(pick(rng, symbols) for _ in range(length))


def _punctuate(rng: np.random.Generator, word: str, share: float) -> str:
    if not chance(rng, share):
        return word
    shape = pick(
        rng, ("{},", "{}.", "{}!", "{}:", "({})", '"{}"', "{}'s", "#{}", "@{}", "{}?", "&{}", "{}-", "*{}*", "{}/")
    )
    return shape.format(word)
