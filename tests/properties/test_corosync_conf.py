"""corosync.conf, made up at random around the ones that distributions write: what an edit does not name stays byte for byte."""

from __future__ import annotations

import difflib

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corosync_confs import ALL, with_nodes
from thirdvote.device import cluster, edit, rules
from thirdvote.device import corosync_conf as conf
from thirdvote.device.corosync_conf import ConfError, Document, Section
from thirdvote.device.edit import Wanted

BLANKS = st.text(" \t", max_size=4)
NOISE = st.one_of(
    BLANKS,
    st.builds("{}#{}".format, BLANKS, st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=20)),
)
"""Lines that say nothing: they may stand anywhere."""

WORD = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUE = st.from_regex(r"[A-Za-z0-9.:/_-]([A-Za-z0-9.:/_ -]{0,12}[A-Za-z0-9.:/_-])?", fullmatch=True)


@st.composite
def confs(draw: st.DrawFn) -> str:
    """One that a distribution writes, with other blanks, comments, sections, line ends, and any number of nodes."""
    text = with_nodes(draw(st.sampled_from(list(ALL.values()))), draw(st.sampled_from([2, 3, 4, 6])))
    lines = text.splitlines()
    for place, noise in draw(st.lists(st.tuples(st.integers(0, len(lines)), NOISE), max_size=8)):
        lines.insert(place, noise)
    if draw(st.booleans()):
        lines += [f"{draw(WORD)}_own {{", *(f"  {draw(WORD)}:{draw(BLANKS)}{draw(VALUE)}{draw(BLANKS)}" for _ in range(3)), "}"]
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return end.join(lines) + draw(st.sampled_from([end, end, ""]))


def taken_out_and_put_in(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines with their ends; those that are equal are not looked at by eye."""
    old, new = before.split("\n"), after.split("\n")
    out, put = list[str](), list[str]()
    for what, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            out += old[a:b]
            put += new[c:d]
    return out, put


@given(confs())
@settings(max_examples=150, deadline=None)
def test_a_device_comes_and_goes_and_leaves_nothing_but_a_version(text: str) -> None:
    found = cluster.read(text)
    wanted = Wanted("arbitrator.example.org", rules.choose(found, True), timeout_ms=5_000)
    joined = edit.with_device(text, wanted)
    assert cluster.read(joined).device is not None
    left = edit.without_device(joined)
    if found.version is not None:
        left = conf.set_value(left, edit.VERSION, str(found.version))
    if len(found.nodes) > 2 and found.two_node:  # it was wrong there, and stays off
        left = conf.put_comment_before(conf.set_value(left, edit.TWO_NODE, "1"), edit.TWO_NODE, None)
    assert left == text


@given(confs())
@settings(max_examples=150, deadline=None)
def test_what_is_put_in_is_all_that_changes(text: str) -> None:
    found = cluster.read(text)
    after = edit.with_device(text, Wanted("10.0.0.9", rules.choose(found, True)))
    out, put = taken_out_and_put_in(text, after)
    assert all(line.strip().startswith(("config_version:", "two_node:", "expected_votes:")) for line in out), out
    assert len(put) - len(out) <= 12
    assert cluster.read(after).node_votes == found.node_votes
    assert not cluster.read(after).two_node


@given(confs(), WORD, WORD, VALUE)
@settings(max_examples=150, deadline=None)
def test_a_value_that_is_set_is_read_and_everything_else_is_as_before(text: str, section: str, key: str, value: str) -> None:
    path = f"{section}.{key}"
    edited = conf.set_value(text, path, value)
    assert Document(edited).value(path) == value
    assert conf.set_value(edited, path, value) == edited
    before, after = _values(Document(text).root), _values(Document(edited).root)
    assert {place: found for place, found in after.items() if place != path} == {k: v for k, v in before.items() if k != path}


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = Document(text)
    except ConfError:
        return
    assert "".join(document.lines) == text


def _values(section: Section, place: str = "") -> dict[str, list[str]]:
    """All values by their path, in order."""
    found: dict[str, list[str]] = {}
    for entry in section.entries:
        found.setdefault(f"{place}{entry.key}", []).append(entry.value)
    for inner in section.sections:
        for path, values in _values(inner, f"{place}{inner.name}.").items():
            found.setdefault(path, []).extend(values)
    return found
