from __future__ import annotations

import pytest

from thirdvote.device import corosync_conf as conf
from thirdvote.device.corosync_conf import ConfError, Document

DEBIAN = """\
# Please read the corosync.conf.5 manual page
totem {
\tversion: 2

\t# DLM needs a name.
\tcluster_name: debian
\tcrypto_cipher: none
}

quorum {
\t# see also votequorum.5
\tprovider: corosync_votequorum
}
# the end
"""


def test_values_by_their_path() -> None:
    document = Document(DEBIAN)
    assert document.value("totem.cluster_name") == "debian"
    assert document.value("totem.nothing") is None
    assert document.value("nothing.at_all") is None


def test_blanks_tabs_and_line_ends_around_a_value_do_not_count() -> None:
    assert Document("totem{\r\n\t version :\t2 \r\n \t}\r\n").value("totem.version") == "2"


def test_the_last_of_two_equal_keys_counts() -> None:
    text = "totem {\n  token: 1\n  token: 2\n}\n"
    assert Document(text).value("totem.token") == "2"
    assert conf.set_value(text, "totem.token", "3") == "totem {\n  token: 1\n  token: 3\n}\n"


def test_a_value_may_have_colons() -> None:
    assert Document("totem {\n  address: fe80::1\n}\n").value("totem.address") == "fe80::1"


def test_a_changed_value_leaves_everything_else() -> None:
    assert conf.set_value(DEBIAN, "totem.cluster_name", "office") == DEBIAN.replace("cluster_name: debian", "cluster_name: office")


def test_a_value_that_is_there_changes_nothing() -> None:
    assert conf.set_value(DEBIAN, "totem.version", "2") == DEBIAN


def test_blanks_around_the_old_value_and_the_line_end_stay() -> None:
    assert conf.set_value("totem {\r\n  token:\t 1 \r\n}\r\n", "totem.token", "22") == "totem {\r\n  token:\t 22 \r\n}\r\n"


def test_a_key_without_a_value_gets_one() -> None:
    assert conf.set_value("totem {\n  token:\n}\n", "totem.token", "1") == "totem {\n  token: 1\n}\n"


def test_a_new_key_comes_behind_the_others_with_their_indentation() -> None:
    edited = conf.set_value(DEBIAN, "quorum.two_node", "0")
    assert edited == DEBIAN.replace("corosync_votequorum\n", "corosync_votequorum\n\ttwo_node: 0\n")


def test_new_sections_are_made_at_the_end_of_what_is_around_them() -> None:
    edited = conf.set_value(DEBIAN, "quorum.device.net.host", "10.0.0.9")
    assert edited == DEBIAN.replace(
        "corosync_votequorum\n", "corosync_votequorum\n\tdevice {\n\t\tnet {\n\t\t\thost: 10.0.0.9\n\t\t}\n\t}\n"
    )
    assert conf.remove_section(edited, "quorum.device") == DEBIAN


def test_a_file_without_an_end_of_its_last_line() -> None:
    assert conf.set_value("totem {\n}", "quorum.provider", "x") == "totem {\n}\nquorum {\n  provider: x\n}\n"


def test_windows_line_ends_are_kept() -> None:
    assert conf.set_value("totem {\r\n}\r\n", "totem.token", "1") == "totem {\r\n  token: 1\r\n}\r\n"


def test_bytes_that_are_no_utf8_come_through() -> None:
    raw = b"# M\xfcller\ntotem {\n  token: 1\n}\n"
    edited = conf.set_value(raw.decode("utf-8", "surrogateescape"), "totem.token", "2")
    assert edited.encode("utf-8", "surrogateescape") == raw.replace(b": 1", b": 2")


def test_a_removed_value_takes_its_line_with_it() -> None:
    assert conf.remove_value(DEBIAN, "totem.version") == DEBIAN.replace("\tversion: 2\n", "")
    assert conf.remove_value(DEBIAN, "totem.nothing") == DEBIAN
    assert conf.remove_section(DEBIAN, "nothing") == DEBIAN


def test_a_comment_before_a_value() -> None:
    edited = conf.put_comment_before(DEBIAN, "totem.version", "as always")
    assert edited == DEBIAN.replace("\tversion", "\t# as always\n\tversion")
    assert conf.comment_before(edited, "totem.version") == "as always"
    assert conf.put_comment_before(edited, "totem.version", None) == DEBIAN
    assert conf.comment_before(DEBIAN, "totem.version") is None
    assert conf.put_comment_before(DEBIAN, "totem.version", None) == DEBIAN


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("totem {\n", 1, "never closed"),
        ("totem {\n}\n}\n", 3, "none is open"),
        ("totem { token: 1 }\n", 1, "behind the opening brace"),
        ("{\n}\n", 1, "without a name"),
        ("totem {\n  : 1\n}\n", 2, "without a key"),
        ("totem {\n  token\n}\n", 2, "neither opens nor closes"),
        ("totem {\n} # end\n", 2, "neither opens nor closes"),
        (f"totem {{\n  token: {'1' * 600}\n}}\n", 2, "longer than"),
        ("totem {\n  token: 1\0\n}\n", 2, "NUL"),
        ("a {\n" * 20 + "}\n" * 20, 17, "deep"),
    ],
)
def test_what_corosync_would_not_read_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(ConfError, match=rf"line {line}: .*{why}") as refused:
        Document(text)
    assert refused.value.hint


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(ConfError, match="more than"):
        Document("# x\n" * 400_000)


def test_two_sections_of_one_name_are_not_edited() -> None:
    text = "quorum {\n}\nquorum {\n}\n"
    with pytest.raises(ConfError, match="2 sections 'quorum', in lines 1 and 3"):
        conf.set_value(text, "quorum.provider", "x")


@pytest.mark.parametrize("value", ["", " x", "a\nb", "a{", "a}"])
def test_a_value_that_would_change_the_structure_is_refused(value: str) -> None:
    with pytest.raises(ConfError, match="can not be a value"):
        conf.set_value(DEBIAN, "totem.version", value)
