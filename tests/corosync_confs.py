"""corosync.conf as distributions and cluster managers leave it."""

from __future__ import annotations

DEBIAN = """\
# Please read the corosync.conf.5 manual page
totem {
\tversion: 2

\t# Corosync itself works without a cluster name, but DLM needs one.
\tcluster_name: debian
\tcrypto_cipher: none
\tcrypto_hash: none
}

logging {
\tto_syslog: yes
\t#timestamp: hires
\tlogger_subsys {
\t\tsubsys: QUORUM
\t\tdebug: off
\t}
}

quorum {
\t# Enable and configure quorum subsystem (default: off)
\t# see also corosync.conf.5 and votequorum.5
\tprovider: corosync_votequorum
}

nodelist {
\t# Change/uncomment/add node sections to match cluster configuration

\tnode {
\t\t# Hostname of the node
\t\tname: node1
\t\tnodeid: 1
\t\tring0_addr: 10.0.0.1
\t\t#ring1_addr: 192.168.1.1
\t}
\tnode {
\t\tname: node2
\t\tnodeid: 2
\t\tring0_addr: 10.0.0.2
\t}
\t# ...
}
"""
"""Debian's own, with a second node."""

PROXMOX = """\
logging {
  debug: off
  to_syslog: yes
}

nodelist {
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.0.1
  }
  node {
    name: pve2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.0.0.2
    ring1_addr: fd00::2
  }
}

quorum {
  provider: corosync_votequorum
}

totem {
  cluster_name: office
  config_version: 7
  interface {
    linknumber: 0
  }
  ip_version: ipv4-6
  link_mode: passive
  secauth: on
  version: 2
}

"""
"""As `pvecm create` and `pvecm add` write it."""

RED_HAT = """\
totem {
    version: 2
    cluster_name: hacluster
    transport: knet
    crypto_cipher: aes256
    crypto_hash: sha256
    cluster_uuid: 4d2ba1c7
}

nodelist {
    node {
        ring0_addr: node1.example.com
        name: node1
        nodeid: 1
    }

    node {
        ring0_addr: node2.example.com
        name: node2
        nodeid: 2
    }
}

quorum {
    provider: corosync_votequorum
    two_node: 1
}

logging {
    to_logfile: yes
    logfile: /var/log/cluster/corosync.log
    to_syslog: yes
    timestamp: on
}
"""
"""As `pcs cluster setup` writes it."""

SUSE = """\
# Please read the corosync.conf.5 manual page
totem {
    version: 2
    cluster_name: hacluster
    config_version: 3
    clear_node_high_bit: yes
    token: 5000
}
quorum {

    # Enable and configure quorum subsystem (default: off)
    # see also corosync.conf.5 and votequorum.5
    provider: corosync_votequorum
    expected_votes: 2
    two_node: 1
}
nodelist {
    node {
        ring0_addr: 10.0.0.1
        nodeid: 1
    }
    node {
        ring0_addr: 10.0.0.2
        nodeid: 2
    }
}
"""
"""As crmsh writes it: expected_votes and two_node are there."""

ALL = {"debian": DEBIAN, "proxmox": PROXMOX, "red hat": RED_HAT, "suse": SUSE}


def with_nodes(text: str, count: int) -> str:
    """The same with nodes 3, 4 and so on, up to `count`, behind the others."""
    head, brace, tail = text.partition("nodelist {\n")
    more = "".join(f"  node {{\n    name: n{n}\n    nodeid: {n}\n    ring0_addr: 10.0.0.{n}\n  }}\n" for n in range(3, count + 1))
    return f"{head}{brace}{more}{tail}"
