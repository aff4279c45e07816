"""`awry detectors`: the cards."""

from __future__ import annotations

import click

from awry.cli.view import as_json, table
from awry.core import registry


@click.command()
@click.argument("name", required=False)
@click.option("--modality", help="Only detectors of this kind of data.")
@click.option("--json", "json_", is_flag=True, help="Print JSON for machines.")
def detectors(name: str | None, modality: str | None, json_: bool) -> None:
    """List the detectors, or show the card of the one called NAME."""
    if name is None:
        cards = registry.cards(modality)
        if json_:
            click.echo(as_json([card.to_dict() for card in cards]))
        else:
            table(
                ["name", "of", "family", "calls anomalous", "finds", "fit", "score"],
                [
                    [c.name, c.modality, c.family, c.summary, c.finds, c.fit_cost, c.score_cost]
                    for c in cards
                ],
            )
        return
    cls = registry.get(name)
    card = cls.card.to_dict() | {"parameters": cls().get_params(deep=False)}
    if json_:
        click.echo(as_json(card))
    else:
        table(
            ["", cls.__name__],
            [[key, value] for key, value in card.items() if value not in (None, ())],
        )
