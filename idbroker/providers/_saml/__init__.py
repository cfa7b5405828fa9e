"""What SAML providers share: the table, the other side's metadata, ours, and the messages between us."""

from idbroker.keyset import Chain, Use
from idbroker.providers._saml.described import OurMetadata as OurMetadata
from idbroker.providers._saml.party import Party as Party
from idbroker.providers._saml.party import Terms as Terms
from idbroker.providers._saml.party import Wish as Wish
from idbroker.providers._saml.party import logout_of as logout_of
from idbroker.providers._saml.party import names_of as names_of
from idbroker.providers._saml.settings import SamlSettings as SamlSettings
from idbroker.providers._saml.settings import saml_mistakes as saml_mistakes

CHAINS = (Chain(Use.SAML_SIGN, "RS256"), Chain(Use.SAML_ENC, "RSA-OAEP-256"))
