from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import request
from tests.https_here import https_here
from thirdvote.device.token_enrolment import TokenEnrolment
from thirdvote.errors import UserError


def test_asked_looked_at_and_spent(tmp_path: Path) -> None:
    with https_here(tmp_path) as here:
        enrolment = TokenEnrolment(here.token())
        authority = enrolment.authority()
        assert enrolment.vote_port("office") == 5403
        with pytest.raises(UserError, match="is for the cluster 'office'"):
            enrolment.vote_port("other")
        certificate, authorities = enrolment.certificate("office", request("office"))
        assert certificate.startswith("-----BEGIN CERTIFICATE-----")
        assert authorities.strip() == authority.strip()
        with pytest.raises(UserError, match="was used"):
            enrolment.certificate("office", request("office"))
