"""Runs attacks one after the other in one examiner, one line of JSON for each: its id, and what is wrong.

Started by `attacks.enter`, which hands over the markers on the standard input.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from attacks import ATTACKS
from attacks.examining import Examining
from attacks.grounds import Grounds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--level", default="A")
    parser.add_argument("--shard", default="0/1", help="which of how many parts")
    parser.add_argument("--only", default="", help="ids of attacks, separated by |")
    options = parser.parse_args()
    markers = json.loads(sys.stdin.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(options.folder)
    examining = Examining(Grounds(options.folder, markers), options.level)
    index, of = map(int, options.shard.split("/"))
    wanted = [a for a in ATTACKS if not options.only or a.id in options.only.split("|")]
    if options.level == "D":
        wanted = [attack for attack in wanted if not attack.ends_run]
    for attack in wanted[index::of]:
        start = time.monotonic()
        found = list(examining.problems(attack))
        result = {"id": attack.id, "problems": found, "seconds": round(time.monotonic() - start, 2)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
