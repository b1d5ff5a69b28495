"""Compare golden values with what the project computes today, and renew them on demand.

`python -m tests.golden.make [NAME ...]` prints what differs and exits with 1 if anything does.
`python -m tests.golden.make --renew [NAME ...]` writes; without a name, all cases.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.golden import store
from tests.golden.cases import CASES
from tests.golden.store import DIGESTS


def compare(name: str) -> list[str]:
    """What differs, a line a value."""
    case = CASES[name]
    now = store.plain(store.computed(case))
    return store.differences(store.read(name), now, case, name)


def compare_bytes(name: str) -> list[str]:
    """Which values have other bytes than those recorded; they may still be close enough."""
    if CASES[name].trains:
        return []
    recorded = store.read(DIGESTS).get(DIGESTS, {}).get(name, {})
    now = store.digests(store.computed(CASES[name]))
    keys = sorted({*recorded, *now})
    return [f"{name}.{k}: other bytes" for k in keys if recorded.get(k) != now.get(k)]


def renew(names: Sequence[str]) -> None:
    """Write the values of `names`, and digests of all that do not train."""
    for name in names:
        store.write(name, store.plain(store.computed(CASES[name])))
    stored = store.read(DIGESTS)
    made_with = store.made_with()
    same = stored.get("made_with") == made_with
    now = {
        name: store.digests(store.computed(case))
        for name, case in CASES.items()
        if not case.trains and (name in names or not same)
    }
    kept = {k: v for k, v in stored.get(DIGESTS, {}).items() if same and k in CASES}
    both = dict(sorted((kept | now).items()))
    store.write(DIGESTS, {"made_with": made_with, DIGESTS: both})


def main(args: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make")
    parser.add_argument("--renew", action="store_true", help="write; otherwise only compare")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    asked = parser.parse_args(args)
    if unknown := [n for n in asked.names if n not in CASES]:
        parser.error(f"no case '{unknown[0]}'; there are {', '.join(CASES)}")
    names = asked.names or list(CASES)
    if asked.renew:
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
