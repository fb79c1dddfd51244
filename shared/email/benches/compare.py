#!/usr/bin/env python3
"""The engine beside PyPI `email-validator` (2.4.0, syntax only), on one list, one core each, in one run.

    python3 shared/email/benches/compare.py [ROWS]

Makes target/venv-bench, builds the `throughput` example in release mode, runs both three times and keeps the best.
`parse` does the same work as email-validator (syntax, IDN); `decide` adds word lists, slips and the verdict.
"""
import json, os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "venv-bench"
ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
PEER = """
import json, sys, time
from email_validator import EmailNotValidError, validate_email
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
sound, start = 0, time.perf_counter()
for line in lines:
    try:
        validate_email(line, check_deliverability=False)
        sound += 1
    except EmailNotValidError:
        pass
print(json.dumps({"rows": len(lines), "sound": sound, "seconds": time.perf_counter() - start}))
"""


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, cwd=ROOT).stdout


if not (VENV / "bin/python").exists():
    run(sys.executable, "-m", "venv", VENV)
    run(VENV / "bin/python", "-m", "pip", "install", "-q", "email-validator==2.4.0")
run("cargo", "build", "--release", "-q", "-p", "email", "--example", "throughput")
throughput = TARGET / "release/examples/throughput"
address_list = TARGET / "addresses.txt"
run(throughput, "--write", address_list, ROWS)

ours = [json.loads(run(throughput, address_list)) for _ in range(3)]
peers = [json.loads(run(VENV / "bin/python", "-c", PEER, address_list)) for _ in range(3)]
parse = ROWS / min(o["parse_seconds"] for o in ours)
decide = ROWS / min(o["decide_seconds"] for o in ours)
peer = ROWS / min(p["seconds"] for p in peers)
print(f"rows                     {ROWS:>12,}")
print(f"sound: engine            {ours[0]['sound']:>12,}")
print(f"sound: email-validator   {peers[0]['sound']:>12,}")
print(f"email-validator          {peer:>12,.0f} addresses/s")
print(f"engine, parse            {parse:>12,.0f} addresses/s   {parse / peer:,.0f} x")
print(f"engine, inspect+verdict  {decide:>12,.0f} addresses/s   {decide / peer:,.0f} x")
