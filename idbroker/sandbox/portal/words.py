"""The words that every demo portal needs, by language."""

from __future__ import annotations

from collections.abc import Mapping

DANISH: Mapping[str, str] = {
    "login": "Log ind", "logout": "Log ud", "help": "Hjælp", "doors": "Hvad vil du?", "you": "Dig",
    "signed_in": "Du er logget ind som", "protected": "en person med beskyttet navn", "name": "Navn",
    "born": "Født", "number": "CPR-nummer", "level": "Sikringsniveau", "when": "Logget ind kl.",
    "goodbye": "Du er logget ud", "close": "Luk alle browservinduer, hvis andre bruger denne enhed.",
    "front": "Til forsiden", "cancelled": "Du loggede ikke ind",
    "cancelled_text": "Login blev afbrudt. Du kan prøve igen eller ringe til klinikken.",
    "failed": "Vi kunne ikke logge dig ind", "failed_text": "Prøv igen. Hjælper det ikke, så ring til klinikken.",
    "again": "Prøv igen", "skip": "Gå til indhold", "happened": "What just happened", "opens": "Linket fører hertil:",
    "open": "Åbn", "lost": "Den side findes ikke", "lost_text": "Linket kan være forkert eller for gammelt.",
    "strange": "Dette login begyndte ikke i denne browser",
    "strange_text": "Det kan være afsluttet i et andet vindue. Gå til forsiden, og log ind derfra.",
    "here": "Vælg her", "support": "Hjælp", "language": "Sprog",
    "banner": "opdigtede personer, intet rigtigt eID",
    "unknown": "Du er logget ind, men har ikke adgang",
}  # fmt: skip
SWEDISH: Mapping[str, str] = {
    "login": "Logga in", "logout": "Logga ut", "help": "Hjälp", "doors": "Vad vill du göra?", "you": "Du",
    "signed_in": "Du är inloggad som", "protected": "en person med skyddat namn", "name": "Namn",
    "born": "Född", "number": "Personnummer", "level": "Tillitsnivå", "when": "Inloggad kl.",
    "goodbye": "Du är utloggad", "close": "Stäng alla webbläsarfönster om andra använder den här enheten.",
    "front": "Till startsidan", "cancelled": "Du loggade inte in",
    "cancelled_text": "Inloggningen avbröts. Försök igen, eller ring mottagningen.",
    "failed": "Vi kunde inte logga in dig", "failed_text": "Försök igen. Hjälper det inte, ring mottagningen.",
    "again": "Försök igen", "skip": "Gå till innehållet", "happened": "What just happened",
    "opens": "Länken leder hit:", "open": "Öppna", "lost": "Sidan finns inte",
    "lost_text": "Länken kan vara fel eller för gammal.",
    "strange": "Den här inloggningen började inte i den här webbläsaren",
    "strange_text": "Den kan vara klar i ett annat fönster. Gå till startsidan och logga in därifrån.",
    "here": "Välj här", "support": "Hjälp", "language": "Språk",
    "banner": "påhittade personer, ingen riktig e-legitimation",
    "unknown": "Du är inloggad men har inte tillgång",
}  # fmt: skip
ENGLISH: Mapping[str, str] = {
    "login": "Log in", "logout": "Log out", "help": "Help", "doors": "What do you want to do?", "you": "You",
    "signed_in": "You are logged in as", "protected": "a person whose name is protected", "name": "Name",
    "born": "Born", "number": "CPR number", "level": "Level of assurance", "when": "Logged in at",
    "goodbye": "You are logged out", "close": "Close all browser windows if others use this device.",
    "front": "To the front page", "cancelled": "You did not log in",
    "cancelled_text": "The login was cancelled. Try again, or call the clinic.",
    "failed": "We could not log you in", "failed_text": "Try again. If that does not help, call the clinic.",
    "again": "Try again", "skip": "Skip to content", "happened": "What just happened", "opens": "The link leads here:",
    "open": "Open", "lost": "There is no such page", "lost_text": "The link may be wrong or too old.",
    "strange": "This login did not begin in this browser",
    "strange_text": "It may be finished in another window. Go to the front page and log in from there.",
    "here": "Choose here", "support": "Support", "language": "Language",
    "banner": "invented people, no real eID",
    "unknown": "You are logged in, but have no access",
}  # fmt: skip
