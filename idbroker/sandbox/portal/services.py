"""The demo portals, in the order they are shown."""

from __future__ import annotations

from idbroker.sandbox.portal.danish import ALERIS_PORTAL, ALERISAPP_PORTAL, HAVNENS_PORTAL, PATIENTPORTALEN_PORTAL
from idbroker.sandbox.portal.doors import Service
from idbroker.sandbox.portal.finnish import VIDEOVISIT_PORTAL
from idbroker.sandbox.portal.neuroreg import NEUROREG_PORTAL
from idbroker.sandbox.portal.swedish import MINHALSA_PORTAL

SERVICES: tuple[Service, ...] = (
    ALERIS_PORTAL,
    PATIENTPORTALEN_PORTAL,
    MINHALSA_PORTAL,
    NEUROREG_PORTAL,
    VIDEOVISIT_PORTAL,
    HAVNENS_PORTAL,
    ALERISAPP_PORTAL,
)
