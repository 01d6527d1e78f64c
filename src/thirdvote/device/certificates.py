"""The cluster's certificate on its nodes: in the NSS database of the stock device, by the stock tool, and as PEM files for our own.

The first node makes key and request; the others get both, as PKCS#12 without a password, over the cluster's own ssh.
"""

from __future__ import annotations

from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.host import Host, exists, must, read, shell, write

TOOL = "corosync-qdevice-net-certutil"
DATABASE = "/etc/corosync/qdevice/net/nssdb"
REQUEST = f"{DATABASE}/qdevice-net-node.crq"
BUNDLE = f"{DATABASE}/qdevice-net-node.p12"
NICKNAME = "Cluster Cert"
"""What the stock tool and the stock device call it."""

FOLDER = "/etc/corosync/qdevice/net/thirdvote"
"""PEM files: the authority, the cluster's certificate and its key, which is the same on all nodes. Beside the database, so that
`pvecm qdevice remove` takes them away too."""
AUTHORITY = f"{FOLDER}/ca.crt"
CERTIFICATE = f"{FOLDER}/cluster.crt"
KEY = f"{FOLDER}/cluster.key"

REQUEST_BYTES_MAX = 16_384


def has_database(host: Host) -> bool:
    return any(exists(host, f"{DATABASE}/{file}") for file in ("cert9.db", "cert8.db"))


def check_tool_takes(cluster_name: str) -> None:
    """ConfError: the stock tool puts the name unquoted into a distinguished name, and does not see when that fails."""
    odd = sorted({character for character in cluster_name if character in ',=+<>#;"\\'})
    if odd or cluster_name != cluster_name.strip():
        hint = "change totem.cluster_name, or make the request with another tool and sign it with `thirdvote ca sign`"
        raise ConfError(f"{TOOL} makes no request for a name with {' '.join(odd) or 'blanks at its ends'}: {cluster_name!r}", hint)


def set_aside(host: Host) -> None:
    """What is there now, under the same name with `.replaced`, where it stays until the next time; `bring_back` restores it."""
    script = 'set -e; for folder in "$@"; do rm -rf "$folder.replaced"; if [ -e "$folder" ]; then mv "$folder" "$folder.replaced"; fi; done'
    shell(host, script, DATABASE, FOLDER, what="setting older certificates aside")


def bring_back(host: Host) -> None:
    script = 'set -e; for folder in "$@"; do rm -rf "$folder"; if [ -e "$folder.replaced" ]; then mv "$folder.replaced" "$folder"; fi; done'
    shell(host, script, DATABASE, FOLDER, what="bringing older certificates back")


def forget(host: Host) -> None:
    """Key and certificates, those that were set aside too."""
    script = 'set -e; for folder in "$@"; do rm -rf "$folder" "$folder.replaced"; done'
    shell(host, script, DATABASE, FOLDER, what="removing certificates")


def trust(host: Host, authority: str) -> None:
    """A new database with the arbitrator's authority in it."""
    write(host, AUTHORITY, authority.encode(), 0o644)
    must(host, TOOL, "-i", "-c", AUTHORITY)


def make_request(host: Host, cluster_name: str) -> bytes:
    """DER. The stock tool ends with 0 whatever happens."""
    said = must(host, TOOL, "-r", "-n", cluster_name)
    request = read(host, REQUEST)
    if not request or len(request) > REQUEST_BYTES_MAX:
        raise ConfError(f"{host.name}: {TOOL} made no request: {said.last_words}", f"try it there: {TOOL} -r -n {cluster_name}")
    return request


def take(host: Host, certificate: str) -> bytes:
    """On the node that made the request. What the others need: PKCS#12."""
    write(host, CERTIFICATE, certificate.encode(), 0o644)
    said = must(host, TOOL, "-M", "-c", CERTIFICATE)
    bundle = read(host, BUNDLE)
    if not bundle:
        raise ConfError(f"{host.name}: {TOOL} did not take the certificate: {said.last_words}", f"try it there: {TOOL} -M -c {CERTIFICATE}")
    _check_taken(host)
    return bundle


def take_bundle(host: Host, bundle: bytes, certificate: str) -> None:
    """On the other nodes."""
    write(host, BUNDLE, bundle, 0o600)
    write(host, CERTIFICATE, certificate.encode(), 0o644)
    must(host, TOOL, "-m", "-c", BUNDLE)
    _check_taken(host)


def write_key(host: Host) -> bool:
    """The key as PEM; False where openssl is missing: only our own daemon needs it."""
    if host.run("sh", "-c", "command -v openssl").status:
        return False
    script = 'set -e; umask 077; openssl pkcs12 -in "$1" -passin pass: -nodes -nocerts | openssl pkey > "$2.new"; mv -f "$2.new" "$2"'
    shell(host, script, BUNDLE, KEY, what="writing the key as PEM")
    return True


def _check_taken(host: Host) -> None:
    must(host, "certutil", "-L", "-d", DATABASE, "-n", NICKNAME, hint=f"the database {DATABASE} on {host.name} is not whole")
