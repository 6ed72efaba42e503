"""What a server counts, as text that Prometheus reads."""

from __future__ import annotations

import bisect

_EDGES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ServiceFigures:
    """Counts of requests, rows and times.

    >>> figures = ServiceFigures()
    >>> figures.count("/predict", 200, 0.003)
    >>> [line for line in figures.text(0).splitlines() if "requests_total{" in line]
    ['nnscratch_requests_total{route="/predict",status="200"} 1']
    """

    def __init__(self) -> None:
        self.rows = 0
        self.wrong_rows = 0
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets = [0] * (len(_EDGES) + 1)
        self._seconds = 0.0

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = route, status
        self._requests[key] = self._requests.get(key, 0) + 1
        self._buckets[bisect.bisect_left(_EDGES, seconds)] += 1
        self._seconds += seconds

    def text(self, waiting: int) -> str:
        """Return all figures in the text format, version 0.0.4."""
        lines = [
            "# HELP nnscratch_requests_total Requests by route and status; 499: cut off.",
            "# TYPE nnscratch_requests_total counter",
        ]
        for (route, status), number in sorted(self._requests.items()):
            shown = route.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            lines.append(f'nnscratch_requests_total{{route="{shown}",status="{status}"}} {number}')
        for name, what, value, kind in (
            ("rows_total", "Rows in requests.", self.rows, "counter"),
            ("wrong_rows_total", "Rows that were answered with an error.", self.wrong_rows,
             "counter"),
            ("waiting", "Requests that wait for their turn.", waiting, "gauge"),
        ):  # fmt: skip
            lines += [
                f"# HELP nnscratch_{name} {what}",
                f"# TYPE nnscratch_{name} {kind}",
                f"nnscratch_{name} {value}",
            ]
        name, total = "nnscratch_request_seconds", 0
        lines += [f"# HELP {name} Time from a request's headers to its answer.",
                  f"# TYPE {name} histogram"]  # fmt: skip
        for edge, number in zip((*_EDGES, float("inf")), self._buckets, strict=True):
            total += number
            bound = "+Inf" if edge == float("inf") else f"{edge:g}"
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        lines += [f"{name}_sum {self._seconds:.6f}", f"{name}_count {total}"]
        return "\n".join(lines) + "\n"
