"""`thirdvote simulate`: random faults on simulated clusters, and what must hold in all of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import click

from thirdvote.cli import output
from thirdvote.cli.options import Command
from thirdvote.domain import Algorithm, Handover
from thirdvote.errors import UsageError
from thirdvote.sim.campaign import Summary, campaign
from thirdvote.sim.draw import Wanted, draw
from thirdvote.sim.faults import Outcome, run
from thirdvote.sim.invariants import Failure
from thirdvote.sim.schedule import literal
from thirdvote.sim.shrink import shrink

RUNS = 1_000
SHOWN_FAILURES = 5
PROGRESS_STEPS = 20
PROGRESS_EVERY_S = 60.0

ALGORITHMS = {"ffsplit": Algorithm.FFSPLIT, "lms": Algorithm.LMS, "2nodelms": Algorithm.TWO_NODE_LMS}
POLICIES = [str(policy) for policy in Handover]


@click.command(cls=Command)
@click.option("--runs", metavar="N", type=click.IntRange(1), help=f"how many worlds (default {RUNS}, or 1 with --seed)")
@click.option("--seed", metavar="S", type=click.IntRange(0), help="the first of the seeds, one a world (default 1)")
@click.option("--jobs", metavar="J", type=click.IntRange(1), help="processes at once (default: one for each processor)")
@click.option("--policy", metavar="|".join(POLICIES), type=click.Choice(POLICIES), default="safe", help="handover (default safe)")
@click.option("--algorithm", metavar="|".join(ALGORITHMS), type=click.Choice(list(ALGORITHMS)), help="only this one")
@click.option("--timeout", metavar="MS", type=click.IntRange(100, 600_000), help="quorum.device.timeout of all nodes")
@click.option("--keep-going", is_flag=True, help=f"do not stop at the {SHOWN_FAILURES}th world that fails; name them all")
@click.option("--trace", is_flag=True, help="show everything that happens in the one world of --seed")
def simulate(
    runs: int | None,
    seed: int | None,
    jobs: int | None,
    policy: str,
    algorithm: str | None,
    timeout: int | None,
    keep_going: bool,
    trace: bool,
) -> int:
    """break simulated clusters at random, and check that no vote counts twice and none stays away

    Each world is made from one number, its seed: a cluster, its network, its arbitrator, and what goes wrong when. The
    arbitrator in it is this program's own. The same seed is the same world again.
    """
    count = runs or (1 if seed is not None else RUNS)
    wanted = Wanted(Handover(policy), ALGORITHMS[algorithm] if algorithm else None, timeout)
    if trace and (seed is None or count != 1):
        raise UsageError("--trace is for one world", "name it: `thirdvote simulate --seed 55 --trace`")
    first = 1 if seed is None else seed
    stop_at = count if keep_going else SHOWN_FAILURES
    summary = _one(first, wanted) if trace else _many(first, count, jobs or os.cpu_count() or 1, wanted, stop_at)
    _show(summary)
    if not summary.failures:
        return output.OK
    _show_failures(summary, wanted)
    return output.FAILED


def _one(seed: int, wanted: Wanted) -> Summary:
    summary = Summary()
    outcome = run(draw(seed, wanted), tracing=True)
    summary.add(outcome)
    output.line((literal(outcome.schedule), output.QUIET))
    for line in outcome.trace:
        output.line(line)
    output.line()
    return summary


def _many(first: int, runs: int, jobs: int, wanted: Wanted, stop_at: int) -> Summary:
    summary = Summary()
    for summary in _with_progress(campaign(first, runs, jobs, wanted), runs):
        if len(summary.failures) >= stop_at:
            break
    return summary


def _with_progress(summaries: Iterator[Summary], runs: int) -> Iterator[Summary]:
    """Every twentieth to a person; and once a minute to whoever reads it."""
    shown, shown_at, step = 0, time.monotonic(), max(runs // PROGRESS_STEPS, 1)
    for summary in summaries:
        is_step = sys.stderr.isatty() and summary.runs >= shown + step
        if summary.runs < runs and (is_step or time.monotonic() >= shown_at + PROGRESS_EVERY_S):
            shown, shown_at = summary.runs, time.monotonic()
            output.notice(f"{summary.runs:,} of {runs:,} worlds")
        yield summary


def _show(summary: Summary) -> None:
    state = (f"{len(summary.failures)} failed", output.BAD) if summary.failures else ("all held", output.GOOD)
    output.line((f"{summary.runs:,} worlds", output.STRONG), f", {summary.steps:,} steps, {summary.faults.total():,} faults: ", state)
    rows: list[list[output.Piece]] = [
        ["longest overlap", f"{summary.overlap_s:.3f} s", f"{summary.overlaps} worlds above 0.1 s"],
        ["excused overlap", f"{summary.excused_overlap_s:.3f} s", "for a reason in docs/simulator.md"],
        ["longest wait", f"{summary.wait_s:.1f} s", "of connected nodes that could have the vote, and nothing else happened"],
        ["whole again", f"{summary.whole_again_s:.1f} s", "at most, after everything was repaired"],
    ]
    output.columns(rows)
    output.line()
    table: list[list[output.Piece]] = [["fault", "times", "quorum alone after it", "half within", "longest"]]
    for fault, times in sorted(summary.faults.items()):
        seconds = sorted(summary.hand_overs.get(fault, []))
        half, longest = (f"{seconds[len(seconds) // 2]:.1f} s", f"{seconds[-1]:.1f} s") if seconds else ("", "")
        table.append([fault, f"{times:,}", f"{len(seconds):,}", half, longest])
    output.columns(table)


def _show_failures(summary: Summary, wanted: Wanted) -> None:
    for seed, failure in summary.failures[:SHOWN_FAILURES]:
        output.line()
        _show_failure(seed, failure)
        output.line("  again: ", replay_command(seed, wanted))
        smallest = smallest_of(seed, wanted)
        if smallest is not None:
            output.line("  smallest: ", literal(smallest.schedule))
    for seed, failure in summary.failures[SHOWN_FAILURES:]:
        _show_failure(seed, failure)


def _show_failure(seed: int, failure: Failure) -> None:
    output.line((f"seed {seed}", output.STRONG), ": ", (str(failure.invariant), output.BAD), f" at {failure.at:.3f} s: {failure.text}")


def smallest_of(seed: int, wanted: Wanted) -> Outcome | None:
    """None when the seed does not fail."""
    outcome = run(draw(seed, wanted))
    return shrink(outcome) if outcome.failure is not None else None


def replay_command(seed: int, wanted: Wanted) -> str:
    words = ["thirdvote simulate", f"--seed {seed}", f"--policy {wanted.handover}"]
    if wanted.algorithm is not None:
        words.append(f"--algorithm {next(name for name, algorithm in ALGORITHMS.items() if algorithm is wanted.algorithm)}")
    if wanted.timeout_ms is not None:
        words.append(f"--timeout {wanted.timeout_ms}")
    return " ".join([*words, "--trace"])
