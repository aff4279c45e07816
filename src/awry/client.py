"""A client of the service: what `awry serve` serves, from Python."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from awry.caller import Caller, ServiceError, path_of, refuse

__all__ = ["ENDED", "Client", "ServiceError"]

#: States in which a job stays.
ENDED = ("done", "failed", "cancelled")


class Client(Caller):
    """Calls a service.

    Parameters
    ----------
    url : str, default="http://127.0.0.1:8000"
    key : str, optional
        An API key; by default that of the environment variable AWRY_API_KEY.
    timeout : float, default=60
        Seconds to wait for an answer.
    http : optional
        An ``httpx`` client to use instead, such as FastAPI's ``TestClient``.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:8000", key="awry_...")  # doctest: +SKIP
    >>> client.detect([{"amount": 1000, "hour": 14}], method="isolation_forest")  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 60.0,
        http: Any = None,
    ) -> None:
        super().__init__(url, key=key, timeout=timeout, http=http)

    # -- judging ----------------------------------------------------------------------------------

    def detect(
        self, rows: Sequence[Mapping[str, Any]], *, method: str = "auto", **options: Any
    ) -> dict[str, Any]:
        """Judge rows; ``options`` are ``model``, ``version``, ``threshold`` and ``explain``."""
        return self._post("/v1/detect", {"data": list(rows), "method": method, **options})

    def detect_batch(self, dataset: str, **settings: Any) -> dict[str, Any]:
        """Judge a data set: a job, see :meth:`wait` and :meth:`results`."""
        return self._post("/v1/detect/batch", {"dataset_name": dataset, **settings})

    # -- data sets --------------------------------------------------------------------------------

    def upload(
        self, name: str, file: str | os.PathLike[str] | BinaryIO, *, format: str | None = None
    ) -> dict[str, Any]:
        """Upload a CSV, Parquet, Arrow, JSON or JSONL file as the data set ``name``."""
        if isinstance(file, (str, os.PathLike)):
            with Path(file).open("rb") as opened:
                return self.upload(name, opened, format=format)
        fields = {"name": name} | ({"format": format} if format else {})
        return dict(self._send("POST", "/v1/datasets", data=fields, files={"file": file}).json())

    def datasets(self) -> list[dict[str, Any]]:
        """The data sets."""
        return self._list("/v1/datasets")

    def dataset(self, name: str) -> dict[str, Any]:
        """What is known of a data set."""
        return self._get(path_of("datasets", name))

    def stats(self, dataset: str) -> dict[str, Any]:
        """What the columns of a data set hold."""
        return self._get(path_of("datasets", dataset, "stats"))

    def delete_dataset(self, dataset: str) -> None:
        """Delete a data set."""
        self._delete(path_of("datasets", dataset))

    # -- models -----------------------------------------------------------------------------------

    def train(self, name: str, dataset: str, **settings: Any) -> dict[str, Any]:
        """Train the next version of the model ``name``: a job, see :meth:`wait`."""
        return self._post("/v1/models", {"name": name, "dataset": dataset, **settings})

    def models(self) -> list[dict[str, Any]]:
        """The models."""
        return self._list("/v1/models")

    def model(self, name: str, version: int | None = None) -> dict[str, Any]:
        """All that is known of a version; of the champion by default."""
        which = () if version is None else ("versions", version)
        return self._get(path_of("models", name, *which))

    def promote(self, name: str, version: int, *, force: bool = False) -> dict[str, Any]:
        """Put a version in charge; with ``force`` also one that failed on the golden set."""
        return self._post(path_of("models", name, "promote"), {"version": version, "force": force})

    def rollback(self, name: str) -> dict[str, Any]:
        """Put the version in charge that was before."""
        return self._post(path_of("models", name, "rollback"), None)

    # -- rollout, drift and retraining ------------------------------------------------------------

    def shadow(self, name: str, version: int, **more: Any) -> dict[str, Any]:
        """Let a version judge what the champion answers, unseen; see :meth:`comparison`."""
        return self._post(path_of("models", name, "shadow"), {"version": version, **more})

    def ab(
        self, name: str, version: int, share: float, *, key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Let a version answer a share of the values of ``key``, or of the requests."""
        body = {"version": version, "share": share, "key": key, **more}
        return self._post(path_of("models", name, "ab"), body)

    def challenger(self, name: str) -> dict[str, Any]:
        """The version that is tried."""
        return self._get(path_of("models", name, "challenger"))

    def end_trial(self, name: str) -> None:
        """Try it no longer."""
        self._delete(path_of("models", name, "challenger"))

    def comparison(self, name: str) -> dict[str, Any]:
        """Champion against challenger, with intervals."""
        return self._get(path_of("models", name, "comparison"))

    def golden(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]] | None = None,
        labels: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """How the champion does on the golden set, once ``rows`` and ``labels`` are added."""
        path = path_of("models", name, "golden")
        if rows is None:
            return self._get(path)
        return self._post(path, {"data": list(rows), "labels": list(labels or [])})

    def clear_golden(self, name: str) -> None:
        """Empty the golden set."""
        self._delete(path_of("models", name, "golden"))

    def policies(self) -> list[dict[str, Any]]:
        """The policies of retraining."""
        return self._list("/v1/policies")

    def policy(self, name: str) -> dict[str, Any]:
        """The policy of a model, and what was last decided."""
        return self._get(path_of("policies", name))

    def set_policy(self, name: str, *, enabled: bool = True, **policy: Any) -> dict[str, Any]:
        """Give a model a policy; see :class:`awry.ops.policy.Policy`."""
        body = {"policy": policy, "enabled": enabled}
        return self._put(path_of("policies", name), body)

    def remove_policy(self, name: str) -> None:
        """Take a model's policy away."""
        self._delete(path_of("policies", name))

    def retrain(self, name: str) -> dict[str, Any]:
        """Train a model anew by its policy, now: a job, see :meth:`wait`."""
        return self._post(path_of("policies", name, "run"), None)

    def drift(self, source: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Drift reports of a data set, or of what a model is asked, the newest first."""
        return self._pages(path_of("drift", source), filters)

    def compare_drift(
        self, dataset: str, *, reference: str | None = None, model: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Compare a data set with another, or with what a model learnt from: a job."""
        body = {"reference": reference, "model": model, **more}
        return self._post(path_of("drift", dataset), body)

    # -- jobs -------------------------------------------------------------------------------------

    def job(self, job: str) -> dict[str, Any]:
        """How far a job is."""
        return self._get(path_of("jobs", job))

    def jobs(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest jobs."""
        return self._list("/v1/jobs", limit=limit)

    def cancel(self, job: str) -> dict[str, Any]:
        """Stop a job."""
        return self._post(path_of("jobs", job, "cancel"), None)

    def wait(self, job: str, *, timeout: float = 600.0, every: float = 0.2) -> dict[str, Any]:
        """The job when it is done.

        Raises
        ------
        ServiceError
            Where it failed or was cancelled.
        TimeoutError
            Where it is not done after ``timeout`` seconds.
        """
        until = time.monotonic() + timeout
        while True:
            found = self.job(job)
            if found["state"] == "done":
                return found
            if found["state"] in ENDED:
                told = found["error"] or {"what": "was cancelled"}
                raise ServiceError(200, {**told, "detail": f"job {job}: {told['what']}"})
            if time.monotonic() > until:
                raise TimeoutError(f"job {job} is {found['state']} after {timeout:g} s")
            time.sleep(every)

    def results(
        self, job: str, *, flagged: bool = False, page: int = 1_000
    ) -> Iterator[dict[str, Any]]:
        """The rows of a batch job's result, fetched page by page."""
        path, offset = path_of("jobs", job, "result"), 0
        while True:
            rows = self._get(path, offset=offset, limit=page, flagged=flagged)["rows"]
            yield from rows
            offset += len(rows)
            if len(rows) < page:
                return

    def download(self, job: str, path: str | os.PathLike[str]) -> Path:
        """Write a batch job's result to ``path`` as Parquet and return it."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.part")
        address = path_of("jobs", job, "result.parquet")
        with self._http.stream("GET", address, headers=self._headers) as answer:
            if answer.status_code != 200:
                answer.read()
                refuse(answer)
            try:
                with draft.open("wb") as file:
                    for piece in answer.iter_bytes():
                        file.write(piece)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
        return target

    # -- findings ---------------------------------------------------------------------------------

    def anomalies(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Flagged items, the newest first.

        ``filters`` are ``source``, ``model``, ``severity`` (this or graver), ``since`` and
        ``until`` (ISO 8601, or seconds since 1970), and ``status`` and ``feature`` of the events
        they are in.
        """
        return self._pages("/v1/anomalies", filters)

    def events(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Events, the newest first; filtered as anomalies are, and by ``incident``."""
        return self._pages("/v1/events", filters)

    def incidents(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Incidents, the newest first; filtered as events are."""
        return self._pages("/v1/incidents", filters)

    def event(self, event: int) -> dict[str, Any]:
        """An event with its reasons and what was said of it."""
        return self._get(path_of("events", event))

    def picture(self, event: int) -> str:
        """The picture of an event, as SVG."""
        return str(self._send("GET", path_of("events", event, "picture.svg")).text)

    def feedback(self, event: int, verdict: str, *, note: str = "") -> dict[str, Any]:
        """Say of an event that it is ``"confirmed"`` or a ``"false_alarm"``."""
        body = {"verdict": verdict, "note": note}
        return self._post(path_of("events", event, "feedback"), body)

    def set_status(self, event: int, status: str) -> dict[str, Any]:
        """Make an event ``"open"``, ``"acknowledged"`` or ``"resolved"``."""
        return self._post(path_of("events", event, "status"), {"status": status})

    def event_counts(self, source: str | None = None) -> dict[str, Any]:
        """How many events there are of each status and verdict."""
        return self._get("/v1/events/counts", source=source)

    def rates(self, source: str, **span: Any) -> list[dict[str, Any]]:
        """What was judged and flagged each hour; ``span`` is ``since`` and ``until``."""
        return self._list("/v1/rates", source=source, **span)

    def rates_now(self, source: str, *, minutes: int = 5) -> dict[str, Any]:
        """What is judged and flagged just now."""
        return self._get("/v1/rates/now", source=source, minutes=minutes)

    def ready(self) -> dict[str, Any]:
        """Whether what the service depends on answers; asks without raising where it does not."""
        answer = self._http.get("/ready")
        # A part that does not answer is told as 503, with which one it is.
        if answer.status_code not in (200, 503):
            refuse(answer)
        return dict(answer.json())

    def health(self) -> dict[str, Any]:
        """That the process lives, and its version."""
        return self._get("/health")

    # -- review -----------------------------------------------------------------------------------

    def question(self, model: str) -> dict[str, Any]:
        """The event of ``model`` that is best asked about next, and how far the review is."""
        return self._get("/v1/review", model=model)

    def answer(self, model: str, event: int, verdict: str, *, note: str = "") -> dict[str, Any]:
        """Answer a question, as :meth:`feedback` does, and get the next."""
        body = {"model": model, "event": event, "verdict": verdict, "note": note}
        return self._post("/v1/review", body)

    def proposed_threshold(self, model: str, *, rate: float | None = None) -> dict[str, Any]:
        """The threshold that verdicts speak for; ``rate`` is the share of normal items that may be
        flagged."""
        return self._get("/v1/review/threshold", model=model, rate=rate)

    def apply_threshold(self, model: str, *, rate: float | None = None) -> dict[str, Any]:
        """Keep a version with that threshold; it answers once it is promoted."""
        return self._post("/v1/review/threshold", {"model": model, "rate": rate})

    # -- alerts -----------------------------------------------------------------------------------

    def alert_rules(self) -> list[dict[str, Any]]:
        """The rules of alerts."""
        return list(self._get("/v1/alerts/rules")["rules"])

    def set_alert_rules(self, rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Put ``rules`` in the place of all there are."""
        body = {"rules": list(rules)}
        return list(self._put("/v1/alerts/rules", body)["rules"])

    def alerts(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Alerts, those that began last first; ``filters`` are ``state`` (``"firing"`` or
        ``"resolved"``), ``severity`` (this or graver) and ``rule``."""
        return self._pages("/v1/alerts", filters)

    def acknowledge(self, alert: int) -> dict[str, Any]:
        """Say that somebody sees to an alert: it is not told again, nor escalated."""
        return self._post(path_of("alerts", alert, "acknowledge"), None)

    def alert_deliveries(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """What sinks were to be told; ``filters`` are ``state`` (``"waiting"``, ``"done"`` or
        ``"dead"``) and ``sink``."""
        return self._pages("/v1/alerts/deliveries", filters)

    def audit(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Who did what, the newest first; ``limit`` is how many a page has."""
        return self._pages("/v1/audit", filters)
