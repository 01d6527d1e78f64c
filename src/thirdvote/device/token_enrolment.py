"""Certificates by a token, from the arbitrator's HTTPS service."""

from __future__ import annotations

from thirdvote.device import client
from thirdvote.join_url import JoinUrl


class TokenEnrolment:
    """As `join.Enrolment`."""

    def __init__(self, url: JoinUrl) -> None:
        self._url = url
        self._authority = ""

    def authority(self) -> str:
        self._authority = client.fetch_authority(self._url)
        return self._authority

    def vote_port(self, cluster_name: str) -> int:
        return client.check(self._url, self._authority, cluster_name)

    def certificate(self, cluster_name: str, request: bytes) -> tuple[str, str]:
        return client.enrol(self._url, self._authority, cluster_name, request)
