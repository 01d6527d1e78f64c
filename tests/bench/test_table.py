from __future__ import annotations

from bench.figures import Figures, Memory, Spread, Tier
from bench.table import markdown, missed


def figures(
    name: str, *, idle_mib: int, client_kib: int, echo_us: tuple[int, int], failover_us: tuple[int, int], restart_s: float
) -> Figures:
    idle = Memory(idle_mib * 1024, idle_mib * 512)
    tiers = [
        Tier(clients, Memory(idle.resident + client_kib * (clients - 10), 0), spread(echo), spread(failover))
        for clients, echo, failover in zip((10, 4_000), echo_us, failover_us, strict=True)
    ]
    return Figures(name, idle, tiers, 4_000, restart_s)


def spread(median_us: int) -> Spread:
    return Spread(median_us / 1e6, 3 * median_us / 1e6, 100)


OURS = figures("thirdvote", idle_mib=28, client_kib=18, echo_us=(100, 150), failover_us=(300, 300), restart_s=5.0)
STOCK = figures("corosync-qnetd", idle_mib=14, client_kib=90, echo_us=(50, 1_500), failover_us=(600, 9_000), restart_s=20.0)


def test_each_line_has_both_figures_and_what_ours_is_of_the_other() -> None:
    lines = markdown(STOCK, OURS).splitlines()
    assert "| idle, resident | 14.0 MiB | 28.0 MiB | 2.00 x |" in lines
    assert "| more memory per TLS client, 10 to 4,000 | 90.0 KiB | 18.0 KiB | 0.20 x |" in lines
    assert "| echo round trip, median, 4,000 clients | 1,500 µs | 150 µs | 0.10 x |" in lines
    assert "| failover decision, median, 10 clients | 0.60 ms | 0.30 ms | 0.50 x |" in lines
    assert "| all 4,000 clients in after a restart | 20.0 s | 5.00 s | 0.25 x |" in lines
    assert "| echo, 4,000 clients to 10 | 30.0 x | 1.50 x | 0.05 x |" in lines


def test_without_the_stock_server_there_is_no_ratio() -> None:
    assert "| idle, resident | – | 28.0 MiB | – |" in markdown(None, OURS)


def test_a_stock_server_that_gave_up_early_is_compared_as_far_as_it_came() -> None:
    early = Figures("corosync-qnetd", STOCK.idle, STOCK.tiers[:1])
    lines = markdown(early, OURS).splitlines()
    assert "| failover decision, median, 10 clients | 0.60 ms | 0.30 ms | 0.50 x |" in lines
    assert "| failover decision, median, 4,000 clients | – | 0.30 ms | – |" in lines


def test_budgets_that_are_kept_are_not_spoken_of() -> None:
    assert missed(OURS) == []


def test_each_budget_that_is_not_kept_is_named() -> None:
    fat = figures("thirdvote", idle_mib=33, client_kib=25, echo_us=(100, 151), failover_us=(100, 160), restart_s=1.0)
    assert missed(fat) == [
        "idle: 33.0 MiB resident, the budget is 32",
        "memory per client: 25.0 KiB, the budget is 24",
        "echo, 4,000 clients to 10: 1.51 x, the budget is 1.5",
        "failover, 4,000 clients to 10: 1.60 x, the budget is 1.5",
    ]
