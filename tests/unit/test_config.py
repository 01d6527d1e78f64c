from __future__ import annotations

from thirdvote.config import DATA_OF_ROOT, SYNC_TIMEOUT_MS, ClusterPolicy, ClusterSettings, Settings, default_data
from thirdvote.domain import ClusterName, Handover

A, B = ClusterName(b"a"), ClusterName(b"b")


def test_a_cluster_goes_by_its_own_settings_and_else_by_those_of_all() -> None:
    own = ClusterSettings(handover=Handover.FAST, token_ms=1_000, wait_for_all=True)
    settings = Settings(handover=Handover.STOCK, late_answers=False, clusters={A: own})
    assert settings.policy_of(A) == ClusterPolicy(Handover.FAST, False, None, SYNC_TIMEOUT_MS, token_ms=1_000, wait_for_all=True)
    assert settings.policy_of(B) == ClusterPolicy(Handover.STOCK, False, None, SYNC_TIMEOUT_MS, token_ms=None, wait_for_all=False)


def test_what_a_cluster_switches_off_is_not_taken_for_nothing_said() -> None:
    settings = Settings(clusters={A: ClusterSettings(late_answers=False, wait_for_all=False)})
    assert not settings.policy_of(A).late_answers
    assert settings.policy_of(B).late_answers


def test_default_data_directory() -> None:
    assert default_data(None) == DATA_OF_ROOT
    assert default_data("/home.d/ann/.local/share/") == "/home.d/ann/.local/share/thirdvote"
