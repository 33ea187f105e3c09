"""The recipes of docs/review.md, run as they stand: they post one comment, and update it afterwards."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from recovery.declared.folders import OWN_TEMPLATES
from tests.gitted import Gitted
from tests.tools import need

PAGE = OWN_TEMPLATES.parent / "docs" / "review.md"
MARK = "<!-- pulih-review -->"


def recipe(file: str) -> dict[str, Any]:
    """Return a workflow of the page."""
    (text,) = re.findall(rf"^```yaml\n# {re.escape(file)}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    # GitHub's `on` is true in YAML 1.1, so scalars stay text here.
    return cast(dict[str, Any], yaml.load(text, Loader=yaml.BaseLoader))  # noqa: S506 - makes texts only


@dataclass
class Forge:
    """Answers as GitHub's and GitLab's interfaces for comments do.

    Attributes:
        comments: In the order in which they came.
        asked: Method and path of every change.
        tokens: That were shown.
    """

    comments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    tokens: set[str] = field(default_factory=set[str])
    address: str = ""

    def add(self, author: str, body: str) -> None:
        """Add somebody's comment."""
        number = 100 + len(self.comments)
        self.comments.append({"id": number, "body": body, "user": {"login": author}, "author": {"id": author}})


@pytest.fixture
def forge() -> Generator[Forge]:
    need("curl")
    kept = Forge()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kept.tokens.add(self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"])
            self._answer({"id": "me"} if self.path == "/user" else kept.comments)

        def do_POST(self) -> None:
            kept.asked.append((self.command, self.path))
            kept.add("github-actions[bot]" if "issues" in self.path else "me", self._body())
            self._answer(kept.comments[-1])

        def do_PUT(self) -> None:
            kept.asked.append((self.command, self.path))
            number = int(self.path.rpartition("/")[2])
            (one,) = [comment for comment in kept.comments if comment["id"] == number]
            one["body"] = self._body()
            self._answer(one)

        do_PATCH = do_PUT  # noqa: N815 - the base class looks for this name

        def _body(self) -> str:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

        def _answer(self, document: object) -> None:
            content = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield kept
        server.shutdown()
        thread.join(10)


@dataclass(frozen=True, slots=True)
class Checkout:
    """What a job works in: the branch that is merged into, and a remote that has the change.

    Attributes:
        remote: The repository.
        work: The job's own clone, with pulih as `make setup` would leave it.
    """

    remote: Gitted
    work: Path

    @staticmethod
    def make(folder: Path) -> Checkout:
        remote = Gitted.make(folder / "remote")
        remote.git("clone", "--quiet", str(remote.top), str(folder / "work"))
        program = folder / "work" / ".venv" / "bin" / "pulih"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m recovery.cli.main "$@" --estate estate\n')
        program.chmod(0o755)
        remote.git("checkout", "--quiet", "-b", "change")
        return Checkout(remote, folder / "work")

    def propose(self, old: str, new: str) -> str:
        """Change a template, and return the commit."""
        self.remote.edit("templates/border-gate/nginx.conf.j2", old, new)
        commit = self.remote.commit("Change")
        self.remote.git("update-ref", "refs/pull/7/head", commit)
        return commit

    def run(self, script: str, **words: str) -> subprocess.CompletedProcess[str]:
        """Run a step of a job, as its shell does."""
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.work,
            env={"PATH": os.environ["PATH"], "HOME": str(self.work.parent), **words},
            capture_output=True,
            text=True,
            timeout=120,
        )


def test_the_github_recipe_runs_nothing_of_the_change_and_keeps_one_comment(tmp_path: Path, forge: Forge) -> None:
    workflow = recipe(".github/workflows/review.yaml")
    assert workflow["on"] == "pull_request_target"
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    checkout, setup, post = workflow["jobs"]["review"]["steps"]
    assert checkout["with"] == {"ref": "${{ github.event.pull_request.base.sha }}", "fetch-depth": "0"}
    assert setup == {"run": "make setup"}
    assert "${{" not in post["run"], "what a change may name never becomes part of a script"

    here = Checkout.make(tmp_path)
    words = {"TOKEN": "t0ken", "NUMBER": "7", "ISSUES": f"{forge.address}/repos/o/r/issues"}
    assert set(post["env"]) == set(words)
    forge.add("somebody", f"{MARK}\nnot the robot's")
    here.propose("worker_processes 1;", "worker_processes 2;")
    first = here.run(post["run"], **words)
    assert first.returncode == 0, first.stderr
    assert forge.asked == [("POST", "/repos/o/r/issues/7/comments")]
    assert forge.comments[1]["body"].startswith(f"{MARK}\n# pulih: 1 of 3 units change\n")
    here.propose("worker_processes 2;", "worker_processes 3;")
    assert here.run(post["run"], **words).returncode == 0
    assert forge.asked[1:] == [("PATCH", "/repos/o/r/issues/comments/101")]
    assert "+worker_processes 3;" in forge.comments[1]["body"]
    assert forge.comments[0]["body"].endswith("not the robot's")
    assert forge.tokens == {"Bearer t0ken"}

    here.propose("{{ unit.name }}", "{{ unit.nam }}")
    broken = here.run(post["run"], **words)
    assert broken.returncode == 1
    assert "FETCH_HEAD:templates/border-gate/nginx.conf.j2:1: " in broken.stderr
    assert forge.comments[1]["body"] == f"{MARK}\nNo review: see the log of its job.\n"
    assert len(forge.comments) == 2


def test_the_gitlab_recipe_keeps_one_comment(tmp_path: Path, forge: Forge) -> None:
    job = recipe(".gitlab-ci.yml")["review"]
    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert job["variables"] == {"GIT_DEPTH": "0"}
    script = "\n".join(line for line in job["script"] if line != "make setup")
    here = Checkout.make(tmp_path)
    words = {
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_API_V4_URL": forge.address,
        "CI_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "7",
        "REVIEW_TOKEN": "t0ken",
    }
    forge.add("somebody", f"{MARK}\nnot the robot's")
    for number, method in (("2", "POST"), ("3", "PUT")):
        commit = here.propose(f"worker_processes {int(number) - 1};", f"worker_processes {number};")
        here.run("git fetch --quiet origin change")
        done = here.run(script, CI_COMMIT_SHA=commit, **words)
        assert done.returncode == 0, done.stderr
        assert forge.asked[-1][0] == method
        assert f"+worker_processes {number};" in forge.comments[1]["body"]
    assert forge.asked == [
        ("POST", "/projects/5/merge_requests/7/notes"),
        ("PUT", "/projects/5/merge_requests/7/notes/101"),
    ]
    assert (len(forge.comments), forge.tokens) == (2, {"t0ken"})
