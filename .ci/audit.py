#!/usr/bin/env python3
"""Ask for known holes in the pinned dependencies: ``.ci/audit.py constraints.txt``.

Fails for a hole. Where nobody can be asked, for want of a network or because what answers has no
advisories, it says so in one line and ends well: a clone must pass without either.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ANSWERS_WITHIN = 120
"""Seconds."""


class NoAnswer(Exception):
    """Why nobody could be asked."""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A module of this Python, at last given up."""
    command = [sys.executable, "-m", *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWERS_WITHIN)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{words[0]} had no answer within {ANSWERS_WITHIN} s") from None


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def install() -> None:
    quick = ("--quiet", "--retries", "0", "--timeout", "10")
    done = run("pip", "install", *quick, "pip-audit")
    if done.returncode:
        raise NoAnswer(f"pip-audit cannot be installed ({last_line(done)})")


def audit(pins: list[str]) -> list[dict[str, Any]]:
    """What is known of each pinned package: its ``vulns``, or a ``skip_reason``."""
    with tempfile.TemporaryDirectory() as folder:
        pinned, found = Path(folder) / "pinned.txt", Path(folder) / "found.json"
        pinned.write_text("\n".join(pins), encoding="utf-8")
        options = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
        done = run("pip_audit", *options, "--output", str(found), "--requirement", str(pinned))
        # With a hole as without one there is a list; nothing else ends with one.
        if done.returncode not in (0, 1) or not found.exists():
            raise NoAnswer(f"pip-audit ended with: {last_line(done)}")
        return json.loads(found.read_text(encoding="utf-8"))["dependencies"]


def main(file: Path) -> int:
    lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
    pins = [line for line in lines if line]
    try:
        install()
        # One first: without advisories each of them is asked for in vain.
        if all("skip_reason" in package for package in audit(pins[:1])):
            raise NoAnswer("what answers here has no advisories")
        packages = audit(pins)
    except NoAnswer as why:
        print(f"the dependencies were not audited: {why}")
        return 0
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    holes = [(package, hole) for package in packages for hole in package.get("vulns", [])]
    for package, hole in holes:
        fixed = ", ".join(hole["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {fixed}")
    known = len(packages) - len(unknown)
    print(f"{known} of {len(packages)} dependencies audited, {len(holes)} known hole(s)")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
