"""What was tried, behind the results."""

from __future__ import annotations

import pytest
from faults.scale import LONG, TRIED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        terminalreporter.section("faults, the long run" if LONG else "faults, the short run")
        for line in TRIED:
            terminalreporter.write_line(line)
