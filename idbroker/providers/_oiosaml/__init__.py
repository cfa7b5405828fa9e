"""What OIOSAML, the Danish profile of SAML, wants beside SAML itself: settings, asking, attributes, CPR match."""

from idbroker.providers._oiosaml.asking import requested as requested
from idbroker.providers._oiosaml.asking import wish as wish
from idbroker.providers._oiosaml.attributes import identity_of as identity_of
from idbroker.providers._oiosaml.cpr_match import CprMatch as CprMatch
from idbroker.providers._oiosaml.settings import Settings as Settings
from idbroker.providers._oiosaml.settings import mistakes_in as mistakes_in
