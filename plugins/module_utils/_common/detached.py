# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a step that must not be left half done when the controller, and the module with it,
is killed."""

from __future__ import annotations

import os
import pickle
import typing as t

T = t.TypeVar("T")


class Died(Exception):
    """The process that had the step to do was killed itself."""


def detached(step: t.Callable[[], T]) -> T:
    """Carry out a step in a separate process and session; return what the step returns, raise what
    it raises.

    The process is nobody's child, and in no process group or session of the module: a signal for
    those, a closed terminal or a lost connection does not reach it. If the module is killed
    meanwhile, the step is finished all the same.

    :param step: what it changes in this process is lost; its value, or what its exception was made
        of, can be pickled.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setsid()
            if os.fork() == 0:
                _carry_out(step, writer)
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as stream:
        answer = stream.read()
    if not answer:
        raise Died(
            "The process that brings the change into force was killed. Run the same task again."
        )
    value, failure = pickle.loads(answer)
    if failure is None:
        return value
    kind, arguments, attributes = failure
    # not by its __init__, whose parameters are not what Exception keeps
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    raise error


def _carry_out(step: t.Callable[[], t.Any], writer: int) -> None:
    # whoever waits for the end of the module's output does not wait for this process
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    try:
        answer = (step(), None)
    except Exception as error:
        # as pickle does: the args of an OSError do not have its file
        answer = (None, (type(error), error.__reduce__()[1], vars(error)))
    with open(writer, "wb") as stream:
        stream.write(pickle.dumps(answer))
