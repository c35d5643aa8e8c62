# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that somebody makes by hand to a testbed in user scope, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote


@dataclass(frozen=True)
class Mutation:
    """:ivar change, undo: shell commands in the home of the login.
    :ivar named: a text in the reasons that the question gives.
    :ivar as_root: whether only root can do it.
    :ivar for_good: whether the times of files show it after the undo, so that a run records them.
    """

    name: str
    change: str
    undo: str
    named: str
    as_root: bool = False
    for_good: bool = False


CONFIG, ROOT, STATE = ".config/swf-testbed", ".local/share/swf-testbed", ".local/state/swf-testbed"
RELEASE = ROOT + "/current/lib/python3*/site-packages"
TOOLS = ROOT + "/tools/*"
CONF = CONFIG + "/supervisord.conf"
DAEMON = "%s/bin/supervisord -c %s" % (TOOLS, CONF)
CTL = "%s/bin/supervisorctl -c %s" % (TOOLS, CONF)
# until the daemon answers, and the programs run
UP = "until [ $(%s status | grep -c RUNNING) = 2 ]; do sleep 0.2; done" % CTL
GONE = "while %s pid >/dev/null 2>&1; do sleep 0.1; done" % CTL
PIDS = "for p in sleeper worker; do %s pid $p; done > undo-pids; " % CTL


def of(name: str, path: str, change: str, named: str = "", **more: bool) -> Mutation:
    """A change of a path, which $P is. It is restored with its times."""
    return Mutation(
        name,
        "P=$(echo %s); B=undo; echo $P > undo-path; rm -rf $B; cp -a $P $B; %s" % (path, change),
        "P=$(cat undo-path); rm -rf $P; cp -a undo $P",
        named or path.rsplit("/", 1)[-1].replace("*", ""),
        **more,
    )


def mode(path: str, new: str, named: str = "", **more: bool) -> Mutation:
    find = "P=$(echo %s); " % path
    return Mutation(
        "%s has the mode %s" % (path, new),
        find + "stat -c %%a $P > undo-mode; chmod %s $P" % new,
        find + "chmod $(cat undo-mode) $P",
        named or path.rsplit("/", 1)[-1].replace("*", ""),
        **more,
    )


def owned(path: str, owner: str) -> Mutation:
    """The owner or group of a file is another one."""
    find = "P=$(echo %s); " % path
    return Mutation(
        "%s is of %s" % (path, owner),
        find + "stat -c %%u:%%g $P > undo-owner; chown %s $P" % owner,
        find + "chown $(cat undo-owner) $P",
        path.rsplit("/", 1)[-1],
        as_root=True,
    )


def added(path: str, command: str = "echo x > $P") -> Mutation:
    """A new path, with the directories that it needs."""
    make = (
        "P=%s; D=$(dirname $P); rm -f undo-made; test -d $D || echo $D > undo-made; mkdir -p $D; "
    )
    remove = "rm -rf %s; test ! -e undo-made || rmdir -p $(cat undo-made) 2>/dev/null || true"
    return Mutation(path + " is new", make % path + command, remove % path, path.rsplit("/", 1)[-1])


APPEND, REMOVE = "echo '# by hand' >> $P", "rm -rf $P"

FILES = [
    of("supervisord.conf has another line", CONF, APPEND),
    of("supervisord.conf is gone", CONF, REMOVE, "supervisord"),
    of("supervisord.conf is a link", CONF, "rm $P; ln -s $HOME/undo $P"),
    mode(CONF, "0644"),
    owned(CONF, "0"),
    owned(CONF, ":daemon"),
    of("a file of the stack has another line", CONFIG + "/app.toml", APPEND),
    of("a file of the stack is gone", CONFIG + "/app.toml", REMOVE),
    mode(CONFIG + "/app.toml", "0666"),
    of("health.json is another one", CONFIG + "/health.json", "echo '{}' > $P"),
    of("launch.py has another line", CONFIG + "/launch.py", APPEND),
    mode(CONFIG + "/launch.py", "0755"),
    of("the record of steps is gone", CONFIG + "/steps.json", REMOVE),
    of("the record of steps is empty", CONFIG + "/steps.json", "echo '{}' > $P"),
    of("the manifest lists less", CONFIG + "/manifest.json", "sed -i /known_good/d $P", "manifest"),
    mode(CONFIG + "/manifest.json", "0666"),
    of("a record of secrets is gone", CONFIG + "/provenance/testbed.json", REMOVE),
    mode(CONFIG + "/provenance", "0755"),
    of("the saved configuration is gone", CONFIG + "/known_good", REMOVE),
    of(
        "the saved configuration has another line",
        CONFIG + "/known_good",
        "find $P -name supervisord.conf | while read f; do echo '# x' >> $f; done",
    ),
    mode(CONFIG, "0755"),
    added(CONFIG + "/boot_rollback.sh"),
    mode(CONFIG + "/pip", "0755"),
    of("the credentials of the indexes are others", CONFIG + "/pip/netrc", APPEND),
    mode(CONFIG + "/pip/netrc", "0644"),
    owned(CONFIG + "/pip/netrc", "0"),
    added(CONFIG + "/pip/more"),
    added(CONFIG + "/secrets.known-good/api_token"),
    added(".config/systemd/user/swf-testbed.service"),
    added(".config/systemd/user/swf-testbed-boot.service"),
    added(".config/systemd/user/swf-testbed.service.d/override.conf"),
    added(
        ".config/systemd/user/default.target.wants/swf-testbed.service",
        "ln -s ../swf-testbed.service $P",
    ),
]
SECRETS = [
    of("a secret is another one", CONFIG + "/secrets/api_token", "echo x > $P"),
    of("a secret is gone", CONFIG + "/secrets/api_token", REMOVE),
    mode(CONFIG + "/secrets/api_token", "0644"),
    owned(CONFIG + "/secrets/monitor_secret_key", "0"),
    mode(CONFIG + "/secrets", "0755"),
    added(CONFIG + "/secrets/of_somebody"),
    of("a secret was written again", CONFIG + "/secrets/api_token", "touch $P", "supervisord"),
]
RELEASES = [
    of(
        "a module has another line",
        RELEASE + "/iniconfig/__init__.py",
        APPEND,
        "iniconfig",
        for_good=True,
    ),
    of(
        "a module has other content of the same size and time",
        RELEASE + "/iniconfig/__init__.py",
        "sed -i 's/i/I/' $P; touch -r $B $P",
        "iniconfig",
        for_good=True,
    ),
    of(
        "a module is gone", RELEASE + "/iniconfig/exceptions.py", REMOVE, "iniconfig", for_good=True
    ),
    mode(RELEASE + "/iniconfig/__init__.py", "0666", "iniconfig", for_good=True),
    of("a package is gone", RELEASE + "/iniconfig", REMOVE, for_good=True),
    of(
        "a package has another version",
        RELEASE + "/iniconfig-2.0.0.dist-info",
        "sed -i 's/^Version: .*/Version: 1.0/' $P/METADATA",
        for_good=True,
    ),
    Mutation(
        "a module is new in a package",
        "echo x > $(echo %s)/iniconfig/new.py" % RELEASE,
        "rm " + RELEASE + "/iniconfig/new.py",
        "iniconfig",
    ),
    Mutation(
        "a path file is new",
        "echo /tmp > $(echo %s)/x.pth" % RELEASE,
        "rm " + RELEASE + "/x.pth",
        "x.pth",
    ),
    of("release.json is another one", ROOT + "/current/release.json", APPEND, for_good=True),
    of("release.json is gone", ROOT + "/current/release.json", REMOVE, for_good=True),
    of(
        "the Python is another one",
        ROOT + "/current/bin/python",
        "ln -sf /bin/true $P",
        "",
        for_good=True,
    ),
    mode(ROOT + "/current/bin", "0700"),
    of("supervisord has another line", TOOLS + "/bin/supervisord", APPEND, for_good=True),
    of("a tool is gone", TOOLS + "/bin/uv", REMOVE, for_good=True),
    of("current is gone", ROOT + "/current", REMOVE, "current"),
    of("current leads elsewhere", ROOT + "/current", "ln -sfn releases/other $P"),
    added(ROOT + "/previous", "ln -s releases/other $P"),
    added(ROOT + "/releases/other", "mkdir $P"),
    mode(ROOT + "/releases", "0700"),
    mode(ROOT, "0700"),
]
DIRECTORIES = [
    mode(STATE, "0755"),
    mode(STATE + "/log", "0755"),
    mode(STATE + "/run", "0755"),
    mode(STATE + "/data", "0777"),
    of("a directory of the stack is gone", STATE + "/made", REMOVE),
    of("a directory of the stack is a file", STATE + "/made", "rmdir $P; touch $P"),
    owned(STATE + "/data", ":daemon"),
]
PROGRAMS = [
    Mutation("a program is stopped", CTL + " stop sleeper", CTL + " start sleeper", "sleeper"),
    Mutation(
        "a program ended twice",
        "for i in 1 2; do kill -9 $(%s pid sleeper); sleep 2.5; done; %s" % (CTL, UP),
        "%s stop sleeper; %s start sleeper" % (CTL, CTL),
        "sleeper",
    ),
    Mutation(
        "a program runs with another command",
        "cp -a %(conf)s undo-conf; sed -i s/100000/100002/ %(conf)s; %(ctl)s update; cp -a undo-conf %(conf)s; %(up)s"
        % {"conf": CONF, "ctl": CTL, "up": UP},
        "%s update; %s" % (CTL, UP),
        "sleeper",
    ),
    Mutation(
        "supervisord was shut down",
        "%s shutdown; %s" % (CTL, GONE),
        "%s; %s" % (DAEMON, UP),
        "supervisord",
    ),
    Mutation(
        "supervisord was killed",
        PIDS + "kill -9 $(cat %s/run/supervisord.pid)" % STATE,
        "kill $(cat undo-pids); rm -f %s/run/*.sock %s/run/*.pid; %s; %s"
        % (STATE, STATE, DAEMON, UP),
        "supervisord",
    ),
    Mutation(
        "the socket is gone",
        "rm %s/run/supervisor.sock" % STATE,
        "kill $(cat %s/run/supervisord.pid); while [ -e %s/run/supervisord.pid ]; do sleep 0.1; done; %s; %s"
        % (STATE, STATE, DAEMON, UP),
        "supervisord",
    ),
]
LEASE = ".local/state/%s/swf-testbed@$(uname -n).lease"


def all_mutations(lease_folder: str) -> list[Mutation]:
    lease = LEASE % lease_folder
    held = '{"owner": "other", "run": "1", "login": "bob", "controller": "desk"}'
    holds = Mutation(
        "another run holds the host",
        "mkdir -p $(dirname %s); echo %s > %s" % (lease, quote(held), lease),
        "rm " + lease,
        "bob on desk",
    )
    return [*FILES, *SECRETS, *RELEASES, *DIRECTORIES, *PROGRAMS, holds]
