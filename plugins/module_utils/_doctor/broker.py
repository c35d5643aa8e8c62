# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a broker does for the login of the programs: whether it treats messages as the stack needs
it. Scratch addresses find it out, never those of the stack."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.sax.saxutils import quoteattr

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.clock import different
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.semantics import (
    Address,
    Login,
    Trial,
    try_address,
    try_selector,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.sockets import opened
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.stomp import (
    Connection,
    Frame,
    RefusedError,
    StompError,
)

LOGIN = "Correct swf_testbed_broker_user and swf_testbed_broker_password"
ADDRESS = "Correct swf_testbed_broker_host, swf_testbed_broker_port and swf_testbed_broker_tls"
#: milliseconds
HEART_BEAT = 1000
ROUTINGS = ("anycast", "multicast")
FORMS = ("/queue/", "/topic/", "")
#: a broker that refuses a frame because of the rights of the login
FORBIDDEN = re.compile(
    r"AMQ229032|AMQ229213|AMQ339011|AMQ339016|permission|not authorized|unauthorized|"
    r"access denied|security",
    re.IGNORECASE,
)
EMPTY_GOES = "<auto-delete-queues>true</auto-delete-queues><auto-delete-addresses>true</auto-delete-addresses>"
RIGHTS = (
    "createAddress",
    "createDurableQueue",
    "createNonDurableQueue",
    "deleteNonDurableQueue",
    "consume",
    "send",
)


def examine(item: Mapping[str, Any], timeout: float, most: float) -> list[Finding]:
    """Findings of a broker that can be reached.

    :param item: one of the option ``reach`` of the module host_check.
    :param most: seconds by which the clocks may differ.
    """

    def login() -> Connection:
        session = Connection(opened(item, timeout), timeout)
        session.connect(item["host"], item["user"], item["password"])
        return session

    where = "%s:%d" % (item["host"], item["port"])
    try:
        server, beats = greeting(item, timeout)
    except RefusedError as error:
        why = "%s: %s" % (where, error)
        return [finding("login", "the broker refuses the login of the programs", why, LOGIN)]
    except (StompError, OSError) as error:
        why = "%s: %s" % (where, error)
        return [finding("login", "the broker does not answer in STOMP", why, ADDRESS)]
    if not item["probe"]:
        return []
    found: list[Finding] = []
    lacks = [] if beats else ["it sends no heart-beats, which show that a connection is lost"]
    lines: list[str] = []
    doubts: list[str] = []
    addresses = list(scratch_addresses(item))
    sent = time.time()
    with ThreadPoolExecutor(len(addresses)) as pool:
        results = list(pool.map(lambda pair: attempt(login, pair[0], item["needs"]), addresses))
    for (address, names), result in zip(addresses, results):
        if isinstance(result, Exception):
            text = "%s: %s" % (address.name, str(result).partition(" CoreMessage[")[0])
            (doubts if FORBIDDEN.search(text) else lacks).append(text)
            continue
        trial, selects = result
        if trial.clock is not None and not found:
            found += different("the broker", trial.clock, sent, time.time(), most)
        missing = list(lacking(address, names, trial))
        if missing:
            lines += declaration(address, names)
        elif names and not (trial.one_reader or trial.all_readers):
            doubts.append("%s: %s" % (address.name, trial))
        lacks += missing
        if not selects:
            lacks.append("%s: a reader with a selector gets other messages, too" % address.name)
    if lacks:
        found.append(unfit(where, lacks, lines, server))
    if doubts:
        found.append(
            unverified(item, where, doubts, [address.name for address, _names in addresses])
        )
    return found


def greeting(item: Mapping[str, Any], timeout: float) -> tuple[str, bool]:
    """(name of the server, whether it sends heart-beats) after a login.

    :raises OSError, StompError:
    """
    session = Connection(opened(item, timeout), timeout)
    try:
        answer = session.connect(
            item["host"], item["user"], item["password"], "%d,%d" % (HEART_BEAT, HEART_BEAT)
        )
        return answer.headers.get("server", ""), not item["probe"] or heart_beats(session, answer)
    finally:
        session.close()


def heart_beats(session: Connection, answer: Frame) -> bool:
    period = answer.headers.get("heart-beat", "0,0").partition(",")[0].strip()
    if not period.isdigit() or int(period) == 0:
        return False
    # a longer one is not worth the time
    return int(period) > HEART_BEAT or session.beats(3 * HEART_BEAT / 1000)


def scratch_addresses(item: Mapping[str, Any]) -> Iterator[tuple[Address, list[str]]]:
    """(scratch address, addresses of the stack that it stands for)

    The names of a host are always the same, so that not more and more of them stay at a broker that
    deletes none. /queue/NAME and /topic/NAME may be one address, and an address that was once used
    with headers is another one without.
    """
    needs = item["needs"]
    owner = (str(os.geteuid()), platform.node(), item["instance"])
    suffix = ".".join(re.sub(r"[^A-Za-z0-9_-]", "-", part) for part in owner)
    wanted = {
        (routing, form): [name for name in needs.get(routing) or () if form_of(name) == form]
        for routing in ROUTINGS
        for form in FORMS
        # a declared name that no program uses is for the broker of the testbed
        if form or needs.get("bare_names")
    }
    # without needs, too, the programs send and receive
    always = [("anycast", "/queue/")] if not any(wanted.values()) else []
    if needs.get("bare_names") and not any(wanted[routing, ""] for routing in ROUTINGS):
        always.append(("multicast", ""))
    for (routing, form), names in wanted.items():
        if names or (routing, form) in always:
            declared = routing == "anycast" and bool(needs.get("routing_headers"))
            part = routing[0] + form[1:2] + "h" * declared
            name = "%s%s%s.%s" % (form, item["probe"], part, suffix)
            yield Address(name, routing, declared), names


def form_of(name: str) -> str:
    return next(form for form in FORMS if name.startswith(form))


def attempt(
    login: Login, address: Address, needs: Mapping[str, Any]
) -> tuple[Trial, bool] | Exception:
    """(what readers of the address get, whether selectors work or are not needed)"""
    try:
        trial = try_address(login, address, os.urandom(8).hex())
        if not trial.one_reader and not trial.all_readers:
            # another check may have read the messages
            trial = try_address(login, address, os.urandom(8).hex())
        selects = not needs.get("selectors") or try_selector(login, address, os.urandom(8).hex())
    except (StompError, OSError) as error:
        return error
    return trial, selects


def lacking(address: Address, names: list[str], trial: Trial) -> Iterator[str]:
    """What the stack needs of its addresses, and the broker does not do."""
    what = "%s: %s" % (address.name, trial)
    if not sum(trial.late):
        yield what
    elif names and address.routing == "anycast":
        if trial.all_readers:
            yield what + ", and each must have one reader (%s)" % shown(names)
        elif not trial.stored:
            yield what + ", and none may be lost (%s)" % shown(names)
    elif names and trial.one_reader:
        yield what + ", and each must reach all readers (%s)" % shown(names)


def shown(names: list[str]) -> str:
    return ", ".join(names[:4]) + ", ..." * (len(names) > 4)


def declaration(address: Address, names: list[str]) -> list[str]:
    """The lines of broker.xml that declare addresses of the stack, and the scratch address."""
    lines = []
    for name in map(quoteattr, (name for name in names if not name.endswith("#"))):
        queue = "<anycast><queue name=%s/></anycast>" % name
        content = queue if address.routing == "anycast" else "<multicast/>"
        lines.append("in <addresses>: <address name=%s>%s</address>" % (name, content))
    routing = address.routing.upper()
    patterns = [*(name for name in names if name.endswith("#")), pattern(address)]
    setting = (
        "in <address-settings>: <address-setting match=%s>"
        "<default-address-routing-type>%s</default-address-routing-type>"
        "<default-queue-routing-type>%s</default-queue-routing-type>"
        "%s</address-setting>"
    )
    for name in patterns:
        gone = EMPTY_GOES if name == patterns[-1] else ""
        lines.append(setting % (quoteattr(name), routing, routing, gone))
    return lines


def pattern(address: Address) -> str:
    """Scratch addresses of this form, of all hosts."""
    return address.name.rsplit(".", 3)[0] + ".#"


def unfit(where: str, lacks: list[str], lines: list[str], server: str) -> Finding:
    fix = "Use another broker, for example that of the group broker"
    if lines and "artemis" in server.lower():
        fix = (
            "Have the administrator of the broker add these lines to broker.xml (a setting, if there "
            "is one with a match that fits better, belongs there):\n" + "\n".join(lines)
        )
    return finding(
        "broker",
        "the broker does not handle messages as the stack requires",
        "%s (%s): %s" % (where, server or "its type is unknown", "; ".join(lacks)),
        fix,
    )


def unverified(
    item: Mapping[str, Any], where: str, doubts: list[str], addresses: list[str]
) -> Finding:
    names = sorted({form_of(address) + item["probe"] + "#" for address in addresses})
    rights = "".join('<permission type="%s" roles="ROLE"/>' % right for right in RIGHTS)
    lines = [
        "in <security-settings>: <security-setting match=%s>%s</security-setting>"
        % (quoteattr(name), rights)
        for name in names
    ]
    accept = ", or accept it with swf_testbed_accept_unverified_broker=true"
    if item["accept_unverified"]:
        accept = ""
    return finding(
        "broker",
        "the broker is not verified: whether it handles messages as the stack requires is unknown",
        "%s: %s" % (where, "; ".join(doubts)),
        "Set swf_testbed_broker_probe_prefix to names that %s may use%s, or have the administrator of "
        "the broker add these lines to broker.xml, with a role of %s:\n%s"
        % (item["user"], accept, item["user"], "\n".join(lines)),
        WARNING if item["accept_unverified"] else FATAL,
    )
