"""Compare golden values with those that the code computes today, or renew them.

`python -m tests.golden.make [NAME ...]` prints what differs. The exit code is then 1.
`python -m tests.golden.make --renew [NAME ...]` writes the values. Without a name, both take all
cases.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.golden import store
from tests.golden.cases import CASES
from tests.golden.store import DIGESTS


def compare(name: str) -> list[str]:
    """Return a line for each value that differs."""
    case = CASES[name]
    values = store.plain(store.computed(case))
    return store.differences(store.read(name), values, case, name)


def compare_bytes(name: str) -> list[str]:
    """Return a line for each value whose bytes differ, even if it is within the tolerance."""
    if CASES[name].trains:
        return []
    recorded = store.read(DIGESTS).get(DIGESTS, {}).get(name, {})
    digests = store.digests(store.computed(CASES[name]))
    keys = sorted({*recorded, *digests})
    return [f"{name}.{k}: other bytes" for k in keys if recorded.get(k) != digests.get(k)]


def renew(names: Sequence[str]) -> None:
    """Write the values of `names`, and digests of all cases that do not train."""
    for name in names:
        store.write(name, store.plain(store.computed(CASES[name])))
    stored = store.read(DIGESTS)
    made_with = store.made_with()
    same_machine = stored.get("made_with") == made_with
    renewed = {
        name: store.digests(store.computed(case))
        for name, case in CASES.items()
        if not case.trains and (name in names or not same_machine)
    }
    kept = {k: v for k, v in stored.get(DIGESTS, {}).items() if same_machine and k in CASES}
    digests = dict(sorted((kept | renewed).items()))
    store.write(DIGESTS, {"made_with": made_with, DIGESTS: digests})


def main(args: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make")
    parser.add_argument("--renew", action="store_true", help="write the values of today")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    options = parser.parse_args(args)
    if unknown := [n for n in options.names if n not in CASES]:
        parser.error(f"no case '{unknown[0]}'; choose one of {', '.join(CASES)}")
    names = options.names or list(CASES)
    if options.renew:
        renew(names)
        return 0
    lines = [line for name in names for line in compare(name)]
    if store.read(DIGESTS).get("made_with") == store.made_with():
        lines += [line for name in names for line in compare_bytes(name)]
    for line in lines:
        print(line)
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
