"""The faces that text is drawn with: found, checked for readable ASCII, and drawn at random by family."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import ImageFont

from glyphseek.datasets.scenes.dice import pick, pick_place
from glyphseek.datasets.scenes.likeness import is_greek, likeness
from glyphseek.errors import SettingError

FONT_PACKAGES = (
    "font_roboto",
    "font_source_serif_pro",
    "font_hanken_grotesk",
    "font_manrope",
    "font_intuitive",
    "font_fredoka_one",
    "font_amatic_sc",
    "font_caladea",
    "matplotlib",
)
"""Installed Python packages that carry font files anywhere below their folder."""

SYSTEM_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")

NEEDED = "".join(map(chr, range(ord("0"), ord("9") + 1))) + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

LEAST_LIKENESS = 0.38
"""A face whose letters look less like plain ones than this is taken for a picture font; see `likeness.py`."""

_SURELY_LATIN = 0.65
"""A face this plain is not asked whether its letters are Greek; those that are have 0.47 to 0.53."""

STYLE_SHARES = {"script": 0.18, "blackletter": 0.03, "display": 0.16, "serif": 0.09, "sans": 0.06}
"""Share of draws of the families that `fonts-fontsource.txt` lists by style, as far as they are installed; families of
one style are drawn equally often. Script is as frequent in draws as it is hard to read, not as it is on signs."""

_JOINED = 0.5
"""Script less plain than this is joined or ornate: signs set it in capitals only for initials."""

_SUFFIXES = frozenset({".ttf", ".otf", ".pfb", ".woff", ".woff2"})
_PICTORIAL_PANOSE = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One font file. `likeness` in [0, 1] says how plain its letters are; `lacks` is ASCII it cannot draw.

    `style` is one of STYLE_SHARES for a listed family, empty for any other.
    """

    path: Path
    family: str
    likeness: float
    lacks: frozenset[str]
    style: str = ""

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """Return the face at `size` pixels per em; the same object for the same size."""
        return _load_font(str(self.path), size)

    def set_case(self, word: str) -> str:
        """Return the word as signs set it in this face: no row of capitals in joined script."""
        joined = self.style == "script" and self.likeness < _JOINED
        return word[:1] + word[1:].lower() if joined and word.isupper() else word


@dataclass(frozen=True, slots=True, kw_only=True)
class FontBook:
    """Families of faces. Those of a listed style share its STYLE_SHARES; of the others, plain families are drawn more
    often than fanciful ones. Faces of one family are drawn equally often."""

    families: tuple[tuple[Face, ...], ...]
    _cumulative: tuple[float, ...] = field(repr=False)

    @classmethod
    def of(cls, faces: Sequence[Face]) -> FontBook:
        """Return a book of these faces; the order given does not matter."""
        groups: defaultdict[str, list[Face]] = defaultdict(list)
        for face in sorted(faces, key=lambda face: (face.family, face.path.name, str(face.path))):
            groups[face.family].append(face)
        families = tuple(tuple(groups[name]) for name in sorted(groups))
        return cls(families=families, _cumulative=tuple(np.cumsum(_weigh(families)).tolist()))

    @classmethod
    def discover(cls, folders: Sequence[Path] | None = None, *, minimum: int = 8) -> FontBook:
        """Return every readable Latin face of the installed font packages, the system and the given folders.

        With `folders` only those are searched. Raises SettingError when fewer than `minimum` faces are found.
        """
        logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of harmless padding in other people's fonts
        found = {path.name: path for folder in _all_folders(folders) for path in _font_files(folder)}
        faces = [face for name in sorted(found) if (face := _inspect(found[name])) is not None]
        if len(faces) < minimum:
            raise SettingError(
                f"found {len(faces)} usable fonts, need {minimum}; install glyphseek[render] or name folders"
            )
        return cls.of(faces)

    @property
    def faces(self) -> tuple[Face, ...]:
        """Return all faces, family by family."""
        return tuple(face for family in self.families for face in family)

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits that change with the set of font files (names and contents)."""
        digest = hashlib.sha256()
        for face in self.faces:
            digest.update(face.path.name.encode())
            digest.update(hashlib.sha256(face.path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    def draw(self, rng: np.random.Generator, text: str) -> Face:
        """Return a random face that has all characters of `text`; after 50 misses the plainest face there is."""
        for _ in range(50):
            face = pick(rng, self.families[pick_place(rng, self._cumulative)])
            if face.lacks.isdisjoint(text):
                return face
        return max(self.faces, key=lambda face: (face.lacks.isdisjoint(text), face.likeness))


def _weigh(families: Sequence[Sequence[Face]]) -> list[float]:
    """Return how often each family is drawn, relative to the others."""
    plain = [max(0.02, max(face.likeness for face in family) - LEAST_LIKENESS) for family in families]
    styles = [family[0].style for family in families]
    counts = Counter(style for style in styles if style)
    rest = sum(weight for weight, style in zip(plain, styles, strict=True) if not style) or 1.0
    total = rest / (1 - sum(STYLE_SHARES[style] for style in counts))
    return [
        STYLE_SHARES[style] * total / counts[style] if style else weight
        for weight, style in zip(plain, styles, strict=True)
    ]


@cache
def _listed_styles() -> dict[str, str]:
    """Return the style of each family of `fonts-fontsource.txt`, by the name its files begin with."""
    rows = Path(__file__).with_name("fonts-fontsource.txt").read_text(encoding="utf-8").splitlines()
    return {name.partition("@")[0]: style for name, style, _ in (row.split() for row in rows if row[:1] != "#")}


def _all_folders(folders: Sequence[Path] | None) -> Iterator[Path]:
    if folders is not None:
        yield from folders
        return
    for name in FONT_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent
    yield from SYSTEM_FOLDERS


def _font_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES)


@cache
def _inspect(path: Path) -> Face | None:
    """Return the face in a file, or None when it cannot draw readable ASCII words."""
    try:
        with path.open("rb") as file, TTFont(file, lazy=True, fontNumber=0) as font:
            characters = font.getBestCmap() or {}
            family = _family_name(font) or path.stem
            pictorial = _panose_family(font) == _PICTORIAL_PANOSE
        if pictorial or any(ord(character) not in characters for character in NEEDED):
            return None
        plainness = likeness(_load_font(str(path), 32))
        listed = path.name.partition("-latin-")[0]
        style = _listed_styles().get(listed, "") if "-latin-" in path.name else ""
    except (TTLibError, OSError, ValueError, KeyError, AssertionError, ImportError) as error:  # WOFF2 needs brotli
        _log.debug("font skipped path=%s reason=%s", path, error)
        return None
    if style:  # known to be Latin writing, however fanciful
        family = listed
    elif plainness < LEAST_LIKENESS or (plainness < _SURELY_LATIN and is_greek(_load_font(str(path), 32))):
        return None
    lacks = frozenset(chr(code) for code in range(33, 127) if code not in characters)
    return Face(path=path, family=family, likeness=plainness, lacks=lacks, style=style)


def _panose_family(font: TTFont) -> int:
    panose = getattr(font["OS/2"], "panose", None) if "OS/2" in font else None
    return int(getattr(panose, "bFamilyType", 0))


def _family_name(font: TTFont) -> str:
    name = font["name"].getDebugName(16) or font["name"].getDebugName(1)
    return str(name).strip() if name else ""


@lru_cache(maxsize=4096)
def _load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
