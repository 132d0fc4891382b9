"""Commands for operators of a server: serve, database upgrade, token create, list and revoke."""

from __future__ import annotations

from typing import Annotated

import typer

from grader.cli.command_line import CommandLine
from grader.cli.console import app, handle_errors, write_text
from grader.cli.help_pages import Section

__all__ = ["create", "grants", "list_", "revoke", "serve", "upgrade"]

_SECONDS_TO_DRAIN = 20

database = CommandLine(help="Manage the database of the service.")
app.add_typer(database, name="database", rich_help_panel=Section.SERVER)
tokens = CommandLine(help="Manage access tokens of the service.")
app.add_typer(tokens, name="token", rich_help_panel=Section.SERVER)


@app.command(
    section=Section.SERVER,
    examples="""
        grader serve --host 0.0.0.0 --port 8000
    """,
)
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port, 0 for any free port.")] = 8000,
) -> None:
    """Serve the HTTP API and the pages.

    Settings are read from GRADER_DATABASE, GRADER_BLOBS, GRADER_BROKER and other variables.
    """
    with handle_errors():
        import uvicorn

        from grader.service.application import make_application
        from grader.service.settings import Settings
        from grader.service.store.database import Store, check_migrated

        settings = Settings.from_environment()
        store = Store.open(settings)
        try:
            check_migrated(store)
        finally:
            store.close()
        uvicorn.run(make_application(settings), host=host, port=port, timeout_graceful_shutdown=_SECONDS_TO_DRAIN)


@database.command()
def upgrade() -> None:
    """Create or upgrade the tables of GRADER_DATABASE. It is safe to run this again."""
    with handle_errors():
        from grader.service.settings import Settings
        from grader.service.store.database import migrate

        migrate(Settings.from_environment())
        print("the database is up to date")


@database.command()
def grants(
    role: Annotated[str, typer.Argument(help="The role of PostgreSQL that workers use.", show_default=False)],
) -> None:
    """Print the SQL that gives a role what workers need, and nothing else. Run it after each upgrade as the owner."""
    with handle_errors():
        from grader.service.store.grants import write_worker_grants

        print(write_worker_grants(role), end="")


@tokens.command()
def create(
    name: Annotated[str, typer.Argument(help="The name of the token.", show_default=False)],
    role: Annotated[str, typer.Option(help="The role: instructor, student or ci.")],
    person: Annotated[
        str, typer.Option(help="For a student: the key of their submissions, such as the login.", show_default=False)
    ] = "",
) -> None:
    """Create a token and print its secret. Only a hash is stored, so it cannot be shown again."""
    with handle_errors():
        from grader.errors import InputError
        from grader.service.settings import Settings
        from grader.service.store.database import Store
        from grader.service.store.queries.tokens import Role, create_token

        if role not in set(Role):
            raise InputError(f"there is no role {role!r}: give one of {', '.join(Role)}")
        if (role == Role.STUDENT) != bool(person):
            raise InputError("a student's token needs --person; tokens of other roles do not have one")
        store = Store.open(Settings.from_environment())
        try:
            print(create_token(store, name, Role(role), person))
        finally:
            store.close()


@tokens.command("list")
def list_(
    json_file: Annotated[
        str, typer.Option("--json", help="Write the list as JSON to this file, - for standard output.")
    ] = "",
) -> None:
    """List the tokens, without their secrets."""
    import json
    from dataclasses import asdict

    with handle_errors():
        from grader.render.text import sanitise_text
        from grader.service.settings import Settings
        from grader.service.store.database import Store
        from grader.service.store.queries.tokens import list_tokens

        store = Store.open(Settings.from_environment())
        try:
            found = list_tokens(store)
        finally:
            store.close()
        if json_file:
            write_text(json_file, json.dumps([asdict(listed) for listed in found], indent=1, default=str) + "\n")
        if json_file != "-":
            for listed in found:
                token, status = listed.token, "revoked" if listed.revoked_at else "valid"
                print(f"{sanitise_text(token.name):24}{token.role:12}{status:10}{sanitise_text(token.person)}")


@tokens.command()
def revoke(name: Annotated[str, typer.Argument(help="The token's name.", show_default=False)]) -> None:
    """Revoke a token."""
    with handle_errors():
        from grader.service.settings import Settings
        from grader.service.store.database import Store
        from grader.service.store.queries.tokens import revoke_token

        store = Store.open(Settings.from_environment())
        try:
            revoke_token(store, name)
        finally:
            store.close()
        print(f"{name} is revoked")
