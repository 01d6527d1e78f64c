"""Node ids that count how often anybody hashes or compares them, to see how the work grows with the lists."""

from __future__ import annotations

from collections.abc import Callable

from tests.small_worlds import LOWEST
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import NodeId, RingId

touches = 0


class CountedId(int):
    def __hash__(self) -> int:
        global touches
        touches += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        global touches
        touches += 1
        return super().__eq__(other)


def whole_cluster(size: int) -> ClusterView:
    """Everybody sent both lists, and no two lists share an object, as when they come from the network."""

    def sent() -> frozenset[NodeId]:
        return frozenset(NodeId(CountedId(number)) for number in range(1, size + 1))

    ring = RingId(NodeId(1), 4)
    return ClusterView({NodeId(n): Member(NodeId(n), ring, sent(), sent()) for n in range(1, size + 1)}, LOWEST)


def split_cluster(size: int) -> ClusterView:
    """The same, but every node is still in its old ring while it names everybody: nothing fits."""
    whole = whole_cluster(size)
    members = {n: Member(n, RingId(n, 4), each.config_list, each.membership_list) for n, each in whole.members.items()}
    return ClusterView(members, LOWEST)


def touches_of(work: Callable[[], object]) -> int:
    global touches
    touches = 0
    work()
    return touches


def assert_linear(decide: Callable[[ClusterView], object], world: Callable[[int], ClusterView]) -> None:
    """Twice the nodes are four times the ids in the lists, in all, so they may take four times the work (and not eight)."""
    small, large = world(16), world(32)
    ids_in_small = sum(len(member.config_list or ()) + len(member.membership_list or ()) for member in small.members.values())
    few = touches_of(lambda: decide(small))
    many = touches_of(lambda: decide(large))
    assert few <= 6 * ids_in_small
    assert many <= 5 * few
