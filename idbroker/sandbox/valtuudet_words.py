"""The words of the simulated e-Authorizations' page, Finnish, Swedish and English."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, Mapping[str, str]] = {
    "fi": {
        "title": "Simuloitu Suomi.fi-valtuudet - ei aito",
        "banner": "SANDBOX: keksittyjä henkilöitä, ei aitoja valtuuksia",
        "languages": "Valitse kieli",
        "own": "Suomi",
        "as": "Olet tunnistautunut:",
        "who": "Kenen puolesta asioit?",
        "nobody": "Sinulla ei ole ketään, kenen puolesta voisit asioida.",
        "go": "Vahvista ja siirry palveluun",
        "cancel_button": "Keskeytä ja palaa palveluun",
        "sorry": "Tämä ei onnistu",
    },
    "sv": {
        "title": "Simulerade Suomi.fi-fullmakter - inte de riktiga",
        "banner": "SANDBOX: påhittade personer, inga riktiga fullmakter",
        "languages": "Välj språk",
        "own": "Svenska",
        "as": "Du har identifierat dig som",
        "who": "För vem sköter du ärenden?",
        "nobody": "Det finns ingen som du kan sköta ärenden för.",
        "go": "Bekräfta och gå till tjänsten",
        "cancel_button": "Avbryt och gå tillbaka till tjänsten",
        "sorry": "Det här går inte",
    },
    "en": {
        "title": "Simulated Suomi.fi e-Authorizations - not the real ones",
        "banner": "SANDBOX: made-up people, no real authorizations",
        "languages": "Choose language",
        "own": "English",
        "as": "You have identified yourself as",
        "who": "On whose behalf do you act?",
        "nobody": "There is nobody on whose behalf you can act.",
        "go": "Confirm and go to the service",
        "cancel_button": "Cancel and go back to the service",
        "sorry": "This cannot be done",
    },
}
