"""Numbers as signs write them: prices, phones, years, times, room numbers, plates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glyphseek.datasets.scenes.dice import chance, pick


def draw_number(rng: np.random.Generator) -> str:
    """Return one number without spaces, with its usual signs (currency, percent, dashes) in place."""
    return pick(rng, _KINDS)(rng)


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(pick(rng, "0123456789") for _ in range(count))


def _plain(rng: np.random.Generator) -> str:
    return pick(rng, "123456789") + _digits(rng, pick(rng, (0, 0, 1, 1, 1, 2, 2, 3, 4)))


def _year(rng: np.random.Generator) -> str:
    return pick(rng, ("19", "20", "18", "20")) + _digits(rng, 2)


def _price(rng: np.random.Generator) -> str:
    amount = _plain(rng)[:3] + (
        pick(rng, (".00", ".50", ".99", ".95", "." + _digits(rng, 2))) if chance(rng, 0.7) else ""
    )
    return pick(rng, ("$", "$", "", "", "RM", "S$")) + amount


def _phone(rng: np.random.Generator) -> str:
    dash = pick(rng, ("-", "-", ".", ""))
    groups = pick(rng, ((3, 4), (4, 4), (3, 3, 4), (4, 3, 3)))
    return dash.join(_digits(rng, count) for count in groups)


def _clock(rng: np.random.Generator) -> str:
    minutes = pick(rng, ("00", "30", "15", "45"))
    return f"{1 + int(rng.random() * 12)}{pick(rng, (':', '.'))}{minutes}{pick(rng, ('', 'am', 'pm', 'AM', 'PM'))}"


def _room(rng: np.random.Generator) -> str:
    dash = pick(rng, ("-", "", "/"))
    return pick(rng, ("#", "B", "A", "L", "", "")) + _digits(rng, 2) + dash + _digits(rng, pick(rng, (2, 2, 3)))


def _plate(rng: np.random.Generator) -> str:
    letters = "".join(pick(rng, "ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(pick(rng, (1, 2, 3))))
    return letters + _digits(rng, pick(rng, (2, 3, 4))) + pick(rng, ("", "", "A", "X", "K"))


def _percent(rng: np.random.Generator) -> str:
    return f"{_plain(rng)[:2]}%"


def _ordinal(rng: np.random.Generator) -> str:
    return f"{_plain(rng)[:2]}{pick(rng, ('st', 'nd', 'rd', 'th', 'TH', 'kg', 'ml', 'km', 'g', 'm', 'F', '+', '/7'))}"


_KINDS: tuple[Callable[[np.random.Generator], str], ...] = (
    _plain,
    _plain,
    _plain,
    _year,
    _year,
    _price,
    _price,
    _phone,
    _clock,
    _room,
    _plate,
    _plate,
    _percent,
    _ordinal,
)
