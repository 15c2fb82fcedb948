"""``python -m benchmarks.jobs``: no-op jobs end to end, keywright beside Celery and procrastinate.

All three use the same RabbitMQ node (where they use one) and the same Postgres server, one after
the other in one run, with the same numbers of processes and threads.
"""

import argparse
import json

from benchmarks import keywright_contestant
from benchmarks.peers import celery_peer, procrastinate_peer
from benchmarks.servers import run_servers
from workers.telemetry import configure_logging

_CONTESTANTS = {
    "keywright": keywright_contestant.measure,
    "celery": celery_peer.measure,
    "procrastinate": procrastinate_peer.measure,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--only", choices=list(_CONTESTANTS), help="measure just this one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("warning", "text")  # to standard error: standard output is for the figures
    results = {}
    with run_servers() as servers:
        for name, measure in _CONTESTANTS.items():
            if options.only in (None, name):
                results[name] = measure(
                    broker_url=servers.create_broker_url(),
                    database_url=servers.create_database_url(),
                    jobs=options.jobs,
                    processes=options.processes,
                    threads=options.threads,
                )
    figures: dict[str, float | int] = {
        "jobs": options.jobs,
        "processes": options.processes,
        "threads": options.threads,
    }
    for name, result in results.items():
        prefix = "" if name == "keywright" else f"{name}_"
        figures[f"{prefix}jobs_per_second"] = round(result.jobs_per_second, 1)
        figures[f"{prefix}enqueued_per_second"] = round(result.enqueue_per_second, 1)
        figures[f"{prefix}p50_ms"] = round(result.p50_ms, 1)
        figures[f"{prefix}p99_ms"] = round(result.p99_ms, 1)
    if options.only is None:
        fastest_peer = max(results[name].jobs_per_second for name in ("celery", "procrastinate"))
        figures["ratio_to_fastest_peer"] = round(
            results["keywright"].jobs_per_second / fastest_peer, 2
        )
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:32} {value}")


if __name__ == "__main__":
    main()
