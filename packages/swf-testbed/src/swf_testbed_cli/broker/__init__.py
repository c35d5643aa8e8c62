# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-testbed-broker`: a small STOMP broker for a testbed that has no ActiveMQ to talk to.

STOMP 1.0, 1.1 and 1.2 in one asyncio process, without any dependency: queues with acknowledgement,
topics, transactions, receipts, heart-beats, a login, and, with a data directory, queues that
outlive a kill.

Why a broker of our own, and not one from PyPI:

`coilmq` 1.1.0 is the only one there that is still kept. Small subclasses do not mend it; each of
these was run or read in its source:

* a frame that a read splits inside its header block, or any header whose value holds a colon,
  raises in `coilmq.util.frames.parse_headers` and drops the connection; consumed bytes are never
  taken off the buffer;
* `ack:client-individual` counts as `auto`: a message that a consumer took and did not acknowledge
  is lost;
* `NACK` raises NotImplementedError; a STOMP 1.2 `ACK` needs headers that the broker never gave the
  client;
* a STOMP 1.2 `host` must be the broker's own full name; the sender's `receipt` header goes to the
  consumer;
* a failed login is answered, and the connection stays open; messages are sent under one lock for
  all queues by a blocking `sendall`, heart-beats by other threads on the same socket without any
  lock;
* its store deletes a message when it is handed out, before it is acknowledged, and syncs each 100
  operations.

Parser, frames, protocol classes, queue manager, store and connection would each be replaced; what
is left is the list of command names. `stompymq` 1.1.1 listens on every interface, has no login and
no heart-beats, and drops all but the newest 100 messages of a queue without a consumer. `morbid`
ended with Python 2.

Modules: `frames` (the wire format), `messages` (what is queued), `queues` (who gets what), `store`
(the disk), `connection` (one client), `server` (the process), `settings` and `main` (options, entry
point).
"""
