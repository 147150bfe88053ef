"""A module whose import never ends, as where it waits for a server that is not there."""

import threading

threading.Event().wait()
