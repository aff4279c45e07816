"""The tables a service keeps, in SQLite or PostgreSQL.

A change here goes with a new file in ``migrations/versions`` and a raised :data:`VERSION`.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

#: The version of these tables: the number of the newest migration.
VERSION = 7


class Json(sa.types.TypeDecorator[Any]):
    """Plain data as text, the same in every database."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


#: Numbers rows by themselves; SQLite does so for the type INTEGER alone.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

tables = sa.MetaData()

migrations = sa.Table(
    "migrations", tables,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("applied", sa.Float, nullable=False),
)  # fmt: skip

keys = sa.Table(
    "keys", tables,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float),
)  # fmt: skip

datasets = sa.Table(
    "datasets", tables,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("columns", Json, nullable=False),
    sa.Column("problems", Json, nullable=False),
    sa.Column("stats", Json),
)  # fmt: skip

models = sa.Table(
    "models", tables,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("champion", sa.Integer),
)  # fmt: skip

versions = sa.Table(
    "versions", tables,
    sa.Column("model", sa.ForeignKey("models.name"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("file", sa.String(200), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("method", sa.String(100), nullable=False),
    sa.Column("columns", Json, nullable=False),
    sa.Column("facts", Json, nullable=False),
)  # fmt: skip

promotions = sa.Table(
    "promotions", tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model", sa.ForeignKey("models.name"), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("undone", sa.Boolean, nullable=False, default=False),
)  # fmt: skip

jobs = sa.Table(
    "jobs", tables,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("request", Json, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("worker", sa.String(32)),
    sa.Column("lease", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("cancel", sa.Boolean, nullable=False, default=False),
    sa.Column("progress", Json),
    sa.Column("result", Json),
    sa.Column("error", Json),
)  # fmt: skip

# -- what was found -------------------------------------------------------------------------------

#: Items judged together: a request, a batch job, a micro-batch of a stream. Scores name it, which
#: keeps their rows narrow.
judgements = sa.Table(
    "judgements", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("at", sa.Float, nullable=False, index=True),  # when they were judged
    sa.Column("origin", sa.String(10), nullable=False),  # request, job or stream
    sa.Column("source", sa.String(200), nullable=False),  # data set, stream or model
    sa.Column("model", sa.String(100)),
    sa.Column("version", sa.Integer),
    sa.Column("role", sa.String(10), nullable=False),  # champion or challenger
    sa.Column("threshold", sa.Float),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("flagged", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float),  # that judging took
    sa.Column("job", sa.String(32)),
    sa.Index("judgements_by_model", "model", "version", "at"),
    sa.Index("judgements_by_source", "source", "at"),
)  # fmt: skip

scores = sa.Table(
    "scores", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("judgement", Serial, sa.ForeignKey("judgements.id"), nullable=False),
    sa.Column("item", sa.String(300), nullable=False),  # row, or topic/partition/offset
    sa.Column("at", sa.Float, nullable=False),  # its own time, else when it was judged
    sa.Column("score", sa.Float),  # null: none could be given
    sa.Column("severity", sa.SmallInteger, nullable=False),  # 0: no anomaly
    sa.Index("scores_by_judgement", "judgement", "severity"),
    sa.Index("anomalies", "at", "id", sqlite_where=sa.text("severity > 0"),
             postgresql_where=sa.text("severity > 0")),
)  # fmt: skip

#: What is left of scores: for each source, model and hour the counts, and a sketch of the scores.
#: Those of a job are in place of those of the job before it, which judged the same rows.
score_rollups = sa.Table(
    "score_rollups", tables,
    sa.Column("source", sa.String(200), primary_key=True),
    sa.Column("model", sa.String(100), primary_key=True),  # "" for none
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),  # 0 for none
    sa.Column("role", sa.String(10), primary_key=True),
    sa.Column("origin", sa.String(10), primary_key=True),  # request, job or stream
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),  # hours since 1970
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("flagged", sa.BigInteger, nullable=False),
    sa.Column("sketch", Json, nullable=False),
    sa.Column("updated", sa.Float, nullable=False, index=True),
)  # fmt: skip

incidents = sa.Table(
    "incidents", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("start", sa.Float, nullable=False),
    sa.Column("end", sa.Float, nullable=False),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("keys", Json, nullable=False),  # the series in it, the strongest first
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Index("incidents_by_start", "start", "id"),
    sa.Index("incidents_by_source", "source", "start"),
)  # fmt: skip

events = sa.Table(
    "events", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("judgement", Serial, sa.ForeignKey("judgements.id", ondelete="SET NULL"),
              index=True),
    sa.Column("incident", Serial, sa.ForeignKey("incidents.id"), index=True),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("model", sa.String(100)),
    sa.Column("version", sa.Integer),
    sa.Column("key", sa.String(300)),  # the series it happened in
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("start", sa.Float, nullable=False),
    sa.Column("end", sa.Float, nullable=False),
    sa.Column("items", sa.BigInteger, nullable=False),
    sa.Column("peak", sa.String(300), nullable=False),  # the item with the highest score
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.String(12), nullable=False),  # open, acknowledged or resolved
    sa.Column("verdict", sa.String(12)),  # the newest: confirmed or false_alarm
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("reasons", Json, nullable=False),
    sa.Column("extract", Json, nullable=False),  # of the data around it, so much as is bounded
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Index("events_by_start", "start", "id"),
    sa.Index("events_by_source", "source", "start"),
    sa.Index("events_by_model", "model", "verdict"),
    sa.Index("events_by_created", "created"),
    sa.Index("events_by_status", "status", "severity", "updated"),
)  # fmt: skip

#: The columns that the reasons of an event name.
event_features = sa.Table(
    "event_features", tables,
    sa.Column("feature", sa.String(300), primary_key=True),
    sa.Column("event", Serial, sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True,
              autoincrement=False, index=True),
)  # fmt: skip

feedback = sa.Table(
    "feedback", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("event", Serial, sa.ForeignKey("events.id", ondelete="CASCADE"), nullable=False,
              index=True),
    sa.Column("verdict", sa.String(12), nullable=False),  # confirmed or false_alarm
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)  # fmt: skip

# -- who is told, and what was done ---------------------------------------------------------------

alert_rules = sa.Table(
    "alert_rules", tables,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("rule", Json, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
)  # fmt: skip

alerts = sa.Table(
    "alerts", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("rule", sa.String(100), nullable=False, index=True),
    sa.Column("fingerprint", sa.String(64), nullable=False, index=True),  # equal: the same alert
    sa.Column("state", sa.String(12), nullable=False, index=True),  # firing or resolved
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("started", sa.Float, nullable=False, index=True),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("resolved", sa.Float),
    sa.Column("count", sa.Integer, nullable=False),  # times it fired
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("labels", Json, nullable=False),
    sa.Column("origin", sa.String(12), nullable=False, server_default="rule"),  # or alertmanager
    sa.Column("acknowledged", sa.Float),
    sa.Column("acknowledged_by", sa.String(100)),
    sa.Column("told", sa.Float),  # when sinks were first told that it fires
    sa.Column("retold", sa.Float),  # and last
    sa.Column("told_state", sa.String(12)),  # what they know: firing or resolved
    sa.Column("escalated", sa.Float),
)  # fmt: skip

#: What sinks are to be told; kept until they are, and dead where they will not take it.
alert_deliveries = sa.Table(
    "alert_deliveries", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("sink", sa.String(100), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # waiting, done or dead
    sa.Column("message", Json, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("next", sa.Float, nullable=False),  # not tried before
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("error", sa.String(500)),
    sa.Index("alert_deliveries_due", "sink", "state", "next"),
)  # fmt: skip

drift_reports = sa.Table(
    "drift_reports", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("model", sa.String(100)),
    sa.Column("version", sa.Integer),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("drifted", sa.Boolean, nullable=False),
    sa.Column("report", Json, nullable=False),
    sa.Index("drift_reports_by_source", "source", "at"),
)  # fmt: skip

audit = sa.Table(
    "audit", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("object", sa.String(300), nullable=False),
    sa.Column("detail", Json, nullable=False),
)  # fmt: skip

# -- how models stay right ------------------------------------------------------------------------

#: What one process at a time does for all, and which one does it until when.
leases = sa.Table(
    "leases", tables,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("holder", sa.String(32), nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)  # fmt: skip

#: The challenger of each model that has one.
rollouts = sa.Table(
    "rollouts", tables,
    sa.Column("model", sa.ForeignKey("models.name"), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(10), nullable=False),  # shadow or ab
    sa.Column("share", sa.Float, nullable=False),  # of the requests it answers
    sa.Column("key", sa.String(1000)),  # the column whose value decides who answers
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("automatic", sa.Boolean, nullable=False),  # whether the policy may promote it
)  # fmt: skip

#: Champion against challenger, hour by hour; rows that both judged, and those the challenger did.
comparisons = sa.Table(
    "comparisons", tables,
    sa.Column("model", sa.String(100), primary_key=True),
    sa.Column("champion", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("challenger", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("both", sa.BigInteger, nullable=False),
    sa.Column("champion_only", sa.BigInteger, nullable=False),
    sa.Column("challenger_only", sa.BigInteger, nullable=False),
    sa.Column("answered", sa.BigInteger, nullable=False),
    sa.Column("answered_flagged", sa.BigInteger, nullable=False),
    sa.Column("champion_seconds", Json, nullable=False),  # sketches
    sa.Column("challenger_seconds", Json, nullable=False),
    sa.Column("updated", sa.Float, nullable=False, index=True),
)  # fmt: skip

#: Rows with known labels that each new version of a model is tried on.
golden_rows = sa.Table(
    "golden_rows", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("model", sa.ForeignKey("models.name"), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("label", sa.SmallInteger, nullable=False),  # 1: an anomaly
    sa.Column("origin", sa.String(40), nullable=False),  # upload, or event N
    sa.Column("row", Json, nullable=False),
    sa.Column("added", sa.Float, nullable=False),
    sa.UniqueConstraint("model", "digest", name="golden_rows_once"),
)  # fmt: skip

#: Of the rows that requests had judged, a random few of each hour, for drift and retraining.
kept_rows = sa.Table(
    "kept_rows", tables,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("hour", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("priority", sa.Float, nullable=False),  # the highest of an hour stay
    sa.Column("item", sa.String(300), nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("row", Json, nullable=False),
    sa.Index("kept_rows_by_hour", "model", "hour", "priority"),
)  # fmt: skip

#: When and how each model is trained anew.
policies = sa.Table(
    "policies", tables,
    sa.Column("model", sa.ForeignKey("models.name"), primary_key=True),
    sa.Column("policy", Json, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("tried", sa.Float, nullable=False),  # when it was last trained anew, or set up
    sa.Column("job", sa.String(32)),  # the newest one
    sa.Column("decision", sa.Text, nullable=False),  # the newest one, in words
    sa.Column("decided", sa.Float, nullable=False),
)  # fmt: skip

#: What of the models has been told to a registry elsewhere, such as the run of a version.
mirrored = sa.Table(
    "mirrored", tables,
    sa.Column("mirror", sa.String(20), primary_key=True),
    sa.Column("item", sa.String(300), primary_key=True),
    sa.Column("value", sa.String(300), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)  # fmt: skip

# -- streams --------------------------------------------------------------------------------------

stream_offsets = sa.Table(
    "stream_offsets", tables,
    sa.Column("source", sa.String(200), primary_key=True),
    sa.Column("topic", sa.String(255), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
)  # fmt: skip

stream_states = sa.Table(
    "stream_states", tables,
    sa.Column("stream", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(300), primary_key=True),
    sa.Column("state", sa.LargeBinary, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
)  # fmt: skip

#: Messages that could not be judged; so much of each as is bounded.
stream_dead_letters = sa.Table(
    "stream_dead_letters", tables,
    sa.Column("source", sa.String(200), primary_key=True),
    sa.Column("topic", sa.String(255), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("reason", sa.String(300), nullable=False),
    sa.Column("message", sa.LargeBinary, nullable=False),
)  # fmt: skip
