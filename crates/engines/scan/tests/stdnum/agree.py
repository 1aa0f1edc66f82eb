#!/usr/bin/env python3
"""Compares the check digits of this crate with python-stdnum's, kind by kind.

    python3 -m venv VENV && VENV/bin/pip install python-stdnum==2.2
    cargo build --release -p sealwright-scan --example check_numbers
    VENV/bin/python crates/engines/scan/tests/stdnum/agree.py \
        target/release/examples/check_numbers IDENTIFIERS.json [COUNT [KIND...]]

IDENTIFIERS.json gives seeds of each kind. From them COUNT (10,000) numbers that python-stdnum takes
for valid are made by changing letters and digits at random, and COUNT by one mutation of a valid
number (a digit changed, two neighbours swapped), whatever it then is. Exit 1 when one answer differs.
"""
import importlib
import json
import keyword
import random
import string
import subprocess
import sys
import time


def judge(kind):
    # `in` and `is` are words of the language: their modules end in an underscore.
    country, _, rest = kind.partition(".")
    name = country + "_." + rest if keyword.iskeyword(country) else kind
    module = importlib.import_module("stdnum." + name)

    def valid(number):
        try:
            return module.is_valid(number)
        except (KeyError, IndexError, TypeError):
            # The judge itself fails on a few numbers: no judgement.
            return None

    return valid


def change(rng, value, places):
    out = list(value)
    for at in places:
        c = out[at]
        if c.isdigit():
            out[at] = rng.choice(string.digits)
        elif c.isalpha():
            out[at] = rng.choice(string.ascii_uppercase)
    return "".join(out)


def made(rng, valid, seeds, count, seconds):
    """Valid numbers: the head of a seed changed, the tail tried until the check fits."""
    out, end = set(), time.monotonic() + seconds
    pool = list(seeds)
    while len(out) < count and time.monotonic() < end:
        seed = rng.choice(pool)
        n = len(seed)
        head = change(rng, seed, [rng.randrange(n) for _ in range(rng.randint(1, 4))])
        if valid(head):
            out.add(head)
            continue
        for _ in range(30):
            tried = change(rng, head, [rng.randrange(n), n - 1][: rng.randint(1, 2)])
            if valid(tried):
                out.add(tried)
                if len(pool) < 5000:
                    pool.append(tried)
                break
    return sorted(out)


def mutated(rng, values, count):
    out = []
    while len(out) < count:
        value = rng.choice(values)
        if rng.random() < 0.7:
            at = rng.randrange(len(value))
            new = change(rng, value, [at])
        else:
            at = rng.randrange(len(value) - 1)
            new = value[:at] + value[at + 1] + value[at] + value[at + 2 :]
        if new != value:
            out.append(new)
    return out


def main():
    program, data = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
    only = sys.argv[4:]
    differ = total = 0
    for entry in json.load(open(data))["kinds"]:
        kind = entry["kind"]
        if only and kind not in only:
            continue
        rng = random.Random(kind)
        valid = judge(kind)
        seeds = [v["value"] for v in entry["valid"]]
        good = made(rng, valid, seeds, count, 60)
        numbers = good + mutated(rng, good or seeds, count)
        numbers = [n for n in numbers if valid(n) is not None]
        theirs = ["valid" if valid(n) else "invalid" for n in numbers]
        text = "".join(f"{kind} {n}\n" for n in numbers)
        ours = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
        ours = ours.stdout.split()
        wrong = [(n, t, o) for n, t, o in zip(numbers, theirs, ours) if t != o]
        total += len(numbers)
        differ += len(wrong)
        print(f"{kind:<22} {len(good):>6} valid {count:>6} mutated {len(wrong):>5} differ", wrong[:3] or "", flush=True)
    print(f"{total} numbers, {differ} answers differ")
    return differ > 0


if __name__ == "__main__":
    sys.exit(main())
