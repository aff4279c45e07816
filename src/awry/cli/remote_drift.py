"""`awry remote`: drift, and what retraining waits for."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import options
from awry.cli import remote_view as view
from awry.cli.view import progress, when
from awry.client import Client


@click.command()
@click.argument("source")
@click.option("--reference", metavar="NAME", help="Compare SOURCE with this data set, as a job.")
@click.option("--model", metavar="NAME", help="Compare SOURCE with what this model learnt from.")
@click.option("--version", type=click.IntRange(1), help="Of the model; its champion by default.")
@click.option("--drifted/--steady", default=None, help="Reports that say so alone.")
@view.wait
@view.limit
@view.json_
@click.pass_obj
def drift(
    client: Client, source: str, reference: str | None, model: str | None, version: int | None,
    drifted: bool | None, wait: bool, limit: int, json_: bool,
) -> None:  # fmt: skip
    """List the drift reports of a data set, or of what a model is asked; or make one."""
    if reference or model:
        more = {} if version is None else {"version": version}
        job = client.compare_drift(source, reference=reference, model=model, **more)
        if not wait:
            view.say(job, [f"job {job['id']} is {job['state']}"], json_)
            return
        with progress(quiet=json_):
            client.wait(job["id"], timeout=float("inf"))
        limit = 1
    found = view.first(client.drift, limit, source, drifted=drifted)
    rows = [
        [when(r["at"]), "drifted" if r["drifted"] else "steady", r["report"]["of"],
         [f["feature"] for f in r["report"]["features"] if f["drifted"]]]
        for r in found
    ]  # fmt: skip
    view.show(found, ["at", "is", "of", "what moved"], rows, json_)


@click.command()
@click.argument("model", required=False)
@options.param("Of the policy, such as every_hours=24; what is not given is as by default.")
@click.option("--off", is_flag=True, help="Keep it, and let it do nothing.")
@click.option("--remove", is_flag=True, help="Take it away.")
@view.json_
@click.pass_obj
def policies(
    client: Client, model: str | None, params: tuple[str, ...], off: bool, remove: bool, json_: bool
) -> None:
    """List when models are trained anew; give MODEL a policy, or take it away.

    \b
    awry remote policies payments -p every_hours=24 -p promote=policy
    """
    if model is None:
        if params or off or remove:
            raise click.UsageError("--param, --off and --remove are for one MODEL")
        _show_policies(client.policies(), json_)
        return
    if remove:
        client.remove_policy(model)
        view.say({"model": model, "policy": None}, [f"{model} has no policy any more"], json_)
        return
    if params or off:
        known = {} if params else client.policy(model)["policy"]
        given = {k: options.literal(v) for k, v in options.pairs(params, "--param").items()}
        found = client.set_policy(model, enabled=not off, **known, **given)
    else:
        found = client.policy(model)
    view.facts(found, json_, "model", "enabled", "decision", **found["policy"])


def _show_policies(found: list[dict[str, Any]], json_: bool) -> None:
    rows = [[p["model"], p["enabled"], when(p["decided"]), p["decision"]] for p in found]
    view.show(found, ["model", "enabled", "decided", "decision"], rows, json_)


@click.command()
@click.argument("model")
@view.wait
@view.json_
@click.pass_obj
def retrain(client: Client, model: str, wait: bool, json_: bool) -> None:
    """Train MODEL anew by its policy, now, as a job."""
    job = client.retrain(model)
    if wait:
        with progress(quiet=json_):
            job = client.wait(job["id"], timeout=float("inf"))
    view.say(job, [f"job {job['id']} is {job['state']}"], json_)
