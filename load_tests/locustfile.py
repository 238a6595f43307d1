"""Searches, and photos to add, at a rate that does not wait for answers, against a running deployment.

    locust -f load_tests/locustfile.py --headless -u 1 -t 60s --host http://127.0.0.1:8000 --grpc 127.0.0.1:50060
           --collection NAME --gallery build_gallery.json [--scenario search|mixed|overload] [--rate 20]
           [--photos FOLDER] [--api-key KEY] [--metrics URL] [--report service_load.json]

search    half of the searches over HTTP, half over gRPC.
mixed     the same, while photos of FOLDER are added at a tenth of the rate; they are removed at the end.
overload  ten times the rate: answers that are admitted must be right and in time, the others 429.

Arrivals are a Poisson process: a request begins when it is due, whatever became of those before, and its time counts
from then. So one user is enough. Before the load every query is asked once, alone; an answer under load must have the
same hits, all of them and in their order (photos that the load added may stand between them and push the last ones off
the page), or say what it went without. The report has throughput, p50,
p95 and p99 of each kind of request and each stage, the share of blobs that came from caches, and the CPU of the
machine. A run that misses a threshold of thresholds.toml ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import gevent
import grpc.experimental.gevent as grpc_gevent
import psutil
from gevent.pool import Pool
from load_calls import Caller, GrpcCaller, HttpCaller, Outcome, PhotoAdder, Question, read_counts
from load_report import ADDING, LoadFigures, is_right, list_misses
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

grpc_gevent.init_gevent()
gevent.get_hub().loop.update_now()  # the seconds of the imports, which would be taken off the time of the load

THRESHOLDS = Path(__file__).with_name("thresholds.toml")
_MOST_OUTSTANDING = 2000
_OVERLOAD = 10


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Tell locust the options of this load."""
    parser.add_argument(
        "--grpc", default="127.0.0.1:50060", help="the gateway over gRPC, with /gateway behind Ray Serve"
    )
    parser.add_argument("--collection", default="", help="name of the collection")
    parser.add_argument("--gallery", type=Path, help="report of build_gallery.py, for its queries")
    parser.add_argument("--queries", type=int, default=100, help="different queries to ask")
    parser.add_argument("--scenario", choices=("search", "mixed", "overload"), default="search")
    parser.add_argument("--rate", type=float, default=20.0, help="searches a second")
    parser.add_argument("--photos", type=Path, default=None, help="folder of photos to add, for mixed")
    parser.add_argument("--api-key", default="", help="API key with the scopes read and write", is_secret=True)
    parser.add_argument("--metrics", default="http://127.0.0.1:9464/metrics", help="where the node's metrics are")
    parser.add_argument("--report", type=Path, default=Path("service_load.json"))


@dataclass(slots=True, kw_only=True)
class Load:
    """What one run needs to know and finds out."""

    rate: float
    questions: Sequence[Question]
    callers: Sequence[Caller]
    adder: PhotoAdder | None
    counts_before: dict[str, float]
    figures: LoadFigures
    expected: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class Arrivals(User):
    """Starts every request when it is due. One user is the whole load."""

    fixed_count = 1
    load: Load

    def on_start(self) -> None:
        """Ask every query once, alone."""
        self.environment.process_exit_code = 1  # unless the load comes to its end
        self.load = prepare(self.environment)
        for question in self.load.questions:
            outcome = self.load.callers[0].search(question)
            if outcome.error or outcome.degraded or not outcome.image_ids:
                why = outcome.error or (f"it is without {outcome.degraded}" if outcome.degraded else "no hits")
                self._give_up(f"{question.text!r} is not answered before there is any load: {why}")
            self.load.expected[question.text] = outcome.image_ids
        psutil.cpu_percent()
        self.load.counts_before = read_counts(self.environment.parsed_options.metrics)
        self.load.figures.begin(time.monotonic())

    def _give_up(self, why: str) -> NoReturn:
        print(f"MISSED: {why}", flush=True)
        if (runner := self.environment.runner) is not None:
            gevent.spawn(runner.quit)
        raise gevent.GreenletExit

    @task
    def arrive(self) -> None:
        """Start requests by chance until locust stops the user, then wait for the last answers."""
        load, pool, chance = self.load, Pool(_MOST_OUTSTANDING), random.Random(1)
        due_s = time.monotonic()
        try:
            while True:
                gevent.sleep(max(0.0, due_s - time.monotonic()))
                load.figures.started += 1
                pool.spawn(self._search, chance.choice(load.callers), chance.choice(load.questions), due_s)
                if load.adder is not None and chance.random() < 0.1:
                    load.figures.started += 1
                    pool.spawn(self._add, load.adder, due_s)
                due_s += chance.expovariate(load.rate)
        finally:
            load.figures.end(time.monotonic())
            pool.join()
            finish(self.environment, load)

    def _search(self, caller: Caller, question: Question, due_s: float) -> None:
        outcome = caller.search(question)
        expected = self.load.expected[question.text]
        right = is_right(outcome, expected, may_have_added=self.load.adder is not None)
        self._note(caller.kind, question.text, outcome, due_s, right=right)

    def _add(self, adder: PhotoAdder, due_s: float) -> None:
        name, outcome = adder.add_next()
        self._note(ADDING, name, outcome, due_s, right=True)

    def _note(self, kind: str, name: str, outcome: Outcome, due_s: float, *, right: bool) -> None:
        milliseconds = 1000 * (time.monotonic() - due_s)
        self.load.figures.note(kind, name, outcome, milliseconds, is_right=right)
        self.environment.events.request.fire(
            request_type=kind,
            name="refused" if outcome.is_refused else "answered",
            response_time=milliseconds,
            response_length=0,
            exception=RuntimeError(outcome.error) if outcome.error and not outcome.is_refused else None,
            context={},
        )


def prepare(environment: Environment) -> Load:
    """Return the load that the command line asks for."""
    options = environment.parsed_options or argparse.Namespace()
    if not options.collection or options.gallery is None:
        raise SystemExit("--collection and --gallery are needed")
    if options.scenario == "mixed" and options.photos is None:
        raise SystemExit("the scenario mixed needs --photos")
    known: dict[str, list[str]] = json.loads(options.gallery.read_text(encoding="utf-8"))["queries"]
    chosen = random.Random(0).sample(sorted(known), min(options.queries, len(known)))
    rate = options.rate * (_OVERLOAD if options.scenario == "overload" else 1)
    return Load(
        rate=rate,
        questions=[Question(text=text) for text in chosen],
        callers=[
            HttpCaller(environment.host or "http://127.0.0.1:8000", options.collection, key=options.api_key),
            GrpcCaller(options.grpc, options.collection, key=options.api_key),
        ],
        adder=PhotoAdder(options.grpc, options.collection, options.photos, key=options.api_key)
        if options.scenario == "mixed"
        else None,
        counts_before={},
        figures=LoadFigures(scenario=options.scenario, rate=rate),
    )


def finish(environment: Environment, load: Load) -> None:
    """Write the report and decide the exit code."""
    options = environment.parsed_options or argparse.Namespace()
    load.figures.cpu_percent = psutil.cpu_percent()
    load.figures.note_counts(load.counts_before, read_counts(options.metrics))
    if load.adder is not None:
        load.adder.remove_added()
    report = load.figures.as_json()
    options.report.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(load.figures.describe(), flush=True)
    misses = list_misses(report, tomllib.loads(THRESHOLDS.read_text())[f"service_{options.scenario}"])
    for miss in misses:
        print(f"MISSED: {miss}", flush=True)
    environment.process_exit_code = 1 if misses else 0
