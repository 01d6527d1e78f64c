from __future__ import annotations

from thirdvote.doctor.findings import Finding, Kind, Level, ordered, worst

NOTE = Finding(Kind.HAND_OVER_SLOW, "n1", "slow")
FAILURE = Finding(Kind.NOT_QUORATE, "n1", "none", "1 of 3", ("look",), ("chmod", "600", "f"))


def test_each_kind_has_an_id_of_its_own() -> None:
    assert len({kind.id for kind in Kind}) == len(Kind)
    assert [kind.id for kind in Kind if kind.id != kind.name.lower().replace("_", "-")] == []


def test_the_worst_decides_and_comes_first() -> None:
    assert worst([]) is Level.OK
    assert worst([NOTE, FAILURE]) is Level.FAILURE
    assert ordered([NOTE, FAILURE, NOTE]) == [FAILURE, NOTE]


def test_for_programs() -> None:
    assert FAILURE.as_json() == {
        "id": "not-quorate",
        "level": "failure",
        "where": "n1",
        "what": "none",
        "evidence": "1 of 3",
        "remedy": ["look"],
        "fix": ["chmod", "600", "f"],
    }
