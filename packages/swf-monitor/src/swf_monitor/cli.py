# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `swf-monitor`."""

import argparse
import getpass
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import django
from django.core.exceptions import ImproperlyConfigured
from swf_common_lib.logs import configure_logging
from swf_common_lib.settings import EXIT_CONFIGURATION, ConfigurationError, Environment

from swf_monitor import __version__
from swf_monitor.listening import listen_on

FAILURE = 1
SECRETS = ("SECRET_KEY", "SWF_API_TOKEN", "DB_PASSWORD", "ACTIVEMQ_PASSWORD")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 if the command failed; 2 if a setting is wrong. The cause is one line on stderr.
    """
    options = _parser().parse_args(arguments)
    environment = Environment()
    try:
        if options.command == "serve":
            return _serve(environment, options)
        _start_django(environment)
        if options.command == "listen":
            return _listen(environment)
        if options.command in ("createuser", "deleteuser"):
            return _change_account(options)
        return _set_up(environment, options)
    except ConfigurationError as error:
        print(f"swf-monitor: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swf-monitor",
        description="Monitor of the ePIC Streaming Workflow Testbed.",
        epilog="Settings come from the environment; the README lists them.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the REST API and the dashboard")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    serve.add_argument(
        "--port", type=_port, default=8002, help="port to listen on (default: %(default)s)"
    )
    serve.add_argument(
        "--setup", action="store_true", help="run the steps of 'swf-monitor setup' first"
    )
    commands.add_parser("listen", help="record the messages of the workflow")
    setup = commands.add_parser("setup", help="create or upgrade the tables, and set the API token")
    setup.add_argument(
        "--check", action="store_true", help="change nothing; report the changes that are due"
    )
    create = commands.add_parser(
        "createuser",
        help="create an account for the pages, or change its password",
        description="The password is the first line of stdin.",
    )
    delete = commands.add_parser("deleteuser", help="delete an account")
    for command in (create, delete):
        command.add_argument("name", help="the user name")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port: it must be a number from 1 to 65535"
        )
    return int(text)


def _start_django(environment: Environment) -> None:
    """Configure the logs and load Django's settings.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    configure_logging(
        environment.log_level(), secrets=tuple(environment.secret(name) for name in SECRETS)
    )
    os.environ["DJANGO_SETTINGS_MODULE"] = "swf_monitor.settings"
    try:
        django.setup()
    except ImproperlyConfigured as error:
        if "psycopg" in str(error):
            raise ConfigurationError(
                "DB_HOST is set, and PostgreSQL needs psycopg: pip install "
                "'swf-monitor[postgresql]'"
            ) from None
        raise ConfigurationError(" ".join(str(error).split())) from None


# Django's models can be imported only after Django was set up, so each command has imports of its
# own.


def _serve(environment: Environment, options: argparse.Namespace) -> int:
    # Until the server is up there is nothing to finish.
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        signal.signal(number, _exit)
    # Before Django, which takes a second or more to load: during a restart, clients wait instead of
    # being refused.
    listening = listen_on(options.host, options.port)
    _start_django(environment)
    from swf_monitor.server import serve

    return serve(listening, environment.api_token() if options.setup else None)


def _exit(number: int, frame: object) -> NoReturn:
    raise SystemExit(0)


def _listen(environment: Environment) -> int:
    from swf_common_lib.settings import BrokerSettings

    from swf_monitor.listener import Listener, public_topic
    from swf_monitor.retention import Limits

    Listener(
        BrokerSettings.from_environment(environment),
        public_topic(environment),
        Limits.from_environment(environment),
    ).run()
    return 0


def _set_up(environment: Environment, options: argparse.Namespace) -> int:
    from swf_common_lib.exclusive import LockHeld

    from swf_monitor.database import UNAVAILABLE, explain
    from swf_monitor.provision import set_up

    try:
        outcome = set_up(environment.api_token(), check=options.check)
    except UNAVAILABLE as error:
        print(f"swf-monitor: the database does not answer: {explain(error)}", file=sys.stderr)
        return FAILURE
    except LockHeld as error:
        print(f"swf-monitor: {error}", file=sys.stderr)
        return FAILURE
    except OSError as error:
        print(f"swf-monitor: cannot use SWF_MONITOR_DATA_DIR: {error}", file=sys.stderr)
        return FAILURE
    print(json.dumps(outcome))
    return 0


def _change_account(options: argparse.Namespace) -> int:
    from swf_monitor.accounts import AccountError, create_user, delete_user
    from swf_monitor.database import UNAVAILABLE, explain

    try:
        if options.command == "createuser":
            outcome = create_user(options.name, _password())
        else:
            outcome = delete_user(options.name)
    except UNAVAILABLE as error:
        print(f"swf-monitor: the database cannot be used: {explain(error)}", file=sys.stderr)
        return FAILURE
    except AccountError as error:
        print(f"swf-monitor: {error}", file=sys.stderr)
        return FAILURE
    print(json.dumps(outcome))
    return 0


def _password() -> str:
    """A password from stdin, which is not shown on a terminal."""
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    return sys.stdin.readline().rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
