"""A sign-in by staff ends by itself, and the service hears of it: nobody presses anything, and no page is open."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

from werkzeug.wrappers import Request, Response

from idbroker.clock import StoppedClock
from idbroker.patients.assisting import LIFE
from tests.office.helping_house import SERVICE, claims, open_clinic
from tests.sandbox.loopback import serve

SECOND = timedelta(seconds=1)


def test_told_at_the_thirtieth_minute(tmp_path: Path, clock: StoppedClock) -> None:
    """The courier, which looks by itself, has a logout token for the service at that very moment, and not before."""
    heard: list[str] = []

    @Request.application
    def service(request: Request) -> Response:
        heard.append(parse_qs(request.get_data(as_text=True))["logout_token"][0])
        return Response(status=200)

    with serve(lambda _: service) as address:
        client = {**SERVICE, "backchannel_logout_uri": f"{address}/backchannel"}
        with open_clinic(tmp_path, clock, client=client, sandbox=True) as clinic:
            tablet, _ = clinic.begun()
            told = claims(clinic.redeemed(tablet)["id_token"])
            backchannel = clinic.house.backchannel

            clock.move(LIFE - SECOND)
            assert backchannel.deliver(clock.now()) == 0
            clock.move(SECOND)
            assert backchannel.deliver(clock.now()) == 1

    assert claims(heard[0])["sid"] == told["sid"]
    assert claims(heard[0])["sub"] == told["sub"]
