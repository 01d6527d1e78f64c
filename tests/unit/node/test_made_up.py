from __future__ import annotations

import asyncio

import pytest

from tests.voter_here import voter_here
from thirdvote.domain import ClusterName, NodeId, RingId, Vote
from thirdvote.node.made_up import MadeUpError, MadeUpNode, Place, Power

HEARTBEAT_MS = 1_000
PATIENCE_S = 20.0


def node(node_id: int, port: int) -> MadeUpNode:
    return MadeUpNode(ClusterName(b"made-up"), node_id, (1, 2), Place("127.0.0.1", port, None), HEARTBEAT_MS)


def test_two_nodes_with_the_vote_count_three_votes() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one, two = node(1, here.port), node(2, here.port)
            assert (one.vote, one.is_quorate, one.power) == (None, False, Power.NEVER_ON)
            for each in (one, two):
                await each.switch_on()
            for each in (one, two):
                await each.wait_for(Vote.ACK, PATIENCE_S)
                each.report_quorum()
                assert (each.votes_counted, each.is_quorate) == (3, True)

    asyncio.run(story())


def test_the_loser_of_a_split_has_one_vote_and_stops() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one, two = await split(here.port)
            assert (one.votes_counted, one.is_quorate) == (2, True)
            assert (two.votes_counted, two.is_quorate) == (1, False)

    asyncio.run(story())


async def split(port: int) -> tuple[MadeUpNode, MadeUpNode]:
    """Nodes 1 and 2, of which 1 has the vote. A ring that changes after that would be another matter: the host of a made-up node
    that falls silent is there, so that it looks like one whose daemon hangs, and Corosync would wait for that.
    """
    one, two = node(1, port), node(2, port)
    for each in (one, two):
        await each.switch_on()
        await each.wait_for(Vote.ACK, PATIENCE_S)
    for each in (one, two):
        each.enter_ring(RingId(NodeId(each.node_id), 5), each.node_id)
    await two.wait_for(Vote.NACK, PATIENCE_S)
    await one.wait_for(Vote.ACK, PATIENCE_S)
    return one, two


def said_quorate(node: MadeUpNode) -> bool:
    """In the last list that the arbitrator was sent of it."""
    assert node._connection is not None
    return node._connection.session.standing.quorate


def test_a_node_tells_what_its_vote_makes_of_its_quorum() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one, two = node(1, here.port), node(2, here.port)
            for each in (one, two):
                await each.switch_on()
                await each.wait_for(Vote.ACK, PATIENCE_S)
                assert said_quorate(each)
            for each in (one, two):
                each.enter_ring(RingId(NodeId(each.node_id), 5), each.node_id)
            await two.wait_for(Vote.NACK, PATIENCE_S)
            assert not said_quorate(two)
            await one.wait_for(Vote.ACK, PATIENCE_S)
            assert said_quorate(one)

    asyncio.run(story())


def test_a_node_without_power_has_no_vote_and_the_arbitrator_notices() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one, two = await split(here.port)
            one.cut_power()
            assert (one.vote, one.is_quorate) == (None, False)
            await two.wait_for(Vote.ACK, PATIENCE_S)
            assert list(here.reasons()) == [2]
            two.leave()
            one.leave()

    asyncio.run(story())


def test_a_node_that_was_off_comes_back() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one, two = await split(here.port)
            one.cut_power()
            await two.wait_for(Vote.ACK, PATIENCE_S)
            one.enter_ring(RingId(NodeId(1), 9), 1)
            await one.switch_on()
            await one.wait_for(Vote.NACK, PATIENCE_S)

    asyncio.run(story())


def test_waiting_ends_when_the_arbitrator_goes() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one = node(1, here.port)
            await one.switch_on()
            await one.wait_for(Vote.ACK, PATIENCE_S)
            waiting = asyncio.ensure_future(one.wait_for(Vote.NACK, PATIENCE_S))
            await asyncio.sleep(0)
        with pytest.raises(MadeUpError, match="node 1 lost the arbitrator"):
            await waiting

    asyncio.run(story())


def test_waiting_ends_with_what_came_instead() -> None:
    async def story() -> None:
        async with voter_here() as here:
            one = node(1, here.port)
            await one.switch_on()
            await one.wait_for(Vote.ACK, PATIENCE_S)
            with pytest.raises(MadeUpError, match=r"has not been told NACK within 0\.05 s, but ACK"):
                await one.wait_for(Vote.NACK, 0.05)

    asyncio.run(story())
