"""The operators over real SFTP: what arrives, what tasks return, and which failures are retried."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, Asset
from checkvalve import JobOptions
from checkvalve.airflow import (
    CheckvalveBatchOperator,
    CheckvalveFinishOperator,
    CheckvalvePlanOperator,
    CheckvalveSyncOperator,
    checkvalve_task_group,
)
from checkvalve.airflow.hooks.checkvalve import CheckvalveHook

from servers.keys import make_key, public_key
from servers.openssh import SshServer
from servers.process import free_port, wait_until

from .conftest import Execution, sftp_fields
from .test_engine import fill


def endpoints(place: Path) -> dict[str, str]:
    return {
        "source_conn_id": "source",
        "source_path": f"{place}/source",
        "target_conn_id": "target",
        "target_path": f"{place}/target",
    }


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("sftp")
class TestSync:
    def test_copies_once(self, place: Path, execution: Execution) -> None:
        fill(place / "source", ["a.txt", "b/c.txt", "d.log"])
        asset = Asset("checkvalve://test/asset")
        sync = CheckvalveSyncOperator(
            task_id="sync", options=JobOptions(include=["*.txt"]), outlets=[asset], **endpoints(place)
        )
        first = execution.run(sync)
        assert names(place / "target") == ["a.txt", "b/c.txt"]
        assert (first["files_copied"], first["files_skipped"]) == (2, 0)
        assert execution.outlet_events[asset].extra["files_copied"] == 2
        assert (execution.run(sync)["files_copied"], execution.report("sync")["files_skipped"]) == (0, 2)

    @pytest.mark.parametrize("files", ["b/c.txt", ["b/c.txt"]])
    def test_takes_a_file_or_a_list(self, place: Path, execution: Execution, files: Any) -> None:
        fill(place / "source", ["a.txt", "b/c.txt"])
        execution.run(CheckvalveSyncOperator(task_id="sync", files=files, **endpoints(place)))
        assert names(place / "target") == ["b/c.txt"]

    def test_an_unreadable_file_fails_the_task_with_its_name(self, place: Path, execution: Execution) -> None:
        fill(place / "source", ["a.txt", "b.txt"])
        # A directory in the way of a name fails for every user, root too.
        (place / "target" / "a.txt" / "x").mkdir(parents=True)
        with pytest.raises(AirflowException, match=r"1 file not copied: .*a\.txt"):
            execution.run(CheckvalveSyncOperator(task_id="sync", **endpoints(place)))
        assert (place / "target/b.txt").is_file()
        assert [item["path"] for item in execution.report("sync")["failures"]] == ["a.txt"]

    def test_on_empty(self, place: Path, execution: Execution) -> None:
        assert execution.run(CheckvalveSyncOperator(task_id="a", **endpoints(place)))["files_copied"] == 0
        with pytest.raises(AirflowSkipException):
            execution.run(CheckvalveSyncOperator(task_id="b", on_empty="skip", **endpoints(place)))
        with pytest.raises(AirflowFailException, match="no file to copy in"):
            execution.run(CheckvalveSyncOperator(task_id="c", on_empty="fail", **endpoints(place)))

    @pytest.mark.parametrize("operator", [CheckvalveSyncOperator, CheckvalvePlanOperator])
    def test_a_missing_source_folder(self, place: Path, execution: Execution, operator: Any) -> None:
        parameters = {**endpoints(place), "source_path": f"{place}/not there"}
        with pytest.raises(
            AirflowException, match=r"source directory .*/not%20there does not exist; retries look"
        ) as info:
            execution.run(operator(task_id="a", **parameters))
        assert not isinstance(info.value, AirflowFailException)
        with pytest.raises(AirflowFailException, match=r"does not exist \(on_empty='fail'\)"):
            execution.run(operator(task_id="b", on_empty="fail", **parameters))
        with pytest.raises(AirflowSkipException, match="does not exist"):
            execution.run(operator(task_id="c", on_empty="skip", **parameters))
        with pytest.raises(AirflowException, match="not_there"):
            execution.run(operator(task_id="d", **{**parameters, "source_path": f"{place}/source/not_there"}))

    def test_on_kill_ends_the_engine(self, place: Path, execution: Execution) -> None:
        fill(place / "source", ["a.txt"], 50_000_000)
        sync = CheckvalveSyncOperator(task_id="sync", options=JobOptions(bwlimit="1MB/s"), **endpoints(place))

        def kill_in_mid_transfer() -> None:
            wait_until(lambda: any((place / "target").glob(".*")), 60)
            os.kill(os.getpid(), signal.SIGUSR1)

        # As in Airflow: a signal handler of the main thread, which is in the middle of reading events.
        previous = signal.signal(signal.SIGUSR1, lambda *_: sync.on_kill())
        killer = threading.Thread(target=kill_in_mid_transfer)
        killer.start()
        try:
            started = time.monotonic()
            with pytest.raises(AirflowException):
                execution.run(sync)
            assert time.monotonic() - started < 40, "it took as long as the transfer"
        finally:
            killer.join()
            signal.signal(signal.SIGUSR1, previous)
        assert not (place / "target/a.txt").exists()


class TestFailures:
    def run(self, place: Path, execution: Execution, **parameters: Any) -> None:
        fill(place / "source", ["a.txt"])
        execution.run(CheckvalveSyncOperator(task_id="sync", **{**endpoints(place), **parameters}))

    def test_a_refused_login_fails_at_once(
        self, place: Path, execution: Execution, sftp: SshServer, connect: Any
    ) -> None:
        other = make_key(place / "other").read_text()
        connect("source", "sftp", **sftp_fields(sftp, private_key=other), password="wrong-password")
        with pytest.raises(AirflowFailException, match="check login, password and key of connection 'source'") as info:
            self.run(place, execution)
        assert "wrong-password" not in str(info.value)

    def test_an_unknown_host_key_fails_at_once(
        self, place: Path, execution: Execution, sftp: SshServer, connect: Any
    ) -> None:
        connect("source", "sftp", **sftp_fields(sftp, host_key=None))
        with pytest.raises(AirflowFailException, match="extra 'host_key' of connection 'source'"):
            self.run(place, execution)

    def test_a_changed_host_key_fails_at_once(
        self, place: Path, execution: Execution, sftp: SshServer, connect: Any
    ) -> None:
        connect("source", "sftp", **sftp_fields(sftp, host_key=public_key(make_key(place / "other"))))
        with pytest.raises(AirflowFailException, match="host"):
            self.run(place, execution)

    def test_the_connect_timeout_of_the_connections_counts(
        self, place: Path, execution: Execution, sftp: SshServer, connect: Any
    ) -> None:
        connect("source", "sftp", **sftp_fields(sftp, conn_timeout=3))
        connect("target", "sftp", **sftp_fields(sftp, conn_timeout="4.5"))
        sync = CheckvalveSyncOperator(task_id="sync", **endpoints(place))
        execution.run(sync)
        assert sync.job_options().connect_timeout == "5s"
        options = JobOptions(connect_timeout="9s")
        batch = CheckvalveBatchOperator(task_id="copy", source_conn_id="source", batch={}, options=options)
        batch.source()
        assert batch.job_options().connect_timeout == "9s"
        batch.options.connect_timeout = None
        assert batch.job_options().connect_timeout == "3s"

    def test_the_check_is_off_only_if_the_connection_says_so(
        self, place: Path, execution: Execution, sftp: SshServer, connect: Any
    ) -> None:
        connect("source", "sftp", **sftp_fields(sftp, host_key=None, no_host_key_check="true"))
        self.run(place, execution)
        assert names(place / "target") == ["a.txt"]

    def test_a_connection_is_tested_without_writing(self, place: Path, sftp: SshServer, connect: Any) -> None:
        """It may be a source's."""
        fill(place / "source", ["a.txt"])
        fields = sftp_fields(sftp)
        url = f"sftp://127.0.0.1:{sftp.port}{place}/source"
        options = f"host_key={fields['extra']['host_key']}"
        extra = {"private_key": fields["extra"]["private_key"], "options": options}
        connect("source", "checkvalve", host=url, login=fields["login"], extra=extra)
        before = (place / "source").stat().st_mtime_ns
        works, text = CheckvalveHook("source").test_connection()
        assert works, text
        assert (place / "source").stat().st_mtime_ns == before

    @pytest.mark.usefixtures("sftp")
    def test_a_batch_that_is_none(self, place: Path, execution: Execution) -> None:
        for batch in ([], {"plan": "7k3m9q2x5t", "batch": 1}):
            with pytest.raises(AirflowFailException, match="expected a reference that CheckvalvePlanOperator returned"):
                execution.run(CheckvalveBatchOperator(task_id="copy", batch=batch))

    def test_a_server_that_is_down_is_retried(
        self, place: Path, execution: Execution, sftp: SshServer, connect: Any
    ) -> None:
        connect("target", "sftp", **{**sftp_fields(sftp), "port": free_port()})
        with pytest.raises(AirflowException) as info:
            self.run(place, execution, options=JobOptions(retries=0))
        assert not isinstance(info.value, AirflowFailException)

    @pytest.mark.usefixtures("sftp")
    def test_missing_parameters(self, execution: Execution) -> None:
        with pytest.raises(AirflowFailException, match="needs source_conn_id"):
            execution.run(CheckvalveSyncOperator(task_id="sync", source_conn_id="source"))

    @pytest.mark.usefixtures("sftp")
    def test_a_connection_type_without_a_backend(self, place: Path, execution: Execution, connect: Any) -> None:
        connect("target", "wasb")
        with pytest.raises(AirflowFailException, match="no backend for connection type 'wasb'"):
            self.run(place, execution)


class TestConfiguredJob:
    def test_a_job_of_a_config(self, place: Path, execution: Execution, sftp: SshServer) -> None:
        """Plan, batch and finish of dags_from_config: URLs from the config, logins from the connections."""
        fill(place / "source/2024-03-01", ["a.txt", "b.log"])
        config = place / "jobs.toml"
        config.write_text(
            f'[endpoint.in]\nurl = "{sftp.url(place / "source")}"\n[job.daily]\nsource = "in:{{date}}"\n'
            f'target = "{sftp.url(place / "target")}/{{date:%Y/%m}}"\ninclude = ["*.txt"]\n'
            '[airflow.daily]\nschedule = "@daily"\n'
        )
        job: dict[str, Any] = {"config": str(config), "job": "daily", "date": "2024-03-01"}
        logins = {"source_conn_id": "source", "target_conn_id": "target"}
        references = execution.run(CheckvalvePlanOperator(task_id="plan", **job, **logins))
        for reference in references:
            execution.run(CheckvalveBatchOperator(task_id="copy", batch=reference, config=str(config), **logins))
        counts = execution.run(CheckvalveFinishOperator(task_id="finish", plan_task_id="plan", **job, **logins))
        assert (counts["files_copied"], counts["files_failed"]) == (1, 0)
        assert names(place / "target") == ["2024/03/a.txt"]

        finish = CheckvalveFinishOperator(task_id="finish", plan_task_id="plan", compare="checksum", **job, **logins)
        execution.run(finish)
        (place / "target/2024/03/a.txt").write_text("other")
        with pytest.raises(AirflowFailException, match=r"1 file different at the target: a\.txt"):
            execution.run(finish)


@pytest.mark.usefixtures("sftp")
class TestBatches:
    def plan(self, place: Path, **parameters: Any) -> CheckvalvePlanOperator:
        return CheckvalvePlanOperator(task_id="plan", **{**endpoints(place), **parameters})

    def batch(self, reference: dict[str, Any]) -> CheckvalveBatchOperator:
        return CheckvalveBatchOperator(
            task_id="copy", source_conn_id="source", target_conn_id="target", batch=reference
        )

    def finish(self, place: Path, **parameters: Any) -> CheckvalveFinishOperator:
        return CheckvalveFinishOperator(task_id="finish", plan_task_id="plan", **{**endpoints(place), **parameters})

    def test_a_whole_run(self, place: Path, execution: Execution) -> None:
        fill(place / "source", [f"{number}.txt" for number in range(20)])
        references = execution.run(self.plan(place, options=JobOptions(batch_files=6)))
        assert [set(item) for item in references] == [{"plan", "batch", "batches", "files", "bytes"}] * len(references)
        assert sum(item["files"] for item in references) == 20
        assert len(str(references[0])) < 150
        copied = [execution.run(self.batch(item)) for item in references]
        assert sum(item["files_copied"] for item in copied) == 20
        asset = Asset("checkvalve://test/whole")
        counts = execution.run(self.finish(place, compare="checksum", outlets=[asset]))
        assert (counts["files_copied"], counts["files_failed"], counts["batches"]) == (20, 0, len(references))
        assert execution.outlet_events[asset].extra["files_copied"] == 20
        assert execution.run(self.plan(place)) == []

    @pytest.mark.parametrize(
        "selection",
        [{"files": ["a.txt", "below/\N{SNOWMAN}.txt"]}, {"options": JobOptions(max_size=110, preserve="none")}],
        ids=str,
    )
    def test_the_comparison_is_of_what_was_planned(
        self, place: Path, execution: Execution, selection: dict[str, Any]
    ) -> None:
        fill(place / "source", ["a.txt", "below/\N{SNOWMAN}.txt"])
        (place / "source/b.log").write_text("not selected " * 9)
        with DAG("d", schedule=None) as dag:
            checkvalve_task_group("all", compare="size", pool="partner", **selection, **endpoints(place))
        for reference in execution.run(dag.get_task("all.plan")):
            execution.run(self.batch(reference))
        finish = dag.get_task("all.finish")
        assert finish.pool == "partner"
        assert execution.run(finish)["files_copied"] == 2

    def test_the_name_of_a_mapped_task(self) -> None:
        batch = self.batch({"plan": "p", "batch": 3, "batches": 12, "files": 814, "bytes": 1_200_000_000})
        assert batch.batch_label == "batch 3/12 · 814 files · 1.2 GB"

    def test_finish_names_what_is_missing(self, place: Path, execution: Execution) -> None:
        fill(place / "source", [f"{number}.txt" for number in range(9)])
        references = execution.run(self.plan(place, options=JobOptions(batch_files=3)))
        (place / "target" / "4.txt" / "x").mkdir(parents=True)
        failed = 0
        for item in references[1:]:
            try:
                execution.run(self.batch(item))
            except AirflowException:
                failed += 1
        first = references[0]
        with pytest.raises(AirflowFailException) as info:
            execution.run(self.finish(place))
        missing = first["files"] + failed
        assert f"{missing} files missing at the target" in str(info.value)
        assert "incomplete batches: 1 (clear them to resume)" in str(info.value)
        assert failed == 0 or "4.txt" in str(info.value)

    def test_a_plan_of_nothing(self, place: Path, execution: Execution) -> None:
        assert execution.run(self.plan(place)) == []
        assert execution.run(self.finish(place))["files"] == 0
        with pytest.raises(AirflowSkipException):
            execution.run(self.finish(place, on_empty="skip"))

    def test_a_source_folder_that_is_not_there_skips_the_finish(self, place: Path, execution: Execution) -> None:
        (place / "source").rmdir()
        with pytest.raises(AirflowSkipException):
            execution.run(self.plan(place, on_empty="skip"))
        with pytest.raises(AirflowSkipException, match="task 'plan' found no source directory"):
            execution.run(self.finish(place, on_empty="skip"))

    def test_finish_without_a_plan(self, place: Path, execution: Execution) -> None:
        with pytest.raises(AirflowFailException, match="task 'plan' stored no plan"):
            execution.run(self.finish(place))

    def test_one_task_a_file_has_a_limit(self, place: Path, execution: Execution) -> None:
        fill(place / "source", [f"{number}.txt" for number in range(5)])
        one = JobOptions(batch_files=1)
        assert len(execution.run(self.plan(place, options=one, max_files=5))) == 5
        with pytest.raises(AirflowFailException, match=r'5 files .* exceed the limit of 4 .* use strategy="batches"'):
            execution.run(self.plan(place, options=one, max_files=4))

    def test_batches_never_outgrow_the_map(
        self, place: Path, execution: Execution, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
        fill(place / "source", [f"{number}.txt" for number in range(10)])
        references = execution.run(self.plan(place, options=JobOptions(batch_files=1)))
        assert len(references) <= 3
        assert sum(item["files"] for item in references) == 10

    def test_a_batch_started_twice_is_done_once(self, place: Path, execution: Execution) -> None:
        fill(place / "source", ["a.txt"], 3_000_000)
        [reference] = execution.run(self.plan(place))
        results: list[dict[str, Any]] = []

        def run() -> None:
            batch = CheckvalveBatchOperator(
                task_id="copy",
                source_conn_id="source",
                target_conn_id="target",
                batch=reference,
                options=JobOptions(bwlimit="1MB/s"),
            )
            results.append(Execution().run(batch))

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(item["files_copied"] for item in results) == [0, 1]

    def test_lost_state_costs_a_comparison(self, place: Path, execution: Execution) -> None:
        fill(place / "source", ["a.txt", "b.txt"])
        for item in execution.run(self.plan(place)):
            execution.run(self.batch(item))
        for file in place.glob("state.db*"):
            file.unlink()
        assert execution.run(self.plan(place)) == []
        shutil.rmtree(place / "target")
        assert sum(item["files"] for item in execution.run(self.plan(place))) == 2
