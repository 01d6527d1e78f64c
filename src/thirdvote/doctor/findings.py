"""What `thirdvote doctor` can find: each kind has its id and its level here, and its row in docs/doctor.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any


class Level(IntEnum):
    """The worst of all findings decides the exit status."""

    OK = 0
    NOTE = 1
    WARNING = 2
    FAILURE = 3

    @property
    def word(self) -> str:
        return self.name.lower()


_OK, _NOTE, _WARNING, _FAILURE = Level.OK, Level.NOTE, Level.WARNING, Level.FAILURE


class Kind(Enum):
    # ---- the arbitrator and its host
    ARBITRATOR_ANSWERS = ("arbitrator-answers", _OK)
    ARBITRATOR_NOT_RUNNING = ("arbitrator-not-running", _FAILURE)
    ARBITRATOR_HANGS = ("arbitrator-hangs", _FAILURE)
    CONTROL_CLOSED = ("control-closed", _FAILURE)
    PORT_CLOSED = ("port-closed", _FAILURE)
    PORT_TAKEN = ("port-taken", _FAILURE)
    LISTENS_LOCALLY = ("listens-locally", _FAILURE)
    VERSION_OLD = ("version-old", _NOTE)
    TLS_NOT_REQUIRED = ("tls-not-required", _NOTE)
    TEST_ALGORITHM = ("test-algorithm", _WARNING)
    CONNECTIONS_NEARLY_USED = ("connections-nearly-used", _WARNING)
    OPEN_FILES_FEW = ("open-files-few", _NOTE)
    ENROLMENT_NOT_RUNNING = ("enrolment-not-running", _WARNING)
    ENROLMENT_ALWAYS_OPEN = ("enrolment-always-open", _WARNING)
    DATA_MISSING = ("data-missing", _FAILURE)
    DATA_OPEN = ("data-open", _WARNING)
    KEY_OPEN = ("key-open", _FAILURE)
    DATA_OF_ANOTHER_USER = ("data-of-another-user", _FAILURE)
    DATA_READ_ONLY = ("data-read-only", _FAILURE)
    DATA_FULL = ("data-full", _FAILURE)
    DATA_NEARLY_FULL = ("data-nearly-full", _WARNING)
    DATA_IN_MEMORY = ("data-in-memory", _WARNING)
    LEDGER_FAILING = ("ledger-failing", _FAILURE)
    LEDGER_DAMAGED = ("ledger-damaged", _FAILURE)
    LEDGER_INCOMPLETE = ("ledger-incomplete", _NOTE)
    HISTORY_FAILING = ("history-failing", _WARNING)
    CERTIFICATES_UNUSABLE = ("certificates-unusable", _FAILURE)
    CERTIFICATE_ENDED = ("certificate-ended", _FAILURE)
    CERTIFICATE_ENDS = ("certificate-ends", _WARNING)
    CLOCK_NOT_SYNCHRONIZED = ("clock-not-synchronized", _NOTE)
    CLOCKS_DIFFER = ("clocks-differ", _WARNING)

    # ---- clusters, as the arbitrator sees them
    NO_CLUSTER_CONNECTED = ("no-cluster-connected", _WARNING)
    NODE_NOT_CONNECTED = ("node-not-connected", _WARNING)
    NODE_WITHOUT_VOTE = ("node-without-vote", _WARNING)
    VOTE_WAITS = ("vote-waits", _WARNING)
    OVERLAP_POSSIBLE = ("overlap-possible", _NOTE)
    STOCK_ARBITRATOR = ("stock-arbitrator", _NOTE)

    # ---- a node
    NODE_NOT_REACHED = ("node-not-reached", _WARNING)
    PROGRAM_MISSING = ("program-missing", _FAILURE)
    COROSYNC_NOT_RUNNING = ("corosync-not-running", _FAILURE)
    COROSYNC_HANGS = ("corosync-hangs", _FAILURE)
    NOT_QUORATE = ("not-quorate", _FAILURE)
    NODES_MISSING = ("nodes-missing", _WARNING)
    UNIT_NOT_ENABLED = ("unit-not-enabled", _WARNING)
    CONF_UNREADABLE = ("conf-unreadable", _FAILURE)
    CONF_NOT_IN_FORCE = ("conf-not-in-force", _WARNING)
    CONF_DIFFERS = ("conf-differs", _FAILURE)
    NO_DEVICE = ("no-device", _WARNING)
    DEVICE_SECTION_INVALID = ("device-section-invalid", _FAILURE)
    DEVICE_EXCLUDED = ("device-excluded", _FAILURE)
    VOTES_UNEQUAL = ("votes-unequal", _FAILURE)
    ODD_NODES = ("odd-nodes", _WARNING)
    EXPECTED_VOTES_WRONG = ("expected-votes-wrong", _WARNING)
    DEVICE_TLS_OFF = ("device-tls-off", _WARNING)
    HAND_OVER_SLOW = ("hand-over-slow", _NOTE)
    ARBITRATOR_TO_BE_TOLD = ("arbitrator-to-be-told", _NOTE)
    ARBITRATOR_NOT_TOLD = ("arbitrator-not-told", _WARNING)
    ARBITRATOR_ON_ITS_NODE = ("arbitrator-on-its-node", _FAILURE)
    ARBITRATOR_ELSEWHERE = ("arbitrator-elsewhere", _WARNING)

    # ---- the device of a node, and its vote
    DEVICE_VOTES = ("device-votes", _OK)
    DEVICE_NOT_RUNNING = ("device-not-running", _FAILURE)
    DEVICE_HANGS = ("device-hangs", _FAILURE)
    DEVICE_NOT_CONNECTED = ("device-not-connected", _FAILURE)
    DEVICE_WAITS = ("device-waits", _WARNING)
    DEVICE_CASTS_ALONE = ("device-casts-alone", _WARNING)
    VOTE_REFUSED = ("vote-refused", _WARNING)
    HEURISTICS_FAIL = ("heuristics-fail", _WARNING)
    DEVICE_SETTINGS_OLD = ("device-settings-old", _WARNING)

    # ---- its certificates
    NODE_DATABASE_MISSING = ("node-database-missing", _FAILURE)
    NODE_DATABASE_UNREADABLE = ("node-database-unreadable", _FAILURE)
    NODE_DATABASE_OPEN = ("node-database-open", _WARNING)
    NODE_AUTHORITY_MISSING = ("node-authority-missing", _FAILURE)
    NODE_CERTIFICATE_MISSING = ("node-certificate-missing", _FAILURE)
    NODE_KEY_MISSING = ("node-key-missing", _FAILURE)
    NODE_CERTIFICATE_OF_ANOTHER_AUTHORITY = ("node-certificate-of-another-authority", _FAILURE)
    NODE_CERTIFICATE_OF_ANOTHER_CLUSTER = ("node-certificate-of-another-cluster", _FAILURE)
    NODE_CERTIFICATE_ENDED = ("node-certificate-ended", _FAILURE)
    NODE_CERTIFICATE_ENDS = ("node-certificate-ends", _WARNING)
    NODE_CERTIFICATES_DIFFER = ("node-certificates-differ", _WARNING)
    NODE_CERTIFICATE_REVOKED = ("node-certificate-revoked", _FAILURE)

    # ---- the way to the arbitrator
    ARBITRATOR_REACHED = ("arbitrator-reached", _OK)
    NAME_UNKNOWN = ("name-unknown", _FAILURE)
    NAMES_DIFFER = ("names-differ", _WARNING)
    ARBITRATOR_BY_NAME = ("arbitrator-by-name", _NOTE)
    CONNECTION_REFUSED = ("connection-refused", _FAILURE)
    CONNECTION_TIMED_OUT = ("connection-timed-out", _FAILURE)
    NO_ARBITRATOR_ANSWERS = ("no-arbitrator-answers", _FAILURE)
    TLS_DIFFERS = ("tls-differs", _FAILURE)
    TLS_FAILS = ("tls-fails", _FAILURE)
    ANOTHER_ARBITRATOR = ("another-arbitrator", _FAILURE)
    SERVER_CERTIFICATE_ENDED = ("server-certificate-ended", _WARNING)
    SERVER_CERTIFICATE_WRONG = ("server-certificate-wrong", _FAILURE)
    CERTIFICATE_REFUSED = ("certificate-refused", _FAILURE)
    PATH_SLOW = ("path-slow", _WARNING)

    @property
    def id(self) -> str:
        return self.value[0]

    @property
    def level(self) -> Level:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    where: str
    what: str
    """One sentence for a person."""
    evidence: str = ""
    """Where it was seen, or what a program said."""
    remedy: tuple[str, ...] = ()
    """Commands for a person, in their order; what is none begins with `#`."""
    fix: tuple[str, ...] = ()
    """The command with which `--fix` mends it, on `where`; none where a person has to judge."""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.kind.id,
            "level": self.kind.level.word,
            "where": self.where,
            "what": self.what,
            "evidence": self.evidence,
            "remedy": list(self.remedy),
            "fix": list(self.fix),
        }


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.kind.level for finding in findings), default=Level.OK)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; else as they came."""
    return sorted(dict.fromkeys(findings), key=lambda finding: -finding.kind.level)
