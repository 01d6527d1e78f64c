"""corosync.conf as Corosync reads it, and edited so that everything else stays byte for byte: comments, order, blanks, line ends.

One statement a line, as in Corosync's own parser: `name {`, `key: value`, `}`, blank, or a comment that begins the line.
An edit names the lines that it touches and leaves the others as they are. Text comes decoded as UTF-8 with
`surrogateescape`, so that bytes which are none come through too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thirdvote.errors import UserError

LINE_BYTES_MAX = 510
"""Corosync reads lines into 512 bytes, line end and NUL included."""

FILE_BYTES_MAX = 1 << 20
"""The largest clusters need some 10 KiB."""

DEPTH_MAX = 16
"""Corosync's deepest section is the third."""

_BLANKS = " \t\udca0"
"""What Corosync strips; the last is the byte 0xA0."""

_INDENT = "  "
"""Where the file shows none."""


class ConfError(UserError):
    """Corosync would not read the file, or we can not edit it safely."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`line` counts from 0."""

    line: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """The lines `opens` and `closes` have its braces; those of the whole file are before its first and behind its last line."""

    name: str
    opens: int
    closes: int
    entries: tuple[Entry, ...]
    sections: tuple[Section, ...]

    def value(self, key: str) -> str | None:
        """The last one counts, as in Corosync."""
        return next((entry.value for entry in reversed(self.entries) if entry.key == key), None)

    def named(self, name: str) -> list[Section]:
        return [section for section in self.sections if section.name == name]


class Document:
    def __init__(self, text: str) -> None:
        """ConfError."""
        self.text = text
        self.lines = _split(text)
        self.root = _parse(self.lines)

    def section(self, path: str) -> Section | None:
        """By its dotted name. ConfError when there are two: what is edited in one would be undone by the other."""
        section = self.root
        for name in path.split("."):
            found = section.named(name)
            if len(found) > 1:
                numbers = " and ".join(str(other.opens + 1) for other in found)
                raise ConfError(f"corosync.conf has {len(found)} sections {name!r}, in lines {numbers}", "put them together into one")
            if not found:
                return None
            section = found[0]
        return section

    def value(self, path: str) -> str | None:
        place, _, key = path.rpartition(".")
        section = self.section(place)
        return None if section is None else section.value(key)


def set_value(text: str, path: str, value: str) -> str:
    """With `path: value`; sections that are missing are made at the end of those around them. ConfError."""
    if not value or any(character in value for character in "{}\n\r") or value != value.strip(_BLANKS):
        raise ConfError(f"{value!r} can not be a value in corosync.conf", "leave out braces, line ends, and blanks around it")
    document = Document(text)
    place, _, key = path.rpartition(".")
    section = document.section(place)
    if section is None:
        return set_value(_with_section(document, place), path, value)
    lines = list(document.lines)
    old = next((entry for entry in reversed(section.entries) if entry.key == key), None)
    if old is not None:
        if old.value == value:
            return text
        lines[old.line] = _replaced(lines[old.line], value)
    else:
        where = section.entries[-1].line if section.entries else section.opens
        lines.insert(where + 1, f"{_indent_in(document, section)}{key}: {value}{_line_end(document, section)}")
    return _checked("".join(lines))


def remove_value(text: str, path: str) -> str:
    """Without any `path:`; as it is when there is none."""
    document = Document(text)
    place, _, key = path.rpartition(".")
    section = document.section(place)
    gone = {entry.line for entry in section.entries if entry.key == key} if section is not None else set()
    return _checked("".join(line for number, line in enumerate(document.lines) if number not in gone))


def remove_section(text: str, path: str) -> str:
    """Without it and everything in it; as it is when there is none."""
    document = Document(text)
    section = document.section(path)
    if section is None:
        return text
    return _checked("".join([*document.lines[: section.opens], *document.lines[section.closes + 1 :]]))


def comment_before(text: str, path: str) -> str | None:
    """The comment in the line before `path: value`, without its sign; None when there is none."""
    document = Document(text)
    entry = _entry(document, path)
    if entry is None or entry.line == 0:
        return None
    line = document.lines[entry.line - 1].strip()
    return line.removeprefix("#").strip() if line.startswith("#") else None


def put_comment_before(text: str, path: str, comment: str | None) -> str:
    """With that comment in a line of its own before `path: value`; with None the comment that is there is taken out."""
    document = Document(text)
    entry = _entry(document, path)
    if entry is None:
        return text
    lines = list(document.lines)
    if comment is None:
        if comment_before(text, path) is not None:
            del lines[entry.line - 1]
    else:
        own = lines[entry.line]
        end = "\r\n" if own.endswith("\r\n") else "\n"
        lines.insert(entry.line, f"{_indent(own)}# {comment}{end}")
    return _checked("".join(lines))


def _entry(document: Document, path: str) -> Entry | None:
    place, _, key = path.rpartition(".")
    section = document.section(place)
    entries = section.entries if section is not None else ()
    return next((entry for entry in reversed(entries) if entry.key == key), None)


def _with_section(document: Document, path: str) -> str:
    place, _, name = path.rpartition(".")
    parent = document.section(place) if place else document.root
    if parent is None:
        return _with_section(Document(_with_section(document, place)), path)
    indent, end = _indent_in(document, parent), _line_end(document, parent)
    lines = list(document.lines)
    if parent is document.root and lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    lines[parent.closes : parent.closes] = [f"{indent}{name} {{{end}", f"{indent}}}{end}"]
    return _checked("".join(lines))


def _checked(text: str) -> str:
    """What we have made, read again: a fault of ours must not reach a cluster."""
    Document(text)
    return text


def _replaced(line: str, value: str) -> str:
    """Blanks around the old value stay."""
    head, colon, tail = line.partition(":")
    body = tail.rstrip("\r\n")
    blanks = body[: len(body) - len(body.lstrip(_BLANKS))] or " "
    behind = body[len(body.rstrip(_BLANKS)) :] if body.strip(_BLANKS) else ""
    return f"{head}{colon}{blanks}{value}{behind}{tail[len(body) :]}"


def _indent_in(document: Document, section: Section) -> str:
    """As its first line of content has it; else one step deeper than its own."""
    if section is document.root:
        return ""
    firsts = [*(entry.line for entry in section.entries), *(inner.opens for inner in section.sections)]
    if firsts:
        return _indent(document.lines[min(firsts)])
    return _indent(document.lines[section.opens]) + _step(document)


def _step(document: Document) -> str:
    indents = [_indent(document.lines[entry.line]) for section in document.root.sections for entry in section.entries]
    return next((indent for indent in indents if indent), _INDENT)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(_BLANKS))]


def _line_end(document: Document, section: Section) -> str:
    line = document.lines[max(section.opens, 0)] if document.lines else ""
    return "\r\n" if line.endswith("\r\n") else "\n"


def _split(text: str) -> list[str]:
    """With their ends."""
    if len(text.encode("utf-8", "surrogateescape")) > FILE_BYTES_MAX:
        raise ConfError(f"corosync.conf has more than {FILE_BYTES_MAX} bytes", "see whether it is the right file")
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _parse(lines: list[str]) -> Section:
    statements = _statements(lines)
    return _section(statements, "", -1, len(lines), 0)


def _statements(lines: list[str]) -> Iterator[tuple[int, str]]:
    """What is neither blank nor a comment."""
    for number, line in enumerate(lines):
        if len(line.encode("utf-8", "surrogateescape")) > LINE_BYTES_MAX + 1:
            raise _broken(number, f"it is longer than {LINE_BYTES_MAX} bytes")
        if "\0" in line:
            raise _broken(number, "it has a NUL byte")
        statement = line.rstrip("\n").removesuffix("\r").strip(_BLANKS)
        if statement and not statement.startswith("#"):
            yield number, statement


def _section(statements: Iterator[tuple[int, str]], name: str, opens: int, end: int, depth: int) -> Section:
    entries: list[Entry] = []
    sections: list[Section] = []
    for number, statement in statements:
        if "{" in statement:
            if depth == DEPTH_MAX:
                raise _broken(number, f"sections are more than {DEPTH_MAX} deep")
            sections.append(_section(statements, _section_name(number, statement), number, end, depth + 1))
        elif ":" in statement:
            entries.append(_read_entry(number, statement))
        elif statement == "}":
            if depth == 0:
                raise _broken(number, "it closes a section, and none is open")
            return Section(name, opens, number, tuple(entries), tuple(sections))
        else:
            raise _broken(number, "it neither opens nor closes a section and is no `key: value`")
    if depth:
        raise _broken(opens, f"the section {name!r} that begins here is never closed")
    return Section(name, opens, end, tuple(entries), tuple(sections))


def _section_name(number: int, statement: str) -> str:
    before, _, behind = statement.partition("{")
    name = before.strip(_BLANKS)
    if not name:
        raise _broken(number, "a section without a name")
    if behind:
        raise _broken(number, "something stands behind the opening brace, which has to end its line")
    return name


def _read_entry(number: int, statement: str) -> Entry:
    key, _, value = statement.partition(":")
    if not key.strip(_BLANKS):
        raise _broken(number, "a value without a key")
    return Entry(number, key.strip(_BLANKS), value.strip(_BLANKS))


def _broken(number: int, why: str) -> ConfError:
    return ConfError(f"corosync.conf can not be read, line {number + 1}: {why}", "mend that line; corosync itself would not start with it")
