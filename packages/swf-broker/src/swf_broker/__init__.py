# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-broker`: a small STOMP broker for a testbed without ActiveMQ.

STOMP 1.0, 1.1 and 1.2 in one asyncio process: queues with acknowledgement, topics, selectors,
transactions, receipts, heart-beats, a login, TLS, and, with a data directory, queues that survive a
kill.

Why not a broker from PyPI:

`coilmq` 1.1.0 is the only one that is still maintained. Small subclasses cannot fix it; each of
these faults was found in a run or in its source:

* a frame that a read splits inside its header block, or a header with a colon in its value, raises
  in `coilmq.util.frames.parse_headers` and drops the connection; consumed bytes are never removed
  from the buffer;
* `ack:client-individual` counts as `auto`: a delivered, unacknowledged message is lost;
* `NACK` raises NotImplementedError; a STOMP 1.2 `ACK` needs headers that the broker never sent;
* a STOMP 1.2 `host` must be the broker's own full name; the sender's `receipt` header goes to the
  consumer;
* after a failed login, the connection stays open; a blocking `sendall` sends messages under one
  lock for all queues, and other threads send heart-beats on the same socket without any lock;
* its store deletes a message at its delivery, before the acknowledgement, and syncs every 100
  operations.

Parser, frames, protocol classes, queue manager, store and connection would each be replaced; only
the list of command names would remain. `stompymq` 1.1.1 listens on every interface, has no login
and no heart-beats, and drops all but the newest 100 messages of a queue without a consumer.
`morbid` ended with Python 2.

Modules: `frames` (the wire format), `messages` (queued messages), `routing` (which addresses are
queues), `selector` (the filter of a subscription), `waiting` (the messages of one queue), `unread`
(the limits of messages that nobody reads), `queues` (distribution), `store` (the disk),
`connection` (one client), `tls`, `server` (the process), `settings`, `logs` and `main` (options,
log lines, entry point). It imports nothing of the other packages of the testbed, because the
environments of other stacks have their own `swf_common_lib`.
"""

from importlib.metadata import version

__version__ = version("swf-broker")
