"""`apb erase`: an entry that the law asks to be gone."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import STATE, Command, repository_of


@click.command(cls=Command, examples='apb erase jane-first --reason "Erased at the request of its author"')
@click.argument("submission", metavar="ID")
@click.option("--reason", required=True, help="Why, in words that may be published.")
@STATE
@click.pass_context
def command(context: click.Context, submission: str, reason: str, state: Path | None) -> None:
    """Erase an entry, where the law asks for it; else a line `withdrawn: why` in its file is the right thing.

    Its file, records, predictions, logs and lines of history go, and the login of who brought it. What stays is a
    tombstone with the reason; the id is never used again, and `apb verify` still finds the chain whole.
    """
    from evaluator.contract import tracks
    from evaluator.integrity import disclosure, erasure
    from evaluator.rounds import rescoring
    from evaluator.store.results import Results
    from evaluator.store.state import State

    repository = repository_of(context)
    private = State(state or repository.state)
    with private.locked():  # never beside a round, which would record it again
        erasure.erase(repository, private, submission, reason)
        known = tracks.load_all(repository.tracks).values()
        rescoring.write(Results(repository.results), {t.id for t in known if disclosure.is_hidden(t)})
    click.echo(
        f"{submission} is erased here. Next: apb evaluate --all (ranks without it), apb sign, apb publish, and commit "
        "submissions and leaderboard. The past of the repository and copies of the site still have it."
    )
