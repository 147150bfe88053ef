"""Letters between ranks, which only ranks of the same run can have written.

Whoever reaches rank 0's store can put anything into a mailbox, and take letters out, keep them and put them in again.
So each letter carries a code, made with a key that only the ranks know, of its sender, its receiver, its number among
the sender's letters to the receiver, and its words. It hides nothing: there is nothing secret in it.
"""

import hmac
from collections import Counter
from struct import Struct

from trainjobs.coordination import ConnectionLost

_HEAD = Struct(">IQ")
"""Sender and number."""
_CODE_BYTES = 32
_WORDS_AT = _CODE_BYTES + _HEAD.size
_PURPOSE = b"trainjobs: letters between ranks"


class SignedMessages:
    """Seals the letters of one rank, and opens those that come to it. Each half belongs to one thread at a time.

    Args:
        key: the run's, new for each attempt, since numbers begin anew. A key for letters alone is made from it: the
            channel answers challenges of others with the run's.
    """

    def __init__(self, key: bytes, rank: int) -> None:
        self._key = hmac.digest(key, _PURPOSE, "sha256")
        self._rank = rank
        self._sent: Counter[int] = Counter()
        self._opened: Counter[int] = Counter()

    def seal(self, receiver: int, words: bytes) -> bytes:
        """The next letter of this rank to `receiver`."""
        head = _HEAD.pack(self._rank, self._sent[receiver])
        self._sent[receiver] += 1
        return self._code(head, receiver, words) + head + words

    def open(self, letter: bytes) -> tuple[int, bytes] | None:
        """Sender and words; None of a letter that no rank has written to this one, or that has been opened before.

        Raises ConnectionLost when letters are missing before it: somebody else has taken them.
        """
        code, head, words = letter[:_CODE_BYTES], letter[_CODE_BYTES:_WORDS_AT], letter[_WORDS_AT:]
        if not hmac.compare_digest(code, self._code(head, self._rank, words)):
            return None
        sender, number = _HEAD.unpack(head)
        if number > self._opened[sender]:
            raise ConnectionLost(f"letters of rank {sender} to rank {self._rank} were taken by somebody else")
        if number < self._opened[sender]:
            return None
        self._opened[sender] += 1
        return sender, words

    def _code(self, head: bytes, receiver: int, words: bytes) -> bytes:
        return hmac.digest(self._key, receiver.to_bytes(4) + head + words, "sha256")
