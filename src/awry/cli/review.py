"""`awry review`: a person says of rows whether they are odd, and the model learns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from awry.cli import options
from awry.cli.view import as_json, number_words, progress, table
from awry.cli.writing import Writer

if TYPE_CHECKING:
    from awry.review import Question, Review

#: What keys stand for; the others are for going back and for the end.
KEYS = {"y": "anomaly", "n": "normal", "s": "skip"}
_KEYS_TOLD = "y anomaly, n normal, s skip, u undo, q quit"
#: Reasons shown for a row.
_REASONS = 5
#: Cells of a row shown beside them.
_CELLS = 12


@click.command()
@options.reading
@click.option(
    "-m",
    "--model",
    type=click.Path(dir_okay=False),
    help="A saved model; by default a forest that learns from answers is fitted.",
)
@click.option(
    "-d",
    "--detector",
    default="aad_forest",
    show_default=True,
    help="What to fit, where no model is given.",
)
@click.option("--ignore", metavar="COLUMNS", help="Columns not to look at.")
@click.option(
    "-n",
    "questions",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="The most questions.",
)
@click.option(
    "--session",
    type=options.Target(),
    help="Keep the answers in this file, and go on with those it holds.",
)
@click.option("--answers", metavar="COLUMN", help="Take the answers from this column.")
@click.option("--diverse", is_flag=True, help="Ask about odd rows unlike those asked about before.")
@click.option(
    "-o",
    "--out",
    type=options.Target(),
    help="Write the rows judged here: .csv, .jsonl or .parquet.",
)
@click.option("--save", type=options.Target(), help="Save the model that has learnt here.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Normal rows that may be flagged, as a share; by default the model's own.",
)
@click.option("--seed", "random_state", type=click.IntRange(0), default=0, show_default=True)
@options.showing
def review(
    files: tuple[str, ...],
    query: str | None,
    format_: str | None,
    model: str | None,
    detector: str,
    ignore: str | None,
    questions: int,
    session: str | None,
    answers: str | None,
    diverse: bool,
    out: str | None,
    save: str | None,
    rate: float | None,
    random_state: int,
    json_: bool,
    quiet: bool,
) -> None:
    """Ask about the rows of FILE that are oddest, and learn from the answers.

    After each answer the model is re-weighted and the next row chosen. What was answered is kept
    when the review is broken off.

    \b
    awry review transactions.parquet --session answers.json --save model.awry
    awry review labelled.csv --answers is_fraud -n 60 --out marks.csv
    """
    from awry import io, run
    from awry.core.threshold import FromFeedback
    from awry.review import Review

    writer = Writer(out) if out else None  # refuses a suffix before the work, not after it
    with progress(quiet=quiet or json_):
        hidden = [*(options.names(ignore) or []), *([answers] if answers else [])]
        fitted = model or run.fit(
            files, query=query, format=format_, as_="table", detector=detector,
            ignore=hidden or None, random_state=random_state,
        )  # fmt: skip
        judged = run.judge(files, fitted, query=query, format=format_)
        asked = Review(judged.model, judged.table, choose="diverse" if diverse else "greedy")
        known = None if answers is None else run.labels_of(judged.table, answers)
    if session and Path(session).exists():
        asked.resume(session)
    broken_off = False
    try:
        _question(asked, questions, session, known)
    except (KeyboardInterrupt, click.Abort):
        broken_off = True
    if writer:
        with writer:
            writer.write_table(asked.marks())
    with progress(quiet=quiet or json_):
        learnt = asked.model(None if rate is None else FromFeedback(rate))
    if save:
        io.save(learnt, save)
    told = [answer.verdict for answer in asked.answers]
    facts = {
        "asked": len(told),
        **{verdict: told.count(verdict) for verdict in KEYS.values()},
        "learns": asked.start.learns,
        "threshold": learnt.threshold_,
        "threshold_reason": learnt.rule_.reason_,
        "marks": out,
        "model": save,
        "session": session,
    }
    if json_:
        click.echo(as_json(facts))
    else:
        _show_end(facts)
    if broken_off:
        click.get_current_context().exit(130)


def _question(review: Review, most: int, session: str | None, known: Any) -> None:
    """Ask until there are ``most`` answers; what was answered is in the session file at once."""
    while len(review.answers) < most and (question := review.next(_REASONS)) is not None:
        if known is None:
            key = _ask(review, question, most)
        else:
            key = {1: "y", 0: "n"}.get(int(known[question.row]), "s")
        if key == "q":
            return
        if key == "u":
            review.undo()
        else:
            review.answer(question.row, KEYS[key])
        if session:
            review.save(session)


def _ask(review: Review, question: Question, most: int) -> str:
    """Show the row and wait for one of the keys; the end of the input is `q`."""
    row = review.table.slice(question.row, 1).to_pylist()[0]
    click.echo(
        f"\nquestion {len(review.answers) + 1:,} of {most:,}: row {question.row + 1:,}, score "
        f"{number_words(question.score)}; {review.found:,} found"
    )
    if question.reasons:
        table(
            ["column", "value", "typical", "part"],
            [[r.column, r.value, r.typical, f"{r.share:.0%}"] for r in question.reasons],
        )
    told = {reason.column for reason in question.reasons}
    rest = [f"{name} {value}" for name, value in row.items() if name not in told]
    if rest:
        more = f", and {len(rest) - _CELLS:,} more" if len(rest) > _CELLS else ""
        click.echo(f"  also: {', '.join(rest[:_CELLS])}{more}")
    click.echo(f"is it odd? ({_KEYS_TOLD}) ", nl=False)
    while True:
        # A pipe has no keys but letters, which scripts may send.
        key = click.getchar() if sys.stdin.isatty() else sys.stdin.read(1) or "q"
        if (key := key.lower()) in {*KEYS, "u", "q"}:
            click.echo(key)
            return key


def _show_end(facts: dict[str, Any]) -> None:
    click.echo(
        f"{facts['asked']:,} rows judged: {facts['anomaly']:,} anomalies, {facts['normal']:,} "
        f"normal, {facts['skip']:,} skipped"
    )
    if not facts["learns"]:
        click.echo("  this detector does not learn from answers: they set its threshold alone")
    click.echo(f"  threshold {number_words(facts['threshold'])}: {facts['threshold_reason']}")
    for what, key in (("rows judged", "marks"), ("model", "model"), ("answers", "session")):
        if facts[key]:
            click.echo(f"{what} written to {facts[key]}")
