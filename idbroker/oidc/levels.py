"""How levels of assurance are spelled on the wire, in `acr_values` and `acr`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from idbroker.identity import LoA

_SPELLINGS: tuple[Mapping[LoA, str], ...] = (
    {loa: loa.word for loa in LoA},
    # eIDAS technical specification, attribute profile 1.2.
    {loa: f"http://eidas.europa.eu/LoA/{loa.word}" for loa in LoA},
    # Danish National Standard for Identity Assurance Levels (NSIS).
    {loa: f"https://data.gov.dk/concept/core/nsis/{loa.word.capitalize()}" for loa in LoA},
    # Finnish Trust Network, Traficom 213/2023 S: loa2 is substantial, loa3 is high.
    {LoA.SUBSTANTIAL: "http://ftn.ficora.fi/2017/loa2", LoA.HIGH: "http://ftn.ficora.fi/2017/loa3"},
    # Swedish eID framework. Without Digg's review an operator may only say "uncertified".
    {LoA.SUBSTANTIAL: "http://id.swedenconnect.se/loa/1.0/uncertified-loa3"},
)

SUPPORTED = tuple(spelling for table in _SPELLINGS for spelling in table.values())


def level_of(spelling: str) -> LoA | None:
    """Return the level a spelling means, or None for one we do not know."""
    return next((loa for table in _SPELLINGS for loa, text in table.items() if text == spelling), None)


def spell(loa: LoA, asked: Collection[str] = (), *, essential: bool = False) -> str:
    """Return the `acr` of a level received, in the first asked spelling family that has a word for it.

    Where the asked values are essential, the highest of them that is met: the answer must be one of
    them (Core 5.5.1.1), and may say less than was received, never more.
    """
    met = [(level, spelling) for spelling in asked if (level := level_of(spelling)) is not None and level <= loa]
    if essential and met:
        return max(met, key=lambda pair: pair[0])[1]
    for spelling in asked:
        for table in _SPELLINGS:
            if spelling in table.values() and loa in table:
                return table[loa]
    return loa.word


def lowest(spellings: Iterable[str]) -> LoA | None:
    """Return the lowest level among spellings, or None when we know none of them."""
    return min((loa for loa in map(level_of, spellings) if loa is not None), default=None)
