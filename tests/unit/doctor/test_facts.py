from __future__ import annotations

from tests.doctor_here import arbitrator, facts, node
from thirdvote.doctor.facts import Passed


def test_facts_can_be_compared() -> None:
    """The same looks give the same facts, so that what --fix has changed is seen."""
    assert facts(node(), arbitrators=(arbitrator(),)) == facts(node(), arbitrators=(arbitrator(),))
    assert facts(node()) != facts(node(device=None))


def test_how_far_a_connection_came_has_an_order() -> None:
    assert Passed.NOTHING < Passed.TCP < Passed.PREINIT < Passed.TLS < Passed.ALL
