"""What a training function writes arrives line by line."""

import logging
import sys

from trainjobs.runtime.echo import echoed


def test_both_streams_arrive_in_whole_lines():
    said: list[str] = []
    with echoed(said.append):
        print("epoch", 1)
        logging.StreamHandler().emit(logging.makeLogRecord({"msg": "slow disk"}))
        print("no end", end="")
    assert said == ["epoch 1", "slow disk", "no end"]


def test_a_progress_bar_arrives_in_its_last_state():
    said: list[str] = []
    with echoed(said.append):
        for percent in (0, 50, 100):
            sys.stderr.write(f"\r{percent}%")
        sys.stderr.write("\n")
    assert said == ["100%"]
