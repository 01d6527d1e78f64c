"""The figures of one or two servers as a table in Markdown, with what the second is of the first."""

from __future__ import annotations

from bench.figures import Figures

IDLE_KIB_MAX = 32 * 1024
CLIENT_KIB_MAX = 24.0
FLAT_MAX = 1.5


def values(figures: Figures) -> dict[str, tuple[float, str]]:
    """For each thing that was measured the figure and its unit, in the order of the table."""
    first, last = figures.tiers[0], figures.tiers[-1]
    found: dict[str, tuple[float, str]] = {
        "idle, resident": (figures.idle.resident / 1024, "MiB"),
        "idle, proportional": (figures.idle.proportional / 1024, "MiB"),
        f"more memory per TLS client, {first.clients} to {last.clients:,}": (figures.memory_per_client, "KiB"),
    }
    for tier in figures.tiers:
        found[f"echo round trip, median, {tier.clients:,} clients"] = (tier.echo.median * 1e6, "µs")
        found[f"echo round trip, 99th percentile, {tier.clients:,} clients"] = (tier.echo.p99 * 1e6, "µs")
    for tier in figures.tiers:
        found[f"failover decision, median, {tier.clients:,} clients"] = (tier.failover.median * 1e3, "ms")
    if figures.restart_s is not None:
        found[f"all {figures.restart_clients:,} clients in after a restart"] = (figures.restart_s, "s")
    found[f"echo, {_ends(figures)}"] = (echo_growth(figures), "x")
    found[f"failover, {_ends(figures)}"] = (failover_growth(figures), "x")
    return found


def echo_growth(figures: Figures) -> float:
    """How much more an echo costs with the most clients than with the fewest."""
    return figures.tiers[-1].echo.median / figures.tiers[0].echo.median


def failover_growth(figures: Figures) -> float:
    return figures.tiers[-1].failover.median / figures.tiers[0].failover.median


def markdown(stock: Figures | None, ours: Figures) -> str:
    theirs = values(stock) if stock and stock.tiers else {}
    lines = ["| | corosync-qnetd | thirdvote | thirdvote is |", "|---|---:|---:|---:|"]
    for what, (value, unit) in values(ours).items():
        other = theirs[what][0] if what in theirs else None
        shown, ratio = ("–", "–") if other is None else (_figure(other, unit), f"{value / other:.2f} x")
        lines.append(f"| {what} | {shown} | {_figure(value, unit)} | {ratio} |")
    return "\n".join(lines)


def missed(ours: Figures) -> list[str]:
    """The budgets that are not kept, in words."""
    found = []
    if ours.idle.resident > IDLE_KIB_MAX:
        found.append(f"idle: {ours.idle.resident / 1024:.1f} MiB resident, the budget is {IDLE_KIB_MAX / 1024:.0f}")
    if ours.memory_per_client > CLIENT_KIB_MAX:
        found.append(f"memory per client: {ours.memory_per_client:.1f} KiB, the budget is {CLIENT_KIB_MAX:.0f}")
    for what, growth in (("echo", echo_growth(ours)), ("failover", failover_growth(ours))):
        if growth > FLAT_MAX:
            found.append(f"{what}, {_ends(ours)}: {growth:.2f} x, the budget is {FLAT_MAX}")
    return found


def _ends(figures: Figures) -> str:
    return f"{figures.tiers[-1].clients:,} clients to {figures.tiers[0].clients:,}"


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"
