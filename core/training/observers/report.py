"""report.html at the end of every run, and report.json, which it can be built from again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from umbel.contract.hooks import hookimpl

if TYPE_CHECKING:
    from umbel.report.record import ReportedRun


log = logging.getLogger(__name__)


class ReportObserver:
    """Writes the report of a run that has ended, well or not; a fault here costs the report and nothing else."""

    @hookimpl
    def umbel_run_finished(self, run: ReportedRun, error: BaseException | None) -> None:
        from umbel.io.run_folder import RECORD_FILE
        from umbel.report.record import record_run, write_record
        from umbel.report.write import write_report

        try:
            write_record(run.directory / RECORD_FILE, record_run(run, error), run.secrets)
            write_report(run.directory)
        except Exception as fault:
            log.warning("report: not written: %s: %s", type(fault).__name__, fault)
