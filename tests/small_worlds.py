"""Clusters for the tests of decisions: short ways to write one, all small ones, and random ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

from hypothesis import strategies as st

from thirdvote.decide.standing import Result
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Heuristics, NodeId, RingId, TieBreaker, TieBreakerMode

LOWEST = TieBreaker(TieBreakerMode.LOWEST)
HIGHEST = TieBreaker(TieBreakerMode.HIGHEST)


def named(node_id: int) -> TieBreaker:
    return TieBreaker(TieBreakerMode.NODE_ID, NodeId(node_id))


def ids(*numbers: int) -> frozenset[NodeId]:
    return frozenset(map(NodeId, numbers))


def ring(node_id: int, sequence: int) -> RingId:
    return RingId(NodeId(node_id), sequence)


def member(
    node_id: int,
    ring_id: RingId,
    membership: Iterable[int] | None = None,
    config: Iterable[int] | None = None,
    heuristics: Heuristics = Heuristics.UNDEFINED,
    keep_active: bool = False,
) -> Member:
    return Member(
        NodeId(node_id),
        ring_id,
        None if config is None else ids(*config),
        None if membership is None else ids(*membership),
        heuristics,
        keep_active,
    )


def view(*members: Member, tie_breaker: TieBreaker = LOWEST) -> ClusterView:
    return ClusterView({each.node_id: each for each in sorted(members, key=lambda each: each.node_id)}, tie_breaker)


def subsets(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for size in range(len(numbers) + 1):
        yield from combinations(numbers, size)


def set_partitions(numbers: Sequence[int]) -> Iterator[list[tuple[int, ...]]]:
    """All ways to divide `numbers` into groups."""
    if not numbers:
        yield []
        return
    first, rest = numbers[0], numbers[1:]
    for mates in subsets(rest):
        for others in set_partitions([number for number in rest if number not in mates]):
            yield [(first, *mates), *others]


def tie_breakers(*numbers: int) -> list[TieBreaker]:
    return [LOWEST, HIGHEST, *map(named, numbers)]


def every(choices: Sequence[Sequence[Member]]) -> Iterator[tuple[Member, ...]]:
    """One of each, in all ways."""
    yield from product(*choices)


# ---- random ones

SOME_IDS = [1, 2, 3, 5, 2**31, 2**32 - 1]
RINGS = [ring(1, 4), ring(2, 4), ring(2, 8), ring(3, 12), ring(1, 0)]


@st.composite
def split_views(draw: st.DrawFn) -> ClusterView:
    """What a cluster may look like in the midst of changes: nodes divided into groups, now and then one with an old report, or none."""
    numbers = draw(st.lists(st.sampled_from(SOME_IDS), min_size=1, max_size=6, unique=True))
    config = draw(st.sampled_from([numbers, [*numbers, 77], SOME_IDS]))
    groups = {number: draw(st.integers(0, 2)) for number in numbers}
    absent = [draw(st.sampled_from([[], [], [66], [66, 77]])) for _ in range(3)]
    members = []
    for number in numbers:
        group = groups[number]
        mates = [other for other in numbers if groups[other] == group]
        members.append(draw(_members(number, [*mates, *absent[group]], [number, *config], RINGS[group])))
    return view(*members, tie_breaker=draw(st.sampled_from(tie_breakers(1, 2, 77, 2**32 - 1))))


@st.composite
def _members(draw: st.DrawFn, number: int, mates: list[int], config: list[int], its_ring: RingId) -> Member:
    odd = st.sampled_from([False] * 12 + [True])
    membership = [number, *draw(st.lists(st.sampled_from(SOME_IDS), max_size=3))] if draw(odd) else mates
    return member(
        number,
        draw(st.sampled_from(RINGS)) if draw(odd) else its_ring,
        None if draw(odd) else membership,
        None if draw(odd) else config,
        draw(st.sampled_from(Heuristics)),
        draw(st.sampled_from([True, True, True, False])),
    )


results = st.dictionaries(st.sampled_from([NodeId(number) for number in SOME_IDS]), st.sampled_from(Result))
