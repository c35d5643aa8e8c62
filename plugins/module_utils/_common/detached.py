# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a step that must finish even if the controller, and the module with it, is killed."""

from __future__ import annotations

import os
import pickle
import typing as t

T = t.TypeVar("T")


class StepKilledError(Exception):
    """The process that ran the step was killed."""


def detached(step: t.Callable[[], T]) -> T:
    """Run a step in a separate process and session; return its result or raise its exception.

    The process has no parent and shares no process group or session with the module: signals to
    these, a closed terminal and a lost connection do not reach it. If the module is killed, the
    step still finishes.

    :param step: its changes to this process's memory are lost; its result, or the arguments of its
        exception, must be picklable.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setsid()
            if os.fork() == 0:
                _run(step, writer)
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as stream:
        answer = stream.read()
    if not answer:
        raise StepKilledError(
            "The process that applies the change was killed. Fix: run the same task again."
        )
    value, failure = pickle.loads(answer)
    if failure is None:
        return value
    error_type, arguments, attributes = failure
    # without __init__, whose parameters may differ from the args that Exception stores
    error = error_type.__new__(error_type, *arguments)
    error.__dict__.update(attributes)
    raise error


def _run(step: t.Callable[[], t.Any], writer: int) -> None:
    # close the module's output, so that its readers do not wait for this process
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    try:
        answer: tuple[t.Any, t.Any] = (step(), None)
    except Exception as error:
        # like pickle: the args of an OSError lack the file name
        answer = (None, (type(error), error.__reduce__()[1], vars(error)))
    with open(writer, "wb") as stream:
        stream.write(pickle.dumps(answer))
