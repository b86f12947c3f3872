"""Threads of a test: started in order, joined in order, with what they did written down."""

import threading
import time


class Diary(list):
    """Who did what at which instant, from the first."""

    def __init__(self):
        super().__init__()
        self._began = time.monotonic()

    def note(self, what):
        self.append((round(time.monotonic() - self._began, 6), what))


def all_threads(*works, daemon=False):
    """Run each of *works* on a thread of its own, to the end."""
    threads = [threading.Thread(target=work, daemon=daemon) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
