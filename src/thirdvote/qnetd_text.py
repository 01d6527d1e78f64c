"""What Debian's corosync-qnetd-tool prints: the stock server's words for what it serves, byte for byte.

One thing differs: a cluster's name is escaped, so that it can not end a line or speak to a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thirdvote.arbiter.snapshot import ClusterSnapshot, NodeSnapshot
from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeInfo, TieBreaker, TieBreakerMode, TlsSupport, Vote, quoted

ALGORITHMS = {
    Algorithm.TEST: "Test",
    Algorithm.FFSPLIT: "Fifty-Fifty split",
    Algorithm.TWO_NODE_LMS: "2 Node LMS",
    Algorithm.LMS: "LMS",
}
_TLS = {TlsSupport.UNSUPPORTED: "Unsupported", TlsSupport.SUPPORTED: "Supported", TlsSupport.REQUIRED: "Required"}
_VOTES = {
    Vote.ACK: "ACK",
    Vote.NACK: "NACK",
    Vote.ASK_LATER: "Ask later",
    Vote.WAIT_FOR_REPLY: "Wait for reply",
    Vote.NO_CHANGE: "No change",
}
_HEURISTICS = {Heuristics.UNDEFINED: "Undefined", Heuristics.PASS: "Pass", Heuristics.FAIL: "Fail"}


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """`host` is the address as it was given, None for all; `max_clients` 0 means no limit."""

    host: str | None
    port: int
    tls: TlsSupport
    client_certificate: bool
    clients: int
    clusters: int
    max_clients: int
    send_size: int
    receive_size: int


def status_text(status: ServerStatus, verbose: bool) -> str:
    certificate = " (client certificate required)" if status.tls is not TlsSupport.UNSUPPORTED and status.client_certificate else ""
    lines = [
        f"QNetd address:\t\t\t{status.host or '*'}:{status.port}",
        f"TLS:\t\t\t\t{_TLS[status.tls]}{certificate}",
        f"Connected clients:\t\t{status.clients}",
        f"Connected clusters:\t\t{status.clusters}",
    ]
    if verbose and status.max_clients:
        lines.append(f"Maximum allowed clients:\t{status.max_clients}")
    if verbose:
        lines.append(f"Maximum send/receive size:\t{status.send_size}/{status.receive_size} bytes")
    return _joined(lines)


def cluster_text(cluster: ClusterSnapshot, verbose: bool) -> str:
    keep = " (KAP Tie-breaker)" if cluster.keep_active_partition else ""
    lines = [
        f'Cluster "{quoted(cluster.name)}":',
        f"    Algorithm:\t\t{ALGORITHMS[cluster.algorithm]}{keep}",
        f"    Tie-breaker:\t{_tie_breaker(cluster.tie_breaker)}",
    ]
    for node in cluster.nodes:
        lines.append(f"    Node ID {node.node_id}:")
        lines.extend(f"        {line}" for line in _node_lines(node, verbose))
    return _joined(lines)


def _node_lines(node: NodeSnapshot, verbose: bool) -> Iterator[str]:
    yield f"Client address:\t\t{node.address}"
    if verbose:
        yield f"HB interval:\t\t{node.heartbeat_ms}ms"
    if node.config_version is not None:
        yield f"Configuration version:\t{node.config_version}"
    if node.config_list:
        yield f"Configured node list:\t{_node_list(node.config_list)}"
    if verbose:
        yield f"Ring ID:\t\t{node.ring_id}"
    if node.membership_list:
        yield f"Membership node list:\t{_node_list(node.membership_list)}"
    if verbose or node.heuristics is not Heuristics.UNDEFINED:
        yield f"Heuristics:\t\t{_heuristics(node, verbose)}"
    if verbose:
        verified = " (client certificate verified)" if node.certificate_verified else ""
        yield f"TLS active:\t\t{'Yes' if node.tls_active else 'No'}{verified}"
    if node.last_vote is not None:
        last = f" ({_VOTES[node.last_ack_or_nack]})" if node.last_ack_or_nack is not None else ""
        yield f"Vote:\t\t\t{_VOTES[node.last_vote]}{last}"


def _heuristics(node: NodeSnapshot, verbose: bool) -> str:
    latest = _HEURISTICS[node.heuristics]
    if not verbose:
        return latest
    return f"{latest} (membership: {_HEURISTICS[node.heuristics_membership]}, regular: {_HEURISTICS[node.heuristics_regular]})"


def _node_list(nodes: Sequence[NodeInfo]) -> str:
    return ", ".join(f"{node.node_id} ({node.data_center_id})" if node.data_center_id else str(node.node_id) for node in nodes)


def _tie_breaker(tie_breaker: TieBreaker) -> str:
    match tie_breaker.mode:
        case TieBreakerMode.LOWEST:
            return "Node with lowest node ID"
        case TieBreakerMode.HIGHEST:
            return "Node with highest node ID"
        case TieBreakerMode.NODE_ID:
            return f"Node with node ID {tie_breaker.node_id}"


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# ---- what the tool asks


def split_words(line: bytes) -> list[bytes]:
    """Words of a request, with the stock server's quotes: a backslash protects one byte, in quotes only `"` and itself."""
    words: list[bytes] = []
    word: bytearray | None = None
    in_quotes = False
    position = 0
    while position < len(line):
        byte, following = line[position : position + 1], line[position + 1 : position + 2]
        position += 1
        if byte == b'"':
            in_quotes = not in_quotes
            word = bytearray() if word is None else word
        elif byte.isspace() and not in_quotes:
            words += [] if word is None else [bytes(word)]
            word = None
        else:
            if byte == b"\\" and (following in (b'"', b"\\") or not in_quotes):
                position += 1
                byte = following
            word = bytearray() if word is None else word
            word += byte
    return words if word is None else [*words, bytes(word)]


_ALL = ClusterName(b"")


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """`command` in lower case, empty when none was given; `cluster` empty for all."""

    command: str
    word: bytes = b""
    verbose: bool = False
    cluster: ClusterName = _ALL


def unknown_command_text(word: bytes) -> str:
    """Unlike in a cluster's name, a backslash in it is shown as it is."""
    text = word.decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return f"Unknown command '{shown}'\n"


def parse_request(line: bytes) -> ToolRequest:
    """An unknown word behind the command ends the reading, and what came before it counts."""
    words = split_words(line)
    if not words:
        return ToolRequest("")
    command = words[0].decode("ascii", "replace").lower()
    verbose, cluster = False, _ALL
    rest = iter(words[1:])
    for word in rest:
        match word.lower():
            case b"verbose":
                verbose = True
            case b"cluster" if command == "list":
                cluster = ClusterName(next(rest, b""))
            case _:
                break
    return ToolRequest(command, words[0], verbose, cluster)
