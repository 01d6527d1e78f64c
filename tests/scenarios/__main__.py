"""`python -m tests.scenarios`: plays all stories; `--rewrite` writes what came of each line into them, to be looked at as a diff."""

from __future__ import annotations

import argparse
import difflib
import sys

from tests.scenarios.story import HERE, played, stories


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("--rewrite", action="store_true", help="write what came of it into the stories")
    rewrite = parser.parse_args().rewrite
    changed = 0
    for path in stories():
        text = path.read_text(encoding="utf-8")
        now = played(text)
        if now == text:
            continue
        changed += 1
        name = str(path.relative_to(HERE))
        sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), now.splitlines(True), name, f"{name}, as it is"))
        if rewrite:
            path.write_text(now, encoding="utf-8")
    print(f"{len(stories())} stories, {changed} {'rewritten' if rewrite else 'different'}")
    return 1 if changed and not rewrite else 0


if __name__ == "__main__":
    sys.exit(main())
