"""What the scripts of this folder share: a stack without functions, requests, and an orderly end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PIECEWORK = TARGET / "debug" / "piecework"


def free_port():
    """A port that nobody has at the moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tool(name):
    """A program from PATH, or from the environment that .ci/run makes."""
    places = [ROOT / "target" / "ci" / "sam" / "bin" / name]
    found = shutil.which(name) or next((str(p) for p in places if p.is_file()), None)
    return found or sys.exit(f"{name} is not installed: pip install aws-sam-cli cargo-lambda")


class Programs:
    """Programs that are ended, by id and in reverse order, when the script ends."""

    def __init__(self):
        self.running = []
        self.folder = Path(tempfile.mkdtemp(prefix="piecework-ways-"))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for name, program in reversed(self.running):
            if program.poll() is None:
                program.send_signal(signal.SIGINT)
                program.wait(timeout=60)
            if kind:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                print(f"--- {name}, the end of its log\n{log[-4000:]}", file=sys.stderr)
        shutil.rmtree(self.folder)

    def start(self, name, command, **more):
        log = open(self.folder / f"{name}.log", "wb")
        program = subprocess.Popen(
            [str(c) for c in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more
        )
        self.running.append((name, program))
        return program

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def services(self, *options):
        """The stack without functions: what its stack.json says."""
        data = self.folder / "data"
        program = self.start("services", [PIECEWORK, "--data", data, "--port", free_port(), "services", *options])
        until("services", lambda: (data / "stack.json").is_file(), program)
        return data, json.loads((data / "stack.json").read_text())


def until(what, look, program=None, patience=300):
    """Waits until `look` gives something true."""
    begun = time.monotonic()
    while not (found := look()):
        if program and program.poll() is not None:
            raise SystemExit(f"{what}: the program ended with {program.returncode}")
        if time.monotonic() - begun > patience:
            raise SystemExit(f"{what} did not happen within {patience} s")
        time.sleep(0.2)
    return found


def request(method, url, key=None, body=None):
    """Status and JSON of an answer; None if nobody answers."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if key:
        headers["x-api-key"] = key
    data = None if body is None else json.dumps(body).encode()
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url, data, headers, method=method), timeout=120
        )
    except urllib.error.HTTPError as refused:
        answer = refused
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None
    with answer:
        return answer.status, json.loads(answer.read() or b"null")


def run(*command, **more):
    """Runs to the end; what it wrote."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, stdout=subprocess.PIPE, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stdout}")
    return done.stdout


def piecework(data, *arguments):
    """A command of the stack's, on a data folder."""
    return run(PIECEWORK, "--data", data, *arguments).strip()


def check(what, holds, given):
    """Says what holds, or ends with what was given instead."""
    if not holds:
        raise SystemExit(f"NOT {what}: {given}")
    print(f"ok: {what}", flush=True)
