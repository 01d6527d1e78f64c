"""Certificates by a token, from the arbitrator's HTTPS service."""

from __future__ import annotations

import secrets

from thirdvote.device import client
from thirdvote.errors import UserError
from thirdvote.join_url import JoinUrl

RECEIPT_BYTES = 16


class TokenEnrolment:
    """As `join.Enrolment`."""

    def __init__(self, url: JoinUrl) -> None:
        self._url = url
        self._authority = ""
        self._receipt = secrets.token_hex(RECEIPT_BYTES)
        self._may_be_signed = False

    def authority(self) -> str:
        self._authority = client.fetch_authority(self._url)
        return self._authority

    def vote_port(self, cluster_name: str) -> int:
        return client.check(self._url, self._authority, cluster_name)

    def certificate(self, cluster_name: str, request: bytes) -> tuple[str, str]:
        self._may_be_signed = True
        try:
            return client.enrol(self._url, self._authority, cluster_name, request, self._receipt)
        except client.Refused:
            self._may_be_signed = False
            raise

    def keep(self, cluster_name: str) -> None:
        client.keep(self._url, self._authority, cluster_name, self._receipt)

    def give_back(self, cluster_name: str) -> str:
        if not self._may_be_signed:
            return "no certificate was signed"
        another = f"for another try make another token on the arbitrator: thirdvote enroll token {cluster_name}"
        try:
            usable = client.give_back(self._url, self._authority, cluster_name, self._receipt)
        except UserError as error:
            raise UserError(f"the token may be spent, and a certificate signed for nothing ({error})", another) from None
        return "the token can be used again" if usable else f"the token is over by now; {another}"
