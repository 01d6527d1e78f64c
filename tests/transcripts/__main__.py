"""`python -m tests.transcripts`: plays all transcripts; `--rewrite` writes what commands say now into them, to be read as a diff."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.transcripts.transcript import played, transcripts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rewrite", action="store_true", help="write what came of it into the transcripts")
    rewrite = parser.parse_args().rewrite
    changed = 0
    for path in transcripts():
        before = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            after = played(before, Path(folder).resolve())
        if after == before:
            continue
        changed += 1
        print(path.name)
        if rewrite:
            path.write_text(after, encoding="utf-8")
    print(f"{len(transcripts())} transcripts, {changed} {'rewritten' if rewrite else 'different'}")
    return 1 if changed and not rewrite else 0


if __name__ == "__main__":
    sys.exit(main())
